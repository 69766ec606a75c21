"""The treatment: how a unit's input x joins its branch's output f. One function, the only thing two arms differ in.

Each is called as shortcut(x, f, mode) and gives h before the activation. Those without parameters are plain
functions; the others are modules with such a call.
"""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array

from resjax.models.units import Conv, Hidden, Mode

Shortcut = Callable[[Hidden, Hidden, Mode], Hidden]


def none(x: Hidden, f: Hidden, mode: Mode) -> Hidden:
    """No shortcut, h = f: the plain net."""
    return f


def identity(x: Hidden, f: Hidden, mode: Mode) -> Hidden:
    """Identity shortcut, h = x + f (He et al. 2015, arXiv:1512.03385, eq. 1).

    Where f is smaller and wider, x is subsampled and zero channels are appended: option A, no parameters.
    """
    return option_a(x, f.shape) + f


def option_a(x: Hidden, shape: tuple[int, ...]) -> Hidden:
    """x brought to `shape` by taking every stride-th pixel and appending zero channels (He et al. 2015, 3.3)."""
    if x.shape == shape:
        return x
    if x.ndim == 4:
        stride = -(-x.shape[1] // shape[1])
        x = x[:, ::stride, ::stride]
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, shape[-1] - x.shape[-1])])


class Projection(nnx.Module):
    """Projection shortcut, h = norm(W_s x) + f, W_s a 1x1 convolution (He et al. 2015, eq. 2)."""

    def __init__(self, key: Array, channels: tuple[int, int], stride: int, norm: type[nnx.Module], dtype: DTypeLike):
        self.conv = Conv(key, (1, 1, *channels), stride, dtype)
        self.norm = norm(channels[1], dtype)  # type: ignore[call-arg]

    def __call__(self, x: Hidden, f: Hidden, mode: Mode) -> Hidden:
        return self.norm(self.conv(x), mode) + f  # type: ignore[operator]
