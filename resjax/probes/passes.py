"""One forward pass with as many backward passes as are asked for: the batch's, its parts', each example's own."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from resjax.models import Model
from resjax.models.stages import RunUnit
from resjax.models.types import Hidden, Within
from resjax.probes.gradients import cosine, norm, per_layer

Pull = Callable[[Float[Array, " batch"]], tuple[Any, list[Array]]]


class Backward(NamedTuple):
    """What the backward passes gave: the gradient of the mean loss, and a row a pass of norms.

    grad_norm, act_grad_norm: |dL/dw| and |dL/dh| of every layer and unit; away: |dL/dw - that of the first pass|;
    act_grad_cosine: of dL/dh and dL/dx, x the unit's input, through the unit alone.
    """

    grads: Any
    grad_norm: Float[Array, "row layer"]
    away: Float[Array, "row layer"]
    act_grad_norm: Float[Array, "row unit"]
    act_grad_cosine: Float[Array, "row unit"]


def no_taps(model: Model) -> list[Float[Array, "unit _"]]:
    """Zeros for `tapped`, an array a segment: two a unit where its input has its output's shape, else one."""
    shapes = [(1, *model.shape), *(h.shape[1:] for h in model.hidden_shapes(1))]
    keeps = [before == after for before, after in pairwise(shapes)]
    return [jnp.zeros((run.count, 1 + kept), model.dtype) for run, kept in zip(model.runs, keeps, strict=True)]


def tapped(unit: RunUnit, x: Hidden, tap: Float[Array, " _"]) -> tuple[Hidden, Within]:
    """The unit as it is. The gradient "in tap" is |dL/dh|, and the cosine of dL/dh and dL/dx where there are two.

    So no gradient is kept for its norm. There is no forward mode.
    """
    if len(tap) == 1:
        h, within = unit(x)
        return _felt(h, tap[0]), within
    x, shadow = _enter(x, tap[1])
    h, within = unit(x)
    return _leave(h, shadow, tap[0]), within


@jax.custom_vjp
def _felt(h: Hidden, tap: Float[Array, ""]) -> Hidden:
    """h."""
    return h


@jax.custom_vjp
def _enter(x: Hidden, tap: Float[Array, ""]) -> tuple[Hidden, Hidden]:
    """x, and the place where `_leave` lays the gradient in h, so that it meets the gradient in x."""
    return x, jnp.zeros_like(x)


@jax.custom_vjp
def _leave(h: Hidden, shadow: Hidden, tap: Float[Array, ""]) -> Hidden:
    """h."""
    return h


_felt.defvjp(lambda h, tap: (h, None), lambda _, dh: (dh, norm(dh)))
_enter.defvjp(lambda x, tap: (_enter(x, tap), None), lambda _, grads: (grads[0], cosine(*grads)))
_leave.defvjp(lambda h, shadow, tap: (h, None), lambda _, dh: (dh, dh, norm(dh)))


def cotangents(batch: int, parts: int, each: bool, dtype: Any) -> Float[Array, "row batch"]:
    """What each pass weighs the examples' losses with: the mean of all; of each part; with `each`, every one alone.

    Parts are as many neighbouring examples each; what is left over is in none.
    """
    size = batch // max(parts, 1)
    rows = [jnp.full((1, batch), 1 / batch, dtype)]
    if parts:
        inside = (jnp.arange(batch) // size)[None] == jnp.arange(parts)[:, None]
        rows.append(inside.astype(dtype) / size)
    if each:
        rows.append(jnp.eye(batch, dtype=dtype))
    return jnp.concatenate(rows)


def backward(model: Model, pull: Pull, params: Any, rows: Float[Array, "row batch"]) -> Backward:
    """Every pass, one after the other; the first row is the mean's, whose gradient is kept. pull: from `jax.vjp`.

    A row alone is not scanned and not compared with itself: there is less to compile.
    """
    layers = model.weight_layers

    def one(row: Array) -> tuple[Any, tuple[Array, Array, Array]]:
        grads, taps = pull(row)
        norms = jnp.concatenate([tap[:, 0] for tap in taps])
        cosines = [tap[:, 1] if tap.shape[1] > 1 else jnp.full_like(tap[:, 0], jnp.nan) for tap in taps]
        return grads, (per_layer(norm, layers, grads), norms, jnp.concatenate(cosines))

    def further(first: Any, numbered: tuple[Array, Array]) -> tuple[Any, tuple[Array, ...]]:
        number, row = numbered
        grads, (norms, *of_taps) = one(row)
        first = jax.tree.map(lambda kept, grad: jnp.where(number == 0, grad, kept), first, grads)
        away = per_layer(norm, layers, jax.tree.map(jnp.subtract, grads, first))
        return first, (norms, away, *of_taps)

    if len(rows) == 1:
        grads, (norms, *of_taps) = one(rows[0])
        return Backward(grads, *(found[None] for found in (norms, jnp.zeros_like(norms), *of_taps)))
    nothing = jax.tree.map(jnp.zeros_like, params)
    first, found = lax.scan(further, nothing, (jnp.arange(len(rows)), rows))
    return Backward(first, *found)
