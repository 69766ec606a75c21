"""From a config to a functional model: Flax NNX inside, pure functions of pytrees at the boundary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from resjax.config import ModelConfig
from resjax.models.convnets import cifar_net
from resjax.models.mlp import mlp
from resjax.models.network import LayerInfo, Network
from resjax.models.stages import Observe, nothing
from resjax.models.units import Hidden, Mode

FAMILIES: dict[str, Callable[..., Network]] = {"resnet": cifar_net, "mlp": mlp}
Params = Any
BatchStats = Any


@dataclass(frozen=True)
class Model:
    """A network without its values: make them with `init`, run them with `apply`.

    units, weight_layers: in forward order. shape: of one image, (height, width, channel).
    """

    config: ModelConfig
    shape: tuple[int, ...]
    classes: int
    dtype: DTypeLike
    graph: Any
    units: tuple[LayerInfo, ...]
    weight_layers: tuple[LayerInfo, ...]

    def init(self, key: Array) -> tuple[Params, BatchStats]:
        """Initial values. Arms that differ in a parameter-free shortcut get the same from the same key."""
        return _init(self.config, self.shape, self.classes, self.dtype, key)

    def apply(
        self,
        params: Params,
        batch_stats: BatchStats,
        x: Hidden,
        mode: Mode,
        perturbations: Sequence[Array] | None = None,
        observe: Observe = nothing,
    ) -> tuple[Float[Array, "batch classes"], BatchStats, list[Any]]:
        """Logits, the running statistics after this pass, and what `observe(h_l, responses_l)` saw a segment."""
        network = nnx.merge(self.graph, params, batch_stats)
        logits, seen = network(x, mode, perturbations, observe)
        return logits, nnx.as_pure(nnx.state(network, nnx.BatchStat)), seen

    def hidden_shapes(self, batch: int) -> list[jax.ShapeDtypeStruct]:
        """The shapes of every unit's output, one (units, batch, ...) a segment, for a batch of `batch` images."""
        params, batch_stats = jax.eval_shape(self.init, jax.random.key(0))
        x = jax.ShapeDtypeStruct((batch, *self.shape), self.dtype)
        run = partial(self.apply, mode=Mode(train=True, group=batch), observe=lambda h, responses: h)
        return jax.eval_shape(run, params, batch_stats, x)[2]


def build(config: ModelConfig, shape: tuple[int, ...], classes: int, dtype: DTypeLike = jnp.float32) -> Model:
    """The model that `config` names, for images of `shape` = (height, width, channel)."""
    make = partial(FAMILIES[config.name], config, shape=shape, classes=classes, dtype=dtype)
    network = nnx.eval_shape(lambda: make(key=jax.random.key(0)))
    graph, *_ = nnx.split(network, nnx.Param, nnx.BatchStat)
    return Model(config, shape, classes, dtype, graph, network.units(), network.weight_layers())


def _init(
    config: ModelConfig, shape: tuple[int, ...], classes: int, dtype: DTypeLike, key: Array
) -> tuple[Params, BatchStats]:
    network = FAMILIES[config.name](config, key, shape=shape, classes=classes, dtype=dtype)
    _, *states = nnx.split(network, nnx.Param, nnx.BatchStat)
    params, batch_stats = map(nnx.as_pure, states)
    return params, batch_stats
