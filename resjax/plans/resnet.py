"""Residual and plain nets of stages: He et al. 2015 (arXiv:1512.03385) and 2016 (arXiv:1603.05027)."""

from resjax.config import ModelConfig
from resjax.orders import ORDERS, Order
from resjax.plans.plan import HeadPlan, NetworkPlan, Path, Pool, UnitPlan, WeightSpec
from resjax.shortcuts import SHORTCUTS
from resjax.variants import BRANCHES, IMAGENET_RESNETS

EXPANSION = 4  # of a bottleneck
STEMS = {"3x3": (3, 1, None), "7x7": (7, 2, Pool("max", 3, 2, padded=True))}


def resnet(config: ModelConfig, shape: tuple[int, ...]) -> NetworkPlan:
    """A stem to `width`; stages of units at width, 2 width, 4 width, ..., each after the first strided; a classifier.

    CIFAR: three stages of n units; ImageNet: four of the units in the paper's table 1.
    """
    branch, order = str(config.branch), ORDERS[str(config.order)]
    counts = IMAGENET_RESNETS[config.depth][1] if config.layout == "imagenet" else _equal_stages(config.depth, branch)
    side, stride, pool = STEMS[config.stem]
    units = [stem(shape[-1], WeightSpec(side, config.width, stride), order)]
    for stage, count in enumerate(counts, start=1):
        for number in range(count):
            first = number == 0
            width, stride = config.width * 2 ** (stage - 1), 2 if first and stage > 1 else 1
            specs = specs_of(branch, width, stride, config.bottleneck)
            before = units[-1].after
            changes = stride > 1 or before != specs[-1].channels
            joined = (first and stage == 1) or ("projection" in SHORTCUTS[config.shortcut].needs and changes)
            units.append(
                UnitPlan(
                    stage,
                    before,
                    (Path(specs),),
                    order,
                    config.shortcut,
                    pool=pool if first and stage == 1 else None,
                    shared=bool(order.pre) and joined,
                )
            )
    return NetworkPlan(tuple(units), HeadPlan(len(counts) + 1, pre=order.pre))


def _equal_stages(depth: int, branch: str) -> tuple[int, int, int]:
    """Three stages of (depth - 2) / 3m units, m their weight layers."""
    count = (depth - 2) // (3 * BRANCHES[branch])
    return count, count, count


def stem(channels: int, spec: WeightSpec, order: Order) -> UnitPlan:
    """One weight layer; norm and activation behind it, each unless the units have it in front."""
    after = Order("", "", "".join(letter for letter in "na" if letter not in order.pre), "", "", "")
    return UnitPlan(0, channels, (Path((spec,)),), after, name="stem")


def specs_of(branch: str, width: int, stride: int, version: str = "v1") -> tuple[WeightSpec, ...]:
    """single: 3x3. basic: 3x3, 3x3. bottleneck: 1x1, 3x3, 1x1 to 4 width, the stride in the first (v1) or second."""
    if branch == "single":
        return (WeightSpec(3, width, stride),)
    if branch == "basic":
        return WeightSpec(3, width, stride, "conv1"), WeightSpec(3, width, 1, "conv2")
    first, second = (stride, 1) if version == "v1" else (1, stride)
    return (
        WeightSpec(1, width, first, "conv1"),
        WeightSpec(3, width, second, "conv2"),
        WeightSpec(1, EXPANSION * width, 1, "conv3"),
    )
