"""Depth as an array axis: n equal units are one module with stacked weights, scanned."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array

from resjax.config import ModelConfig
from resjax.models.parts import Parts
from resjax.models.types import Hidden, Mode, Within, fold
from resjax.models.units import Unit
from resjax.plans.plan import Run

Observe = Callable[[Hidden, Within], Any]
RunUnit = Callable[[Hidden], tuple[Hidden, Within]]
Around = Callable[[RunUnit, Hidden, Any], tuple[Hidden, Within]]

MOST_UNROLLED = 110  # layers; unrolled, compilation takes longer with each


def nothing(h: Hidden, within: Within) -> None:
    """Observe nothing."""


def unrolls(config: ModelConfig) -> bool:
    """What `model.unroll` says; null: where the loop of a scan is slow and the network is soon compiled without.

    On one H200 a scanned step of ResNet-20 took 6 to 12 ms, an unrolled one 2.5 (docs/performance.md).
    """
    if config.unroll is not None:
        return config.unroll
    return jax.default_backend() == "gpu" and config.depth <= MOST_UNROLLED


def bare(unit: RunUnit, x: Hidden, tap: Any) -> tuple[Hidden, Within]:
    """Nothing around the unit."""
    return unit(x)


class Segment(nnx.Module):
    """A run of equal units in a chain. Every weight and statistic has a leading unit axis.

    key: of the stage; a unit's own follows from its number there. units: of the network, but the stem.
    """

    def __init__(self, run: Run, key: Array, parts: Parts, units: int) -> None:
        self.run, self.total, self.config = run, units, parts.config

        graphs = []

        def values(number: Array) -> Any:
            graph, state = nnx.split(Unit(fold(key, number), run.plan, parts))
            graphs.append(graph)
            return state

        states = jax.vmap(values)(jnp.arange(run.first, run.first + run.count))
        self.units = nnx.merge(graphs[0], states)

    def __call__(
        self, x: Hidden, mode: Mode, taps: Array | None, observe: Observe, around: Around
    ) -> tuple[Hidden, Any]:
        """h of the last unit, and what `observe(h_l, within_l)` gave, stacked over the units.

        taps: (units, ...); each unit is run as around(unit, x, its own).
        """
        graph, *states = nnx.split(self.units, nnx.Param, nnx.BatchStat)
        params, statistics = map(nnx.as_pure, states)
        numbers = jnp.arange(self.run.place, self.run.place + self.run.count)

        def step(x: Hidden, unit_state: tuple[Any, ...]) -> tuple[Hidden, tuple[Any, Any]]:
            weights, stats, tap, number = unit_state
            unit = nnx.merge(graph, weights, stats)
            h, within = around(lambda x: unit(x, mode.at(number, self.total)), x, tap)
            return h, (nnx.as_pure(nnx.state(unit, nnx.BatchStat)), observe(h, within))

        # One unit may change the shape of x, which a scan's carry cannot.
        scanned = self.run.count > 1 and not unrolls(self.config)
        if self.config.remat:
            step = jax.checkpoint(step, prevent_cse=not scanned)  # in a scan nothing could merge the two passes anyway
        chain = lax.scan if scanned else _unrolled
        h, (statistics, seen) = chain(step, x, (params, statistics, taps, numbers))
        nnx.update(self.units, statistics)
        return h, seen


def _unrolled(step: Callable[..., Any], carry: Any, xs: Any) -> tuple[Any, Any]:
    """`lax.scan` written out: every step is compiled by itself."""
    results = []
    for index in range(len(jax.tree.leaves(xs)[0])):
        carry, result = step(carry, jax.tree.map(itemgetter(index), xs))
        results.append(result)
    return carry, jax.tree.map(lambda *parts: jnp.stack(parts), *results)
