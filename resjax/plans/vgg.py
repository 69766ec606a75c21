"""VGG: 3x3 convolutions in five stages, pooling between (Simonyan and Zisserman 2015, arXiv:1409.1556)."""

from resjax.config import ModelConfig
from resjax.orders import ORDERS
from resjax.plans.plan import HeadPlan, NetworkPlan, Path, Pool, UnitPlan, WeightSpec

HALVE = Pool("max", 2, 2)
WIDTHS = (1, 2, 4, 8, 8)  # of the stages, in units of `width`
FC_WIDTH = 4096
FC_LAYERS = 3  # in the paper's head, which its depths count


def vgg(config: ModelConfig, shape: tuple[int, ...]) -> NetworkPlan:
    """One-layer units: 1, 1, 2, 2, 2 a stage at depth 11 (A), else 2, 2, k, k, k at 3k + 7 (B, D, E: k = 2, 3, 4).

    C is D with the last convolution of stages 3 to 5 1x1. A shortcut, if any, is around each convolution.
    """
    units: list[UnitPlan] = []
    for stage, (count, factor) in enumerate(zip(_counts(config.depth), WIDTHS, strict=True), start=1):
        for number in range(count):
            side = 1 if config.vgg_c and stage > 2 and number == count - 1 else 3
            spec = WeightSpec(side, factor * config.width)
            before = units[-1].after if units else shape[-1]
            pool = HALVE if number == 0 and stage > 1 else None
            order = ORDERS[str(config.order)]
            units.append(UnitPlan(stage, before, (Path((spec,)),), order, config.shortcut, pool=pool))
    return NetworkPlan(tuple(units), _head(config))


def _counts(depth: int) -> tuple[int, int, int, int, int]:
    """Convolutions of each stage."""
    if depth == 11:
        return 1, 1, 2, 2, 2
    more = (depth - FC_LAYERS - 4) // 3
    return 2, 2, more, more, more


def _head(config: ModelConfig) -> HeadPlan:
    """Pooled: one layer on the channels' means. fc: two of 4096 with dropout, on every pooled pixel."""
    if config.head == "pool":
        return HeadPlan(6, pool=HALVE, dropout=config.dropout)
    hidden = tuple(WeightSpec(0, FC_WIDTH, name=f"fc{number}", dropout=config.dropout) for number in (1, 2))
    return HeadPlan(6, pool=HALVE, mean=False, hidden=hidden)
