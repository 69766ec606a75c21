"""Depth as an array axis: n equal units are one module with stacked weights, scanned."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array

from resjax.models.units import Hidden, Mode, Responses, fold

Observe = Callable[[Hidden, Responses], Any]


def nothing(h: Hidden, responses: Responses) -> None:
    """Observe nothing."""


class Segment(nnx.Module):
    """`count` equal units in a chain. Every weight and statistic has a leading unit axis.

    name: of the stage. first: number of the first unit in its stage, from 1.
    """

    def __init__(
        self,
        name: str,
        stage: int,
        first: int,
        count: int,
        key: Array,
        make: Callable[[Array], nnx.Module],
        unroll: bool,
    ) -> None:
        self.name, self.stage, self.first, self.count, self.unroll = name, stage, first, count, unroll
        keys = jax.vmap(lambda unit: fold(key, unit))(jnp.arange(first, first + count))
        graph = nnx.graphdef(nnx.eval_shape(make, key))
        self.units = nnx.merge(graph, jax.vmap(lambda k: nnx.state(make(k)))(keys))

    def __call__(self, x: Hidden, mode: Mode, perturbations: Array | None, observe: Observe) -> tuple[Hidden, Any]:
        """h of the last unit, and what `observe(h_l, responses_l)` gave, stacked over the units.

        perturbations: (units, batch, ...), added to each h_l; None adds nothing.
        """
        graph, *states = nnx.split(self.units, nnx.Param, nnx.BatchStat)
        params, statistics = map(nnx.as_pure, states)

        def step(x: Hidden, unit_state: tuple[Any, Any, Array | None]) -> tuple[Hidden, tuple[Any, Any]]:
            weights, stats, epsilon = unit_state
            unit = nnx.merge(graph, weights, stats)
            h, responses = unit(x, mode)
            h = h if epsilon is None else h + epsilon
            return h, (nnx.as_pure(nnx.state(unit, nnx.BatchStat)), observe(h, responses))

        # One unit may change the shape of x, which a scan's carry cannot.
        chain = _unrolled if self.unroll or self.count == 1 else lax.scan
        h, (statistics, seen) = chain(step, x, (params, statistics, perturbations))
        nnx.update(self.units, statistics)
        return h, seen


def _unrolled(step: Callable[..., Any], carry: Any, xs: Any) -> tuple[Any, Any]:
    """`lax.scan` written out: every step is compiled by itself."""
    results = []
    for index in range(len(jax.tree.leaves(xs)[0])):
        carry, result = step(carry, jax.tree.map(itemgetter(index), xs))
        results.append(result)
    return carry, jax.tree.map(lambda *parts: jnp.stack(parts), *results)
