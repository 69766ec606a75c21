"""GoogLeNet (Szegedy et al. 2015, arXiv:1409.4842): nine units of four parallel paths. Without its response norms."""

from resjax.config import ModelConfig
from resjax.orders import ORDERS
from resjax.plans.plan import HeadPlan, NetworkPlan, Path, Pool, UnitPlan, WeightSpec
from resjax.plans.resnet import stem
from resjax.variants import AUXILIARY_AFTER, INCEPTIONS

HALVE, KEEP = Pool("max", 3, 2, padded=True), Pool("max", 3, 1, padded=True)
AUXILIARY_DROPOUT = 0.7


def googlenet(config: ModelConfig, shape: tuple[int, ...]) -> NetworkPlan:
    """Stem, two convolutions, nine inception units, classifier; in training a head after 4a and after 4d.

    stem=3x3 is for small images: its first layer is 3x3 without stride, and the first two poolings are left out.
    Every width is the paper's times width / 64.
    """
    small, order = config.stem == "3x3", ORDERS[str(config.order)]
    wide = config.width / 64
    first = WeightSpec(3, config.width) if small else WeightSpec(7, config.width, 2)
    second = WeightSpec(1, config.width, name="reduce"), WeightSpec(3, round(192 * wide), name="conv")
    pool = None if small else HALVE
    units = [stem(shape[-1], first, order)]
    units.append(UnitPlan(1, config.width, (Path(second),), order, pool=pool, name="conv2"))
    for name, channels in INCEPTIONS.items():
        halves = (name == "3a" and not small) or name in ("4a", "5a")
        paths = _inception(tuple(round(count * wide) for count in channels))
        stage = int(name[0]) - 1
        pool = HALVE if halves else None
        units.append(UnitPlan(stage, units[-1].after, paths, order, pool=pool, name=f"inception{name}"))
    names = [unit.name for unit in units]
    places = [names.index(f"inception{name}") for name in AUXILIARY_AFTER] if config.auxiliary_weight else []
    heads = tuple((place, _auxiliary(wide, 6 + number)) for number, place in enumerate(places))
    return NetworkPlan(tuple(units), HeadPlan(5, dropout=config.dropout), heads)


def _inception(channels: tuple[int, ...]) -> tuple[Path, ...]:
    """1x1; 1x1 and 3x3; 1x1 and 5x5; pooling and 1x1: side by side."""
    point, reduce3, conv3, reduce5, conv5, projected = channels
    return (
        Path((WeightSpec(1, point, name="conv1x1"),)),
        Path((WeightSpec(1, reduce3, name="reduce3x3"), WeightSpec(3, conv3, name="conv3x3"))),
        Path((WeightSpec(1, reduce5, name="reduce5x5"), WeightSpec(5, conv5, name="conv5x5"))),
        Path((WeightSpec(1, projected, name="conv_pool"),), KEEP),
    )


def _auxiliary(wide: float, key: int) -> HeadPlan:
    """Mean pooling, a 1x1 convolution to 128, a layer of 1024 with dropout, a classifier (section 5)."""
    hidden = (
        WeightSpec(1, round(128 * wide), name="conv"),
        WeightSpec(0, round(1024 * wide), name="fc", dropout=AUXILIARY_DROPOUT),
    )
    return HeadPlan(key, pool=Pool("mean", 5, 3), mean=False, hidden=hidden)
