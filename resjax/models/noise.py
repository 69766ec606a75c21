"""What chance does in training. An example's noise follows from the step, the unit and its place in the whole batch."""

import zlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax.models.types import Hidden, Mode, fold


def dropout(x: Hidden, rate: float, mode: Mode, stream: str) -> Hidden:
    """In training each entry is zero with probability `rate`, else x / (1 - rate) (Srivastava et al. 2014).

    stream: what tells this dropout from the others of its unit.
    """
    if rate == 0 or not mode.train or mode.key is None:
        return x
    key = _stream(mode.key, stream)
    keep = jax.vmap(lambda place: jax.random.bernoulli(fold(key, place), 1 - rate, x.shape[1:]))(mode.places)
    return jnp.where(keep, x / (1 - rate), 0)


def survives(probability: Array, mode: Mode, dtype: jnp.dtype) -> Float[Array, ""]:
    """In training 1 with the probability, else 0, for the whole batch; in testing the probability."""
    if not mode.train or mode.key is None:
        return probability.astype(dtype)
    return jax.random.bernoulli(_stream(mode.key, "survives"), probability).astype(dtype)


def _stream(key: Array, name: str) -> Array:
    """The key of one use, told from the others by its name."""
    return fold(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)
