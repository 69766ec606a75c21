"""Directions in the space of the weights, in which a step of 1 is as long as the weights themselves."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from resjax.errors import InputError
from resjax.models.network import LayerInfo

Path = tuple[Any, ...]


def filter_normalised(key: Array, params: Any, layers: Sequence[LayerInfo]) -> Any:
    """A Gaussian direction, d_i <- d_i |w_i| / |d_i| for every filter i (Li et al. 2018, arXiv:1712.09913, section 4).

    A filter is what makes one output channel of a convolution or one output of a dense layer, in one unit. Nothing
    else moves: d is 0 for biases and for the norms' scales, as in the paper. layers: the net's weight layers.
    """
    stacked = {layer.path: layer.index is not None for layer in layers}
    numbers = {path: number for number, path in enumerate(stacked)}

    def of_leaf(place: Any, weight: Array) -> Array:
        path = tuple(step.key for step in place)
        if path not in stacked:
            return jnp.zeros_like(weight)
        drawn = jax.random.normal(jax.random.fold_in(key, numbers[path]), weight.shape, weight.dtype)
        return drawn * filter_norms(weight, stacked[path]) / filter_norms(drawn, stacked[path])

    return jax.tree_util.tree_map_with_path(of_leaf, params)


def plane(key: Array, params: Any, layers: Sequence[LayerInfo], number: int = 0) -> tuple[Any, Any]:
    """Two directions that span a plane through a net. Nets of equal shapes get the same Gaussian numbers from a key."""
    one, other = (filter_normalised(jax.random.fold_in(key, 2 * number + side), params, layers) for side in range(2))
    return one, other


def stepped(params: Any, directions: tuple[Any, Any], steps: Float[Array, "2"]) -> Any:
    """theta + alpha d1 + beta d2, steps = (alpha, beta)."""
    alpha, beta = steps

    def of(w: Array, d1: Array, d2: Array) -> Array:
        return w + (alpha * d1 + beta * d2).astype(w.dtype)

    return jax.tree.map(of, params, *directions)


def steps(reach: float, count: int) -> np.ndarray:
    """An odd number of places from -reach to reach; the one in the middle is 0, and each has its mirror image."""
    half = count // 2
    return reach * np.arange(-half, half + 1) / max(half, 1)


def require_odd(name: str, count: int, middle: str) -> None:
    """InputError where the places along a slice are even in number: none would be in the middle, where `middle` is."""
    if count % 2 == 0:
        raise InputError(
            f"{name}={count} is even: no point would be {middle}.\nExpected an odd number.\nType: {name}={count + 1}"
        )


def filter_norms(kernel: Array, stacked: bool) -> Array:
    """|w_i| of every filter, to meet the kernel. stacked: its first axis is that of the units."""
    return jnp.sqrt(jnp.square(kernel).sum(range(int(stacked), kernel.ndim - 1), keepdims=True))
