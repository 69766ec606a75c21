"""DenseNet and DenseNet-BC (Huang et al. 2017, arXiv:1608.06993): h = [x, f] in every unit."""

from resjax.config import ModelConfig
from resjax.errors import InputError
from resjax.orders import ORDERS, Order
from resjax.plans.plan import HeadPlan, NetworkPlan, Path, Pool, UnitPlan, WeightSpec
from resjax.plans.resnet import STEMS, stem
from resjax.variants import DENSE_BRANCHES, IMAGENET_DENSENETS

HALVE = Pool("mean", 2, 2)


def densenet(config: ModelConfig, shape: tuple[int, ...]) -> NetworkPlan:
    """A stem; blocks of units that each append `growth` channels; 1x1 transitions and pooling between; a classifier.

    CIFAR: three blocks, stem of 16, or 2k channels with bottlenecks. ImageNet: four blocks, 7x7 stem of 2k, pooled.
    """
    imagenet, order = config.layout == "imagenet", ORDERS[str(config.order)]
    side, stride, pool = STEMS["7x7" if imagenet else "3x3"]
    channels = 2 * config.growth if imagenet or config.branch == "bottleneck" else 16
    units = [
        stem(shape[-1], WeightSpec(side, channels, stride), Order("", "", "na", "", "", "") if imagenet else order)
    ]
    counts = _counts(config)
    for stage, count in enumerate(counts, start=1):
        for _ in range(count):
            units.append(UnitPlan(stage, units[-1].after, (Path(_layer(config)),), order, "concat", pool=pool))
            pool = None
        if stage < len(counts):
            units.append(_transition(config, stage, units[-1].after, order))
            pool = HALVE
    return NetworkPlan(tuple(units), HeadPlan(len(counts) + 1, pre=order.pre))


def _counts(config: ModelConfig) -> tuple[int, ...]:
    """Units of each block."""
    if config.layout == "imagenet":
        return IMAGENET_DENSENETS[config.depth]
    count = (config.depth - 4) // (3 * DENSE_BRANCHES[str(config.branch)])
    return count, count, count


def _layer(config: ModelConfig) -> tuple[WeightSpec, ...]:
    """3x3 to `growth`, behind a 1x1 to 4 growth in a bottleneck."""
    if config.branch == "single":
        return (WeightSpec(3, config.growth, dropout=config.dropout),)
    point = WeightSpec(1, 4 * config.growth, name="conv1", dropout=config.dropout)
    return point, WeightSpec(3, config.growth, name="conv2", dropout=config.dropout)


def _transition(config: ModelConfig, stage: int, before: int, order: Order) -> UnitPlan:
    """1x1 to the share `compression` of the channels; the pooling is the next unit's."""
    channels = int(before * config.compression)
    if channels < 1:
        raise InputError(
            f"model.compression={config.compression:g} leaves none of the {before} channels before a transition.\n"
            f"Expected a share that leaves one.\nType: model.compression=0.5"
        )
    spec = WeightSpec(1, channels, dropout=config.dropout)
    return UnitPlan(stage, before, (Path((spec,)),), order, name=f"stage{stage}.transition")
