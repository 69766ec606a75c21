from itertools import product

import jax
import numpy as np
import pytest

from resjax.data.augment import crop_flip

IMAGE = np.arange(1, 8 * 8 * 3 + 1, dtype=np.float32).reshape(8, 8, 3)  # no two pixels alike, and no zero
COUNT = 4000
compiled = jax.jit(crop_flip)


def every_outcome(image: np.ndarray) -> dict[bytes, tuple[int, int, bool]]:
    """Each window of the padded image, mirrored or not, by its bytes: the reference."""
    height, width, _ = image.shape
    padded = np.pad(image, [(4, 4), (4, 4), (0, 0)])
    outcomes = {}
    for top, left in product(range(9), range(9)):
        window = padded[top : top + height, left : left + width]
        outcomes[window.tobytes()] = (top, left, False)
        outcomes[window[:, ::-1].tobytes()] = (top, left, True)
    return outcomes


@pytest.fixture(scope="module")
def drawn() -> list[tuple[int, int, bool]]:
    """(top, left, mirrored) of 4,000 augmented copies of one image."""
    keys = jax.random.split(jax.random.key(0), COUNT)
    images = np.asarray(compiled(keys, np.broadcast_to(IMAGE, (COUNT, *IMAGE.shape))))
    outcomes = every_outcome(IMAGE)
    return [outcomes[image.tobytes()] for image in images]  # a KeyError is an image that cannot come out


def test_every_window_comes_out_equally_often(drawn: list[tuple[int, int, bool]]) -> None:
    for axis in (0, 1):
        shares = np.bincount([outcome[axis] for outcome in drawn], minlength=9) / COUNT
        assert len(shares) == 9
        np.testing.assert_allclose(shares, 1 / 9, atol=0.02)  # four standard errors
    assert len({outcome[:2] for outcome in drawn}) == 81


def test_half_are_mirrored_whatever_the_window(drawn: list[tuple[int, int, bool]]) -> None:
    top, left, mirrored = np.array(drawn).T
    assert abs(mirrored.mean() - 0.5) < 0.032  # four standard errors
    assert abs(np.corrcoef(top, mirrored)[0, 1]) < 0.064
    assert abs(np.corrcoef(left, mirrored)[0, 1]) < 0.064
    assert abs(np.corrcoef(top, left)[0, 1]) < 0.064


def test_an_image_depends_on_its_own_key_alone() -> None:
    keys = jax.random.split(jax.random.key(1), 6)
    images = np.random.default_rng(0).normal(size=(6, 8, 8, 1)).astype(np.float32)
    whole, backwards = compiled(keys, images), compiled(keys[::-1], images[::-1])
    np.testing.assert_array_equal(backwards[::-1], whole)
    assert not np.array_equal(compiled(keys[::-1], images), whole)


def test_type_and_shape_are_kept() -> None:
    with jax.enable_x64(True):
        images = jax.ShapeDtypeStruct((2, 8, 10, 3), np.float64)
        result = jax.eval_shape(crop_flip, jax.random.split(jax.random.key(0), 2), images)
    assert (result.shape, result.dtype) == (images.shape, images.dtype)
