"""What networks are made of, written out as slowly as it can be said; and numbers to try it on."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def drawn(*shape: int) -> jax.Array:
    """Normal numbers, the same for a shape at every call."""
    return jnp.asarray(np.random.default_rng(sum(shape)).standard_normal(shape))


def relu(x: jax.Array) -> jax.Array:
    """Its derivative at 0 is 0."""
    return jnp.where(x > 0, x, 0)


@partial(jax.jit, static_argnums=2)
def convolved(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Every window of the padded images times the kernel; x W for a matrix."""
    if kernel.ndim == 2:
        return x @ kernel
    side, (height, width) = len(kernel), x.shape[1:3]
    x = jnp.pad(x, [(0, 0), (side // 2, side // 2), (side // 2, side // 2), (0, 0)])
    rows, columns = (np.arange(0, size, stride)[:, None] + np.arange(side)[None] for size in (height, width))
    return jnp.einsum("bhiwjc,ijcd->bhwd", x[:, rows][:, :, :, columns], kernel)


def across(channels: jax.Array, x: jax.Array) -> jax.Array:
    """One number a channel, at every place of x."""
    return jnp.broadcast_to(channels, x.shape)


@partial(jax.jit, static_argnums=2)
def normed(x: jax.Array, norm: Any, group: int) -> jax.Array:
    """Batch norm over groups of so many examples, or a bias alone."""
    if "scale" in norm:
        grouped = x.reshape(len(x) // group, -1, x.shape[-1])
        centred = grouped - grouped.mean(1, keepdims=True)
        x = (centred / jnp.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)).reshape(x.shape)
        x = x * across(norm["scale"], x)
    return x + across(norm["bias"], x)
