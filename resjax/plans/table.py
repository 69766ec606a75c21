"""The families by name."""

from collections.abc import Callable

from resjax.config import ModelConfig, completed
from resjax.plans.article import article
from resjax.plans.densenet import densenet
from resjax.plans.googlenet import googlenet
from resjax.plans.mlp import mlp
from resjax.plans.plan import NetworkPlan
from resjax.plans.resnet import resnet
from resjax.plans.vgg import vgg

PLANS: dict[str, Callable[[ModelConfig, tuple[int, ...]], NetworkPlan]] = {
    "resnet": resnet,
    "mlp": mlp,
    "vgg": vgg,
    "googlenet": googlenet,
    "densenet": densenet,
    "article": article,
}


def plan_of(config: ModelConfig, shape: tuple[int, ...]) -> NetworkPlan:
    """The network that `config` names, for images of `shape` = (height, width, channel)."""
    return PLANS[config.name](completed(config), shape)
