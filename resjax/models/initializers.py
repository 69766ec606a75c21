"""Initial values of weights."""

import math

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float


def he_normal(key: Array, shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "..."]:
    """w ~ N(0, 2/n), n the inputs of one output: the product of all axes but the last.

    Keeps a ReLU net's second moment from layer to layer (He et al. 2015, arXiv:1502.01852, eq. 10).
    """
    fan_in = math.prod(shape[:-1])
    return jnp.sqrt(jnp.asarray(2.0 / fan_in, dtype)) * jax.random.normal(key, shape, dtype)
