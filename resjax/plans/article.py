"""The article's network, as it can be meant: experiments/article/README.md says what had to be mended."""

from resjax.config import ModelConfig
from resjax.orders import ORDERS
from resjax.plans.plan import HeadPlan, NetworkPlan, Path, UnitPlan
from resjax.plans.resnet import specs_of


def article(config: ModelConfig, shape: tuple[int, ...]) -> NetworkPlan:
    """A unit of `width` channels, then `layers` = (depth - 3) / 2 of twice as many; pooling; a classifier.

    No stem and no stride. Dropout between the later units: behind each of them but the last.
    """
    order, branch = ORDERS[str(config.order)], str(config.branch)
    units = [UnitPlan(1, shape[-1], (Path(specs_of(branch, config.width, 1)),), order, config.shortcut)]
    later = (Path(specs_of(branch, 2 * config.width, 1)),)
    for number in range((config.depth - 3) // 2):
        rate = config.dropout if number else 0.0
        units.append(UnitPlan(2, units[-1].after, later, order, config.shortcut, dropout=rate))
    return NetworkPlan(tuple(units), HeadPlan(3))
