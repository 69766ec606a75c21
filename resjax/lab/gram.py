"""Inner products of many gradients, of which two blocks at most are ever held."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from resjax.probes.gradients import norm

Block = list[Float[Array, "_row vector *_entry"]]


class Gram(NamedTuple):
    """Cosines of vectors, and their norms: g_i . g_j = cosines_ij norms_i norms_j. Apart they are all finite.

    A vector of zeros has the cosine 0 with everything. Each row has its own vectors.
    """

    cosines: np.ndarray  # (row, vector, vector)
    norms: np.ndarray  # (row, vector)

    @property
    def alike(self) -> np.ndarray:
        """The cosines, nan where a vector is zero."""
        there = self.norms > 0
        return np.where(there[:, :, None] & there[:, None], self.cosines, np.nan)

    @property
    def products(self) -> np.ndarray:
        """g_i . g_j, in units of each row's longest vector."""
        largest = self.norms.max(1, keepdims=True)
        scaled = self.norms / np.where(largest > 0, largest, 1)
        return self.cosines * scaled[:, :, None] * scaled[:, None]


def gram(block: Callable[[int], Block], blocks: int) -> Gram:
    """The Gram matrix of the vectors in block(0), block(1), ...; an array of a block is some rows' vectors.

    A block is computed again each time that it is met with another: blocks (blocks + 1) / 2 computations.
    """
    cosines = [[np.zeros(0)] * blocks for _ in range(blocks)]
    norms = []
    for i in range(blocks):
        one, lengths = _computed(block, i)
        norms.append(lengths)
        cosines[i][i] = jax.device_get(_products(one, one))
        for j in range(i + 1, blocks):
            other, _ = _computed(block, j)
            cosines[i][j] = jax.device_get(_products(one, other))
            cosines[j][i] = cosines[i][j].swapaxes(1, 2)
            del other  # before the next one is there
    return Gram(np.block(cosines).astype(np.float64), np.concatenate(norms, axis=1).astype(np.float64))


def _computed(block: Callable[[int], Block], number: int) -> tuple[Block, np.ndarray]:
    """A block's vectors of length 1, and the lengths."""
    # One program at a time, or virtual devices deadlock (jaxlib 0.10).
    return jax.block_until_ready(_directions(jax.block_until_ready(block(number))))


@jax.jit
def _directions(block: Block) -> tuple[Block, Float[Array, "row vector"]]:
    """Vectors of length 1, and the lengths."""
    lengths = [jax.vmap(jax.vmap(norm))(rows) for rows in block]
    safe = [jnp.where(each > 0, each, 1) for each in lengths]
    units = [rows / each.reshape(*each.shape, *[1] * (rows.ndim - 2)) for rows, each in zip(block, safe, strict=True)]
    return units, jnp.concatenate(lengths)


@jax.jit
def _products(one: Block, other: Block) -> Float[Array, "row vector vector"]:
    """Each row's inner products, as exact as the type allows."""
    flat = [[rows.reshape(*rows.shape[:2], -1) for rows in block] for block in (one, other)]
    found: list[Any] = [jnp.einsum("rid,rjd->rij", *rows, precision="highest") for rows in zip(*flat, strict=True)]
    return jnp.concatenate(found)
