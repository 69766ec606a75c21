"""Linear CKA of representations by an unbiased estimator that takes examples batch by batch.

Kornblith et al. 2019, arXiv:1905.00414; Nguyen, Raghu and Kornblith 2021, arXiv:2010.15327, section 3.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from resjax.models.types import Hidden

LEAST = 4  # examples; of fewer the estimator is not defined


class Centred(NamedTuple):
    """What one batch knows of a representation: K of the features over `scale`, U-centred. scale: their largest
    departure from their mean, without which the fourth powers of a net that vanishes or explodes leave float32.
    """

    products: Float[Array, "*units batch batch"]
    scale: Float[Array, "*units"]


def centred(h: Hidden, inside: Bool[Array, " batch"]) -> Centred:
    """K = X X^T over the examples inside, U-centred: off the diagonal K_ij - r_i/(n-2) - r_j/(n-2) + s/((n-1)(n-2)),
    r the sums of rows without the diagonal and s theirs; zero on the diagonal (Szekely and Rizzo 2014).

    The sum of K_ij L_ij of two such is the three terms of HSIC_1 without their cancellation. It does not change with
    the features' mean, which is taken off first, for the same reason.
    """
    x, n = h.reshape(len(h), -1), inside.sum()
    x = jnp.where(inside[:, None], x - x.mean(0, keepdims=True, where=inside[:, None]), 0)
    scale = jnp.abs(x).max()
    x = x / jnp.where(scale > 0, scale, 1)
    off = inside[:, None] & inside[None] & ~jnp.eye(len(x), dtype=bool)
    k = jnp.where(off, x @ x.T, 0)
    rows = k.sum(1) / (n - 2)
    k = k - rows[:, None] - rows[None] + rows.sum() / (n - 1)
    return Centred(jnp.where(off, k, 0), scale)


def hsic(one: Centred, other: Centred, n: Array | int) -> Float[Array, "units others"]:
    """HSIC_1(K, L) of every pair, for features over their scales (Song et al. 2012; Nguyen et al. 2021, eq. 3).

    [tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2/(n-2) 1'KL1] / (n(n-3)), K and L with a zero diagonal: an unbiased estimate.
    """
    return jnp.einsum("unm,vnm->uv", one.products, other.products) / (n * (n - 3))


def scaled(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """HSIC_1 of the features themselves, in float64. values, scale: (units, units) of `hsic`, (units,) of `Centred`."""
    squares = np.square(np.asarray(scale, np.float64))
    return np.asarray(values, np.float64) * squares[:, None] * squares[None]


def cka(values: np.ndarray) -> np.ndarray:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) of every pair, (units, units); nan beside one that does not vary."""
    roots = np.sqrt(np.diagonal(values))
    with np.errstate(divide="ignore", invalid="ignore"):
        return values / roots[:, None] / roots[None]
