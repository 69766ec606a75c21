"""Crops of test images, cut on the device."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


def one_of_ten_crops(squares: Array, crop: int, number: Array) -> Array:
    """(batch, crop, crop, channel) of (batch, side, side, channel): of ten crops the one of this number.

    The centre is the first and its mirror image the second, then the corners likewise, row by row (Krizhevsky et al.
    2012, section 4.1).
    """
    far = squares.shape[1] - crop
    tops, lefts = (jnp.array(places) for places in ((far // 2, 0, 0, far, far), (far // 2, 0, far, 0, far)))
    start = (0, tops[number // 2], lefts[number // 2], 0)
    cut = lax.dynamic_slice(squares, start, (len(squares), crop, crop, squares.shape[-1]))
    return jnp.where(number % 2 == 1, cut[:, :, ::-1], cut)
