import jax.numpy as jnp
import numpy as np
import pytest

from resjax.models.pooling import pooled
from resjax.plans.plan import Pool

POOLS = [
    Pool("max", 2, 2),
    Pool("mean", 2, 2),
    Pool("mean", 5, 3),
    Pool("max", 3, 2),
    Pool("max", 3, 2, padded=True),
    Pool("max", 3, 1, padded=True),
]


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def starts(pool: Pool, pixels: int) -> list[int]:
    """The first pixel of every window, which may lie outside on both sides if padded."""
    ahead = pool.side // 2 if pool.padded else 0
    return [start for start in range(-ahead, pixels, pool.stride) if start + pool.side <= pixels + ahead]


def by_hand(x: np.ndarray, pool: Pool) -> np.ndarray:
    """Window by window, of the pixels that there are."""
    reduce = {"max": np.max, "mean": np.mean}[pool.kind]
    rows, columns = (
        [slice(max(start, 0), start + pool.side) for start in starts(pool, pixels)] for pixels in x.shape[1:3]
    )
    return np.stack([np.stack([reduce(x[:, r, c], axis=(1, 2)) for c in columns], axis=1) for r in rows], axis=1)


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 10), (5, 6)])
def test_windows(height: int, width: int, pool: Pool) -> None:
    x = drawn(2, height, width, 3)
    out = pooled(jnp.asarray(x), pool)
    assert out.shape == (2, pool.size(height), pool.size(width), 3)
    np.testing.assert_allclose(out, by_hand(x, pool), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_size(pool: Pool) -> None:
    """Pixels a side are as many as there are windows; none where no window fits."""
    for pixels in range(1, 20):
        assert pool.size(pixels) == len(starts(pool, pixels)), pixels


def test_no_maximum_sees_the_padding() -> None:
    """Of numbers below 0."""
    x = -1 - np.abs(drawn(1, 5, 5, 2))
    assert np.max(pooled(jnp.asarray(x), Pool("max", 3, 2, padded=True))) < -1


def test_without_pooling_nothing_changes() -> None:
    x = jnp.asarray(drawn(1, 3, 4, 2))
    assert pooled(x, None) is x
