"""Fully connected nets of one width, plain and residual: H(x) = F(x) + x with F(x) = g(W x + b)."""

import math

from resjax.config import ModelConfig
from resjax.orders import ORDERS
from resjax.plans.plan import HeadPlan, NetworkPlan, Path, UnitPlan, WeightSpec
from resjax.plans.resnet import stem


def mlp(config: ModelConfig, shape: tuple[int, ...]) -> NetworkPlan:
    """A layer to `width`, depth - 2 units, a classifier: `depth` weight layers."""
    order, dense = ORDERS[str(config.order)], WeightSpec(0, config.width, name="dense")
    unit = UnitPlan(1, config.width, (Path((dense,)),), order, config.shortcut)
    first = stem(math.prod(shape), dense, order)
    return NetworkPlan((first, *(unit for _ in range(config.depth - 2))), HeadPlan(2, pre=order.pre))
