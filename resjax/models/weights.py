"""Weight layers: what holds a kernel, with the name and kind under which the probes report it.

Products and convolutions are taken in the type of what enters, with the kernel rounded to it; numbers that meet many
entries at once, such as a bias, in their own type, so that their gradients' long sums are, too; then it is rounded.
"""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array

from resjax.models.convolution import conv2d
from resjax.models.types import Hidden, Mode


class Conv(nnx.Module):
    """k x k convolution without bias; the norm has one."""

    def __init__(self, kernel: Array, stride: int, name: str, kind: str) -> None:
        self.kernel = nnx.Param(kernel)
        self.stride, self.name, self.kind = stride, name, kind

    def __call__(self, x: Hidden, mode: Mode) -> Hidden:
        return conv2d(x, self.kernel[...].astype(x.dtype), self.stride, mode.products)


class Dense(nnx.Module):
    """x W, every example flattened to a row."""

    def __init__(self, kernel: Array, name: str, kind: str) -> None:
        self.kernel = nnx.Param(kernel)
        self.name, self.kind = name, kind

    def __call__(self, x: Hidden, _: Mode) -> Hidden:
        return x.reshape(x.shape[0], -1) @ self.kernel[...].astype(x.dtype)


class FixupWeight(nnx.Module):
    """s W (x + b), b a scalar from 0, s a scalar from 1 in a branch's last layer (Zhang et al. 2019, section 3)."""

    def __init__(self, weight: Conv | Dense, scaled: bool, dtype: DTypeLike) -> None:
        self.weight = weight
        self.name = weight.name
        self.shift = nnx.Param(jnp.zeros((), dtype))
        self.multiplier = nnx.Param(jnp.ones((), dtype)) if scaled else None

    def __call__(self, x: Hidden, mode: Mode) -> Hidden:
        y = self.weight((x + self.shift[...]).astype(x.dtype), mode)
        return y if self.multiplier is None else (y * self.multiplier[...]).astype(x.dtype)
