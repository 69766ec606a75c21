"""Statistics of what flows forward, one number a unit or response."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax.models.types import Hidden
from resjax.probes.gradients import rms


def act_rms(h: Hidden) -> Float[Array, ""]:
    """The root mean square of a unit's output over batch, space and channels."""
    return rms(h)


def response_std(response: Hidden) -> Float[Array, ""]:
    """The standard deviation of a response over batch, space and channels (He et al. 2015, fig. 7)."""
    return rms(response - response.mean())


def dead_fraction(h: Hidden) -> Float[Array, ""]:
    """The fraction of channels that are zero on every example and at every place."""
    return jnp.mean(jnp.all(h == 0, axis=tuple(range(h.ndim - 1))), dtype=h.dtype)
