"""From a config to a functional model: Flax NNX inside, pure functions of pytrees at the boundary."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from resjax.config import ModelConfig, completed
from resjax.errors import InputError
from resjax.models.network import LayerInfo, Network
from resjax.models.parts import Parts
from resjax.models.stages import Around, Observe, bare, nothing
from resjax.models.types import Hidden, Mode
from resjax.plans.plan import NetworkPlan, Run, runs_of
from resjax.plans.table import plan_of

Params = Any
BatchStats = Any


class Pass(NamedTuple):
    """A forward pass. batch_stats: the running statistics after it; seen: what `observe(h_l, within_l)` saw of each
    segment; auxiliary: the logits of the heads on the way, in training.
    """

    logits: Float[Array, "batch classes"]
    batch_stats: BatchStats
    seen: list[Any]
    auxiliary: list[Float[Array, "batch classes"]]


@dataclass(frozen=True)
class Model:
    """A network without its values: make them with `init`, run them with `apply`.

    units, weight_layers: in forward order. shape: of one image, (height, width, channel). shapes: of the values that
    `init` gives, as jax.ShapeDtypeStruct.
    """

    config: ModelConfig
    plan: NetworkPlan
    shape: tuple[int, ...]
    classes: int
    dtype: DTypeLike
    graph: Any
    shapes: tuple[Params, BatchStats]
    units: tuple[LayerInfo, ...]
    weight_layers: tuple[LayerInfo, ...]

    @property
    def itemsize(self) -> int:
        """Bytes of a parameter."""
        return jnp.dtype(self.dtype).itemsize

    @property
    def runs(self) -> list[Run]:
        """The segments as plain data."""
        return runs_of(self.plan.units)

    def init(self, key: Array) -> tuple[Params, BatchStats]:
        """Initial values. Arms that differ in a parameter-free shortcut get the same from the same key."""
        _, *states = nnx.split(
            _network(self.config, self.shape, self.classes, self.dtype, key), nnx.Param, nnx.BatchStat
        )
        params, batch_stats = map(nnx.as_pure, states)
        return params, batch_stats

    def apply(
        self,
        params: Params,
        batch_stats: BatchStats,
        x: Hidden,
        mode: Mode,
        taps: Sequence[Array] | None = None,
        observe: Observe = nothing,
        around: Around = bare,
    ) -> Pass:
        """A forward pass, in the type of x; the statistics and logits are of the parameters'.

        Each unit is run as around(unit, x, its own of `taps`), (units, ...) a segment.
        """
        network = nnx.merge(self.graph, params, batch_stats)
        outputs = network(x, mode, taps, observe, around)
        return Pass(outputs.logits, nnx.as_pure(nnx.state(network, nnx.BatchStat)), outputs.seen, outputs.auxiliary)

    def hidden_shapes(self, batch: int) -> list[jax.ShapeDtypeStruct]:
        """The shapes of every unit's output, one (units, batch, ...) a segment, for a batch of `batch` images."""
        heights, widths = self.plan.sizes(self.shape)
        shapes = []
        for run in self.runs:
            end = run.start + run.count
            pixels = () if run.plan.dense else (heights[end], widths[end])
            shapes.append(jax.ShapeDtypeStruct((run.count, batch, *pixels, run.plan.after), self.dtype))
        return shapes


def build(config: ModelConfig, shape: tuple[int, ...], classes: int, dtype: DTypeLike = jnp.float32) -> Model:
    """The model that `config` names, for images of `shape` = (height, width, channel).

    Raises InputError where the images are too small for it, or a norm's groups do not divide its channels.
    """
    config = completed(config)
    plan = plan_of(config, shape)
    _check_size(config.name, plan, shape)
    key = jax.eval_shape(lambda: jax.random.key(0))  # a shape: a key would open the device
    network = nnx.eval_shape(partial(_network, config, shape, classes, dtype), key)
    graph, *states = nnx.split(network, nnx.Param, nnx.BatchStat)
    params, batch_stats = map(nnx.as_pure, states)
    units, weight_layers = network.units(), network.weight_layers()
    return Model(config, plan, shape, classes, dtype, graph, (params, batch_stats), units, weight_layers)


def _check_size(name: str, plan: NetworkPlan, shape: tuple[int, ...]) -> None:
    """Every pooling must find pixels, those of the heads too."""
    if plan.fits(min(shape[:2])):
        return
    least = next(side for side in count(1) if plan.fits(side))
    raise InputError(
        f"model.name={name} cannot take images of {shape[0]} x {shape[1]} pixels.\n"
        f"Expected {least} pixels a side or more, which its pooling halves.\nType: data.resize={max(least, 32)}"
    )


def _network(config: ModelConfig, shape: tuple[int, ...], classes: int, dtype: DTypeLike, key: Array) -> Network:
    """The network with its values."""
    plan = plan_of(config, shape)
    joined = [unit for unit in plan.units if unit.shortcut != "none"]
    layers = max((len(path.specs) for unit in joined for path in unit.paths), default=1)
    parts = Parts(config, dtype, max(len(joined), 1), layers)
    return Network(plan, key, shape, classes, parts)
