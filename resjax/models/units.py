"""The units a network is a chain of. A unit maps h_{l-1} to h_l and tells its responses on the way.

A response is the output of a weight layer after its norm, before the activation or the addition (He et al. 2015,
section 4.2, fig. 7). The shortcut is given to the unit; a unit does not know which one it has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import jax
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from resjax.models.convolution import conv2d
from resjax.models.initializers import he_normal

Hidden = Float[Array, "batch *_space _channel"]
Responses = tuple[Hidden, ...]
fold = jax.random.fold_in


@dataclass(frozen=True)
class Mode:
    """How to run a forward pass.

    train: batch statistics, which also move the running ones; else the running ones are used.
    group: examples that share batch statistics. axis: the device axis when each device sees its part, else None.
    """

    train: bool
    group: int
    axis: str | None = None


EVALUATE = Mode(train=False, group=1)


class Conv(nnx.Module):
    """k x k convolution without bias; the norm after it has one."""

    def __init__(self, key: Array, shape: tuple[int, int, int, int], stride: int, dtype: DTypeLike) -> None:
        self.kernel = nnx.Param(he_normal(key, shape, dtype))
        self.stride = stride

    def __call__(self, x: Hidden) -> Hidden:
        return conv2d(x, self.kernel[...], self.stride)


class Dense(nnx.Module):
    """x W, every example flattened to a row."""

    def __init__(self, key: Array, shape: tuple[int, int], dtype: DTypeLike) -> None:
        self.kernel = nnx.Param(he_normal(key, shape, dtype))

    def __call__(self, x: Hidden) -> Hidden:
        return x.reshape(x.shape[0], -1) @ self.kernel[...]


class Layer(nnx.Module):
    """relu(norm(W x)): a weight layer on its own, such as the stem."""

    WEIGHTS: ClassVar = ("weight",)

    def __init__(self, weight: nnx.Module, norm: nnx.Module) -> None:
        self.weight = weight
        self.norm = norm

    def __call__(self, x: Hidden, mode: Mode) -> tuple[Hidden, Responses]:
        response = self.norm(self.weight(x), mode)  # type: ignore[operator]
        return nnx.relu(response), (response,)


class BasicUnit(nnx.Module):
    """h = relu(shortcut(x, f)), f = norm(conv(relu(norm(conv(x))))) (He et al. 2015, fig. 2 and section 4.2)."""

    WEIGHTS: ClassVar = ("conv1", "conv2", "shortcut")

    def __init__(
        self,
        key: Array,
        channels: tuple[int, int],
        stride: int,
        shortcut: Callable[[Hidden, Hidden, Mode], Hidden],
        norm: type[nnx.Module],
        dtype: DTypeLike,
    ) -> None:
        before, after = channels
        self.conv1 = Conv(fold(key, 1), (3, 3, before, after), stride, dtype)
        self.norm1 = norm(after, dtype)  # type: ignore[call-arg]
        self.conv2 = Conv(fold(key, 2), (3, 3, after, after), 1, dtype)
        self.norm2 = norm(after, dtype)  # type: ignore[call-arg]
        self.shortcut = shortcut

    def __call__(self, x: Hidden, mode: Mode) -> tuple[Hidden, Responses]:
        first = self.norm1(self.conv1(x), mode)  # type: ignore[operator]
        f = self.norm2(self.conv2(nnx.relu(first)), mode)  # type: ignore[operator]
        return nnx.relu(self.shortcut(x, f, mode)), (first, f)


class DenseUnit(nnx.Module):
    """h = shortcut(x, f), f = relu(norm(W x + b)): H(x) = F(x) + x with F(x) = g(W x + b)."""

    WEIGHTS: ClassVar = ("dense",)

    def __init__(
        self,
        key: Array,
        width: int,
        shortcut: Callable[[Hidden, Hidden, Mode], Hidden],
        norm: type[nnx.Module],
        dtype: DTypeLike,
    ) -> None:
        self.dense = Dense(fold(key, 1), (width, width), dtype)
        self.norm = norm(width, dtype)  # type: ignore[call-arg]
        self.shortcut = shortcut

    def __call__(self, x: Hidden, mode: Mode) -> tuple[Hidden, Responses]:
        response = self.norm(self.dense(x), mode)  # type: ignore[operator]
        return self.shortcut(x, nnx.relu(response), mode), (response,)
