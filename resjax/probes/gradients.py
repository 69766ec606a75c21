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


def cosine_before(layers: Sequence[LayerInfo], tree: Any) -> Float[Array, " layer"]:
    """The cosine of every weight layer's own array and that of the equal unit before it; nan where there is none."""

    def of_path(is_stacked: bool, leaf: Array) -> Array:
        nothing = jnp.full(1, jnp.nan, leaf.dtype)
        if not is_stacked or len(leaf) == 1:
            return nothing
        return jnp.concatenate([nothing, jax.vmap(cosine)(leaf[1:], leaf[:-1])])

    return _gathered(of_path, layers, tree)


def per_layer(measure: Callable[..., Array], layers: Sequence[LayerInfo], *trees: Any) -> Float[Array, " layer"]:
    """`measure` of every weight layer's own array (of each tree), in forward order."""

    def of_path(is_stacked: bool, *leaves: Array) -> Array:
        return jax.vmap(measure)(*leaves) if is_stacked else measure(*leaves)[None]

    return _gathered(of_path, layers, *trees)


def _gathered(of_path: Callable[..., Array], layers: Sequence[LayerInfo], *trees: Any) -> Array:
    """A number a weight layer, in forward order: `of_path` gives those of a path, one, or one a unit of its stack.

    It is called with whether the path's arrays are stacked, and with them.
    """
    arrays = [dict(_by_path(tree)) for tree in trees]
    stacked_by_path = {info.path: info.index is not None for info in layers}
    values = [of_path(is_, *(by_path[path] for by_path in arrays)) for path, is_ in stacked_by_path.items()]
    starts = dict(zip(stacked_by_path, np.cumsum([0, *(len(value) for value in values)]), strict=False))
    # One gather puts them in forward order; a slice a layer would make a deep net slow to compile.
    return jnp.concatenate(values)[np.array([starts[info.path] + (info.index or 0) for info in layers])]


def _by_path(tree: Any) -> list[tuple[tuple[Any, ...], Array]]:
    """Leaves with their paths as names and numbers."""
    leaves, _ = jax.tree.flatten_with_path(tree)
    return [(tuple(entry.key for entry in path), leaf) for path, leaf in leaves]
