"""Against numpy on all vectors at once."""

import jax.numpy as jnp
import numpy as np
import pytest

from resjax.lab.gram import gram

VECTORS = 12


def vectors() -> list[np.ndarray]:
    """Two rows of images' and one of longer vectors, one of them zero."""
    chance = np.random.default_rng(0)
    found = [chance.standard_normal((2, VECTORS, 3, 4)), chance.standard_normal((1, VECTORS, 30))]
    found[0][1, 5] = 0
    return found


@pytest.mark.parametrize("size", [1, 3, 4, 12])
def test_against_the_dense_matrix_whatever_the_blocks(size: int) -> None:
    arrays = vectors()
    held: list[int] = []

    def block(number: int) -> list[jnp.ndarray]:
        held.append(number)
        return [jnp.asarray(rows[:, number * size : (number + 1) * size], jnp.float32) for rows in arrays]

    found = gram(block, VECTORS // size)
    flat = [rows.reshape(*rows.shape[:2], -1) for rows in arrays]
    dense = np.concatenate([rows @ rows.swapaxes(1, 2) for rows in flat])
    np.testing.assert_allclose(found.norms**2, np.diagonal(dense, axis1=1, axis2=2), rtol=1e-5)
    largest = np.diagonal(dense, axis1=1, axis2=2).max(1)
    np.testing.assert_allclose(found.products, dense / largest[:, None, None], atol=1e-6)
    assert not found.cosines[1, 5].any()
    blocks = VECTORS // size
    assert len(held) == blocks * (blocks + 1) // 2


def test_vectors_whose_squares_are_not_numbers_of_float32() -> None:
    """1e30 explodes, 1e-30 vanishes, when squared."""
    one = np.zeros((1, 2, 3))
    one[0] = [[3e30, 4e30, 0], [1e-30, 0, 0]]
    found = gram(lambda number: [jnp.asarray(one, jnp.float32)], 1)
    np.testing.assert_allclose(found.norms[0], [5e30, 1e-30], rtol=1e-6)
    np.testing.assert_allclose(found.cosines[0], [[1, 0.6], [0.6, 1]], rtol=1e-6)
