"""Laws of the initial weights. A kernel's inputs n are the product of all its axes but the last."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from resjax.errors import InputError

Kernel = Float[Array, "..."]
NEWTON_STEPS = 65


@dataclass(frozen=True)
class Role:
    """Where a kernel stands. place: stem, hidden, branch_last, shortcut or head.

    branches: residual branches of the network, L; layers: weight layers of a branch, m.
    """

    place: str = "hidden"
    branches: int = 1
    layers: int = 1


Initializer = Callable[[Array, tuple[int, ...], DTypeLike, Role], Kernel]


def normal(key: Array, shape: tuple[int, ...], dtype: DTypeLike, variance: float) -> Kernel:
    """w ~ N(0, variance)."""
    return jnp.sqrt(jnp.asarray(variance, dtype)) * jax.random.normal(key, shape, dtype)


def he(key: Array, shape: tuple[int, ...], dtype: DTypeLike, role: Role) -> Kernel:
    """w ~ N(0, 2/n): keeps a ReLU net's second moment from layer to layer (He et al. 2015, 1502.01852, eq. 10)."""
    return normal(key, shape, dtype, 2 / math.prod(shape[:-1]))


def lecun(key: Array, shape: tuple[int, ...], dtype: DTypeLike, role: Role) -> Kernel:
    """w ~ N(0, 1/n): keeps a linear net's (LeCun et al. 1998)."""
    return normal(key, shape, dtype, 1 / math.prod(shape[:-1]))


def glorot(key: Array, shape: tuple[int, ...], dtype: DTypeLike, role: Role) -> Kernel:
    """w ~ N(0, 2 / (n + n')), n' the outputs of one input (Glorot and Bengio 2010, eq. 12, for a normal law)."""
    outputs = math.prod(shape[:-2]) * shape[-1]
    return normal(key, shape, dtype, 2 / (math.prod(shape[:-1]) + outputs))


def orthogonal(key: Array, shape: tuple[int, ...], dtype: DTypeLike, role: Role) -> Kernel:
    """The kernel as an (n, outputs) matrix with orthonormal rows or columns, uniform (Saxe et al. 2014)."""
    return _orthogonal(key, math.prod(shape[:-1]), shape[-1], dtype).reshape(shape)


def delta_orthogonal(key: Array, shape: tuple[int, ...], dtype: DTypeLike, role: Role) -> Kernel:
    """An orthogonal matrix of the channels at the kernel's centre, zero elsewhere (Xiao et al. 2018, algorithm 1).

    Keeps the norm of every pixel's channels, so it asks for at least as many outputs as inputs.
    """
    read = role.place == "head" or (role.place == "stem" and len(shape) == 2)  # a row of pixels may be projected
    if shape[-2] > shape[-1] and not read:
        raise InputError(
            f"model.init=delta_orthogonal needs layers that do not shrink, and one has {shape[-2]} inputs for "
            f"{shape[-1]} outputs.\nExpected as many outputs as inputs.\nType: model.init=orthogonal"
        )
    return _centred(_orthogonal(key, shape[-2], shape[-1], dtype), shape)


def looks_linear(key: Array, shape: tuple[int, ...], dtype: DTypeLike, role: Role) -> Kernel:
    """[[W, -W], [-W, W]] with W orthogonal: channels come in pairs u, -u, and relu(u) - relu(-u) = u.

    The stem's inputs and the head's outputs are not paired (Balduzzi et al. 2017, arXiv:1702.08591, section 4.1).
    """
    before, after = shape[-2], shape[-1]
    inner = (
        *shape[:-2],
        before if role.place == "stem" else before // 2,
        after if role.place == "head" else after // 2,
    )
    kernel = orthogonal(key, inner, dtype, role)
    if role.place != "head":
        kernel = jnp.concatenate([kernel, -kernel], axis=-1)
    return kernel if role.place == "stem" else jnp.concatenate([kernel, -kernel], axis=-2)


def fixup(key: Array, shape: tuple[int, ...], dtype: DTypeLike, role: Role) -> Kernel:
    """he L^(-1 / (2m - 2)) in a branch; zero in its last layer and in the head; he outside."""
    if role.place in ("branch_last", "head"):
        return jnp.zeros(shape, dtype)
    kernel = he(key, shape, dtype, role)
    if role.place != "hidden" or role.layers == 1:
        return kernel
    return kernel * role.branches ** (-1 / (2 * role.layers - 2))


def _orthogonal(key: Array, rows: int, columns: int, dtype: DTypeLike) -> Float[Array, "rows columns"]:
    """Uniform among the matrices whose shorter side's vectors are orthonormal: the polar factor of a normal matrix.

    By Newton and Schulz, X <- X (3 - X'X) / 2, which is matrix products alone: several QR calls at once stop JAX's CPU
    threads for good (jaxlib 0.10.2, two cores). Singular values from 1e-10 on reach 1 in as many steps.
    """
    tall = jax.random.normal(key, (max(rows, columns), min(rows, columns)), dtype)
    largest = math.sqrt(rows) + math.sqrt(columns)  # singular value, but for a little

    def step(_: Array, x: Array) -> Array:
        gram = jnp.matmul(x.T, x, precision=lax.Precision.HIGHEST)
        return 1.5 * x - 0.5 * jnp.matmul(x, gram, precision=lax.Precision.HIGHEST)

    q = lax.fori_loop(0, NEWTON_STEPS, step, tall / (1.1 * largest))
    return q if rows >= columns else q.T


def _centred(matrix: Float[Array, "rows columns"], shape: tuple[int, ...]) -> Kernel:
    """The matrix at the centre of a kernel of zeros; the matrix itself for a dense layer."""
    if len(shape) == 2:
        return matrix
    return jnp.zeros(shape, matrix.dtype).at[shape[0] // 2, shape[1] // 2].set(matrix)


INITS: dict[str, Initializer] = {
    "he": he,
    "lecun": lecun,
    "glorot": glorot,
    "orthogonal": orthogonal,
    "delta_orthogonal": delta_orthogonal,
    "looks_linear": looks_linear,
    "fixup": fixup,
}
