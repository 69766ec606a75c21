"""Pooling over windows."""

import jax.numpy as jnp
from flax import nnx

from resjax.models.types import Hidden
from resjax.plans.plan import Pool


def pooled(x: Hidden, pool: Pool | None) -> Hidden:
    """x pooled, or x."""
    if pool is None:
        return x
    pads = pool.side // 2 if pool.padded else 0
    operation = {"max": nnx.max_pool, "mean": nnx.avg_pool}[pool.kind]
    exact = x.astype(jnp.promote_types(x.dtype, jnp.float32)) if pool.kind == "mean" else x
    return operation(exact, (pool.side,) * 2, (pool.stride,) * 2, ((pads, pads), (pads, pads))).astype(x.dtype)
