"""Crops of test images, cut on the device."""

import jax.numpy as jnp
from jaxtyping import Array


def middle_crop(squares: Array, crop: int) -> Array:
    """(batch, crop, crop, channel) of (batch, side, side, channel), at the centre."""
    start = (squares.shape[1] - crop) // 2
    return squares[:, start : start + crop, start : start + crop]


def ten_crops(squares: Array, crop: int) -> Array:
    """(10, batch, crop, crop, channel) of (batch, side, side, channel): centre, corners, each with its mirror image.

    The centre comes first (Krizhevsky et al. 2012, section 4.1).
    """
    far = squares.shape[1] - crop
    corners = [squares[:, top : top + crop, left : left + crop] for top in (0, far) for left in (0, far)]
    cut = [middle_crop(squares, crop), *corners]
    return jnp.stack([image for one in cut for image in (one, one[:, :, ::-1])])
