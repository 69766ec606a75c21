"""Pooling over windows."""

from flax import nnx

from resjax.models.types import Hidden
from resjax.plans.plan import Pool


def pooled(x: Hidden, pool: Pool | None) -> Hidden:
    """x pooled, or x."""
    if pool is None:
        return x
    pads = pool.side // 2 if pool.padded else 0
    operation = {"max": nnx.max_pool, "mean": nnx.avg_pool}[pool.kind]
    return operation(x, (pool.side,) * 2, (pool.stride,) * 2, ((pads, pads), (pads, pads)))
