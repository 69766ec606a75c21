"""Statistics of what flows forward, one number a unit or response."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax.models.types import Hidden
from resjax.probes.gradients import rms


def act_rms(h: Hidden) -> Float[Array, ""]:
    """The root mean square of a unit's output over batch, space and channels."""
    return rms(h)


def act_var(h: Hidden) -> Float[Array, ""]:
    """The variance over batch and space, a channel on its own, then the mean over channels.

    Theory's Var(x_l): what batch norm divides by. Not finite in float32 from a deviation of 1e19 on.
    """
    return jnp.square(rms(h - h.mean(tuple(range(h.ndim - 1)), keepdims=True)))


def act_correlation(h: Hidden) -> Float[Array, ""]:
    """The mean over all pairs of different examples of cos(h_i, h_j) = h_i.h_j / (|h_i| |h_j|).

    With u_i = h_i / |h_i|: (|sum_i u_i|^2 - sum_i |u_i|^2) / (n (n - 1)). An
    example of zeros is at a right angle to all.
    """
    rows = h.reshape(len(h), -1)
    largest = jnp.max(jnp.abs(rows), axis=1, keepdims=True)
    rows = rows / jnp.where(largest > 0, largest, 1)
    lengths = jnp.sqrt(jnp.sum(jnp.square(rows), axis=1, keepdims=True))
    rows = rows / jnp.where(lengths > 0, lengths, 1)
    pairs = len(h) * (len(h) - 1)
    return (jnp.sum(jnp.square(rows.sum(0))) - jnp.sum(jnp.square(rows))) / pairs


def response_std(response: Hidden) -> Float[Array, ""]:
    """The standard deviation of a response over batch, space and channels (He et al. 2015, fig. 7)."""
    return rms(response - response.mean())


def dead_fraction(h: Hidden) -> Float[Array, ""]:
    """The fraction of channels that are zero on every example and at every place."""
    return jnp.mean(jnp.all(h == 0, axis=tuple(range(h.ndim - 1))), dtype=h.dtype)
