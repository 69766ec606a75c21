"""The types that a run computes in."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from resjax.config import Config


@dataclass(frozen=True)
class Precision:
    """keeps: the type of parameters, updates, statistics, logits, losses and probes. computes: that of what passes
    through the network in training and in tests, and of the products and convolutions there.
    """

    keeps: DTypeLike
    computes: DTypeLike


FOUND = jax.config.values["jax_default_matmul_precision"]  # where the user has a say: $JAX_DEFAULT_MATMUL_PRECISION
EXACT = "highest"  # JAX's word for products of float32 as they are
PRECISIONS = {
    "float32": Precision(jnp.float32, jnp.float32),
    "bfloat16": Precision(jnp.float32, jnp.bfloat16),
    "float64": Precision(jnp.float64, jnp.float64),
}


def precision(config: Config) -> Precision:
    """Of a run."""
    return PRECISIONS[config.train.precision]


def start(config: Config) -> None:
    """Let JAX have float64 or not, and a GPU round float32's inputs of products to TF32 or not (a TPU: bfloat16)."""
    jax.config.update("jax_enable_x64", config.train.precision == "float64")
    jax.config.update("jax_default_matmul_precision", FOUND if config.train.tf32 else EXACT)
