"""Norms of gradients, weights and updates, layer by layer. All hold in float32 for entries as large as 1e25."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from resjax.models.network import LayerInfo


def norm(tree: Any) -> Float[Array, ""]:
    """The Euclidean norm over every entry of a pytree, |x| = m |x / m| with m the largest magnitude.

    Divided by m first, since 1e25 squared is not finite in float32. A non-finite entry gives a non-finite norm.
    """
    leaves = jax.tree.leaves(tree)
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in leaves]))
    safe = jnp.where(largest > 0, largest, 1)
    return largest * jnp.sqrt(sum(jnp.sum(jnp.square(leaf / safe)) for leaf in leaves))


def rms(x: Array) -> Float[Array, ""]:
    """The root mean square entry."""
    return norm(x) / np.sqrt(x.size)


def cosine(one: Array, other: Array) -> Float[Array, ""]:
    """one.other / (|one| |other|); nan where either is zero."""
    return jnp.sum((one / norm(one)) * (other / norm(other)))


def before(layers: Sequence[LayerInfo], tree: Any) -> Any:
    """Each weight layer's own array of the equal unit before it, in its place; nan where there is none."""
    stacked = {info.path for info in layers if info.index is not None}

    def shifted(path: tuple[Any, ...], leaf: Array) -> Array:
        nothing = jnp.full_like(leaf, jnp.nan)
        if tuple(entry.key for entry in path) not in stacked:
            return nothing
        return jnp.concatenate([nothing[:1], leaf[:-1]])

    return jax.tree.map_with_path(shifted, tree)


def per_layer(measure: Callable[..., Array], layers: Sequence[LayerInfo], *trees: Any) -> Float[Array, " layer"]:
    """`measure` of every weight layer's own array (of each tree), in forward order."""
    arrays = [dict(_by_path(tree)) for tree in trees]
    paths = list(dict.fromkeys(info.path for info in layers))
    values = [_measure_leaf(measure, path, layers, arrays) for path in paths]
    starts = dict(zip(paths, np.cumsum([0, *(len(value) for value in values)]), strict=False))
    # One gather puts them in forward order; a slice a layer would make a deep net slow to compile.
    return jnp.concatenate(values)[np.array([starts[info.path] + (info.index or 0) for info in layers])]


def _measure_leaf(
    measure: Callable[..., Array],
    path: tuple[Any, ...],
    layers: Sequence[LayerInfo],
    arrays: Sequence[dict[Any, Array]],
) -> Array:
    """`measure` of one array, or of each unit's part of a stacked one."""
    leaves = [by_path[path] for by_path in arrays]
    stacked = next(info.index is not None for info in layers if info.path == path)
    return jax.vmap(measure)(*leaves) if stacked else measure(*leaves)[None]


def _by_path(tree: Any) -> list[tuple[tuple[Any, ...], Array]]:
    """Leaves with their paths as names and numbers."""
    leaves, _ = jax.tree.flatten_with_path(tree)
    return [(tuple(entry.key for entry in path), leaf) for path, leaf in leaves]
