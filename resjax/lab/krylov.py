"""Spectra of symmetric matrices of which only products with vectors are known: Lanczos' method, by matfree."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matfree.decomp import tridiag_sym  # type: ignore[import-untyped]
from scipy.linalg import eigh_tridiagonal

Product = Callable[[Float[Array, " entry"]], Float[Array, " entry"]]
ROUNDING = 10  # times the type's last bit and the matrix: a step as short as this goes nowhere

SETTLED = 1e-3  # residual over eigenvalue


class Steps(NamedTuple):
    """Lanczos' steps with A: Q^T A Q has this diagonal, and beside it all of `beside` but the last, with Q^T Q = 1.

    The last of `beside` is the length of what A Q has outside of Q.
    """

    diagonal: Float[Array, " step"]
    beside: Float[Array, " step"]


class Ritz(NamedTuple):
    """What k steps know of A: A has an eigenvalue within residuals[i] of values[i], in rising order.

    weights: of Gauss's quadrature, start^T f(A) start = |start|^2 sum weights f(values), exact for polynomials up to
    degree 2k - 1; fewer than the steps where these have seen all of A that the start has a part in. No residual is
    smaller than rounding.
    """

    values: np.ndarray
    weights: np.ndarray
    residuals: np.ndarray


class Parted(NamedTuple):
    """The steps from one start; the eigenvalues that they found, nan for the rest; steps from others without these."""

    first: Steps
    found: Float[Array, " step"]
    rest: Steps


def lanczos(product: Product, start: Float[Array, " entry"], steps: int) -> Steps:
    """`steps` products with A, orthogonalised in full: so many vectors of A's size are kept (Golub and Meurant 2010).

    Where the start's Krylov space is smaller than that, what follows its end is noise, or nan: `ritz` cuts it off.
    """
    return _steps(product, start, steps)[0]


def _steps(product: Product, start: Array, steps: int) -> tuple[Steps, Float[Array, "step entry"]]:
    """The steps, and Q^T."""
    found = tridiag_sym(steps, materialize=False, reortho="full", custom_vjp=False)(product, start)
    diagonal, beside = found.J_small
    return Steps(diagonal, jnp.append(beside, jnp.linalg.norm(found.residual))), found.Q_tall


def parted(product: Product, start: Array, others: Float[Array, "start entry"], steps: int, few: int) -> Parted:
    """`steps` from `start`; the eigenvectors that they find are taken out of the `others` before `few` from each.

    So one eigenvalue that is larger than all the rest together does not hang on its chance part in a few starts (the
    thought of Hutch++, Meyer et al. 2021, arXiv:2010.09649).
    """
    first, basis = _steps(product, start, steps)
    settled, values, vectors = _settled(first, basis)

    def without(u: Array) -> Array:
        return u - vectors.T @ (vectors @ u)

    def rest(other: Array) -> Steps:
        return lanczos(lambda u: without(product(u)), without(without(other)), few)

    return Parted(first, jnp.where(settled, values, jnp.nan), jax.vmap(rest)(others))


def _settled(steps: Steps, basis: Array) -> tuple[Array, Array, Array]:
    """Which Ritz values of a matrix without negative eigenvalues are eigenvalues, all of them, and vectors: the unit
    eigenvectors of those, zeros for the others. Where the steps end early (nan) the matrix ends there.
    """
    diagonal, beside, basis = (jnp.where(jnp.isfinite(part), part, 0) for part in (*steps, basis))
    values, vectors = jnp.linalg.eigh(jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1))
    settled = beside[-1] * jnp.abs(vectors[-1]) < SETTLED * values
    return settled, values, jnp.where(settled[:, None], vectors.T @ basis, 0)


def ritz(steps: Steps) -> Ritz:
    """The eigenvalues of the tridiagonal matrix and their weights, the squares of the eigenvectors' first entries.

    nan, with the weight 1, where A is not finite.
    """
    bit = np.finfo(np.asarray(steps.diagonal).dtype).eps
    diagonal, beside = (np.asarray(part, np.float64) for part in steps)
    if not np.isfinite(diagonal[0]):
        return Ritz(np.array([np.nan]), np.ones(1), np.array([np.nan]))
    largest = np.maximum.accumulate(np.fmax(np.abs(diagonal), np.abs(beside)))
    ends = np.flatnonzero(~(beside > ROUNDING * bit * largest))
    count = int(ends[0]) + 1 if len(ends) else len(diagonal)
    values, vectors = eigh_tridiagonal(diagonal[:count], beside[: count - 1])
    left = 0.0 if len(ends) else beside[-1]
    rounding = float(ROUNDING * bit * largest[count - 1])
    return Ritz(values, vectors[0] ** 2, np.maximum(left * np.abs(vectors[-1]), rounding))
