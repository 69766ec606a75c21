"""What is read of a unit's output: means over a coarse grid of pixels, in units that float32 holds the sums of."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from resjax.lab.subject import Batch
from resjax.models.types import Hidden

Features = Float[Array, "units batch features"]


class Standard(NamedTuple):
    """A shift of each feature and one scale a unit, as one batch has them. Least squares does not depend on them."""

    shift: Float[Array, "units features"]
    scale: Float[Array, " units"]


class Sums(NamedTuple):
    """Over the examples of a batch: of 1, x, y, x x^T and x y^T, y the one-hot labels."""

    examples: Float[Array, ""]
    x: Float[Array, "units features"]
    y: Float[Array, " classes"]
    xx: Float[Array, "units features features"]
    xy: Float[Array, "units features classes"]


def averaged(h: Hidden, pixels: int, most: int) -> Float[Array, "batch features"]:
    """Means over a grid of at most `pixels` a side, fewer where these were more than `most` numbers, flattened."""
    if h.ndim == 2:
        return h
    side = max(side for side in range(1, pixels + 1) if side == 1 or side**2 * h.shape[-1] <= most)
    down, across = (jnp.asarray(windows(length, min(side, length)), h.dtype) for length in h.shape[1:3])
    return jnp.einsum("bhwc,ih,jw->bijc", h, down, across).reshape(len(h), -1)


def windows(length: int, count: int) -> np.ndarray:
    """(count, length): row i is the mean over floor(i length / count) to ceil((i + 1) length / count), the end not in.

    So does adaptive pooling.
    """
    starts, ends = np.arange(count) * length // count, -(np.arange(1, count + 1) * -length // count)
    place = np.arange(length)
    inside = (place >= starts[:, None]) & (place < ends[:, None])
    return inside / inside.sum(1, keepdims=True)


def standard(x: Features, batch: Batch) -> Standard:
    """The means of a batch, and the largest departure from them: 1 where there is none."""
    inside = batch.inside[None, :, None]
    shift = x.mean(1, where=inside)
    largest = jnp.abs(x - shift[:, None]).max((1, 2), where=inside, initial=0)
    return Standard(shift, jnp.where(largest > 0, largest, 1))


def standardized(x: Features, by: Standard) -> Features:
    """(x - shift) / scale."""
    return (x - by.shift[:, None]) / by.scale[:, None, None]


def sums(x: Features, batch: Batch, classes: int) -> Sums:
    """What least squares needs to know of a batch."""
    x = jnp.where(batch.inside[None, :, None], x, 0)
    y = jnp.where(batch.inside[:, None], jax.nn.one_hot(batch.labels, classes, dtype=x.dtype), 0)
    return Sums(y.sum(), x.sum(1), y.sum(0), jnp.einsum("unf,ung->ufg", x, x), jnp.einsum("unf,nc->ufc", x, y))
