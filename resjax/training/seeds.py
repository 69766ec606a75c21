"""Several seeds in one program: in turn, or side by side."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from resjax.config import Config


def over_seeds(config: Config) -> Callable[..., Any]:
    """each(f, *trees): f of every seed, whose axis leads every leaf of the trees and of the result.

    In turn or side by side, as `seeds_axis` says; the numbers are the same but for rounding.
    """
    if side_by_side(config):
        return lambda f, *trees: jax.vmap(f)(*trees)
    return in_turn


def in_turn(f: Callable[..., Any], *trees: Any) -> Any:
    """f of every seed i, f(*trees[i]), stacked; the seeds one after the other.

    The trees of the seed at work are copied and carried by the loop. Out of lax.map XLA's CPU backend moves the slice
    of a seed into every operation that reads a weight, which is slow (docs/performance.md).
    """

    def at(place: Array) -> Any:
        return jax.tree.map(lambda leaf: lax.dynamic_index_in_dim(leaf, place, keepdims=False), trees)

    def one(current: Any, following: Array) -> tuple[Any, Any]:
        return at(following), f(*current)

    count = len(jax.tree.leaves(trees)[0])
    return lax.scan(one, at(jnp.asarray(0)), jnp.arange(1, count + 1) % count)[1]


def seeds_axis(config: Config) -> str:
    """How seeds run: what `parallel.seeds_axis` names, or for auto the faster way on a CPU (docs/performance.md).

    map: in turn. vmap: side by side, which makes one product of the seeds' dense layers, and of their convolutions a
    grouped one, which is slow. product: side by side, the convolutions as products of patches too, which is also one.
    auto: vmap for nets without convolutions, map for the others; the same on other backends, where it is unmeasured.
    """
    if config.parallel.seeds_axis != "auto":
        return config.parallel.seeds_axis
    return "vmap" if config.model.name == "mlp" else "map"


def side_by_side(config: Config) -> bool:
    """Whether all seeds are at work at once."""
    return seeds_axis(config) != "map"


def as_products(config: Config) -> bool:
    """Whether convolutions are to be matrix products of patches, `Mode.products`."""
    return seeds_axis(config) == "product"
