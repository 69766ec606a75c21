"""Pooling over windows."""

from dataclasses import dataclass

from flax import nnx

from resjax.models.types import Hidden


@dataclass(frozen=True)
class Pool:
    """kind: max or mean. side, stride: of the window, in pixels. padded: by side // 2, which no maximum sees."""

    kind: str
    side: int
    stride: int
    padded: bool = False

    def size(self, pixels: int) -> int:
        """Pixels a side after it; 0 where no window fits."""
        return (
            (pixels - 1) // self.stride + 1 if self.padded else max(pixels - self.side, -self.stride) // self.stride + 1
        )


def pooled(x: Hidden, pool: Pool | None) -> Hidden:
    """x pooled, or x."""
    if pool is None:
        return x
    pads = pool.side // 2 if pool.padded else 0
    operation = {"max": nnx.max_pool, "mean": nnx.avg_pool}[pool.kind]
    return operation(x, (pool.side,) * 2, (pool.stride,) * 2, ((pads, pads), (pads, pads)))
