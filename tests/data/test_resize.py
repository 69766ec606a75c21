import json

import numpy as np
import pytest

from resjax.config import DataConfig
from resjax.data import digests, resident, source
from resjax.data.resize import resized


def images(examples: int, height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(examples, height, width, channels)).astype(np.uint8)


def weights(old: int, new: int) -> np.ndarray:
    """Weights (new, old) of a triangle over each new pixel's middle, as wide as the larger of two pixels."""
    stretch = old / new
    middles = (np.arange(new)[:, None] + 0.5) * stretch - 0.5
    triangle = np.maximum(1 - np.abs(np.arange(old) - middles) / max(stretch, 1), 0)
    return triangle / triangle.sum(1, keepdims=True)


def test_a_2x2_image_at_4x4_by_hand() -> None:
    """Middles of the new pixels lie at -1/4, 1/4, 3/4 and 5/4 of the old: weights 1, 3/4, 1/4, 0 of the first."""
    small = np.array([[0, 80], [160, 240]], np.uint8).reshape(1, 2, 2, 1)
    expected = [[0, 20, 60, 80], [40, 60, 100, 120], [120, 140, 180, 200], [160, 180, 220, 240]]
    np.testing.assert_array_equal(resized(small, 4)[0, ..., 0], expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width", "size"), [(8, 8, 32), (8, 10, 13), (32, 32, 8), (9, 7, 8)])
def test_pixels_are_weighted_means(channels: int, height: int, width: int, size: int) -> None:
    before = images(3, height, width, channels)
    after = resized(before, size)
    assert (after.shape, after.dtype) == ((3, size, size, channels), np.uint8)
    expected = np.einsum("yh,xw,nhwc->nyxc", weights(height, size), weights(width, size), before.astype(float))
    np.testing.assert_allclose(after, expected, atol=1.01)  # rounded twice, once an axis


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_stays_constant(value: int) -> None:
    assert np.all(resized(np.full((2, 8, 8, 3), value, np.uint8), 21) == value)


def test_the_same_size_changes_nothing() -> None:
    before = images(4, 8, 8, 2)
    np.testing.assert_array_equal(resized(before, 8), before)


def test_three_channels_are_the_same_as_one_by_one() -> None:
    before = images(3, 8, 8, 3)
    np.testing.assert_array_equal(
        resized(before, 20), np.concatenate([resized(p, 20) for p in np.split(before, 3, -1)], -1)
    )


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_a_data_set_is_resized_after_the_cut(name: str) -> None:
    whole = source.load(DataConfig(name=name, train_examples=20, test_examples=10))
    loaded = source.load(DataConfig(name=name, train_examples=20, test_examples=10, resize=12))
    for before, after in ((whole.train, loaded.train), (whole.test, loaded.test)):
        np.testing.assert_array_equal(after.images, resized(before.images, 12))
        np.testing.assert_array_equal(after.labels, before.labels)
    assert loaded.classes == whole.classes


def test_only_examples_in_use_are_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(resident.resize, "resized", lambda images, size: seen.append(len(images)) or images)
    source.load(DataConfig(train_examples=20, test_examples=10, resize=32))
    assert seen == [20, 10]


def test_provenance_is_of_the_resized_arrays() -> None:
    whole, loaded = source.load(DataConfig()), source.load(DataConfig(resize=32))
    used = digests.of_arrays(loaded.train.images, loaded.train.labels, loaded.test.images, loaded.test.labels)
    assert loaded.train.images.shape == (1437, 32, 32, 1)
    assert loaded.provenance == whole.provenance | {"digest": used, "resize": 32}
    assert used != whole.provenance["digest"]
    assert "resize" not in whole.provenance
    json.dumps(loaded.provenance, allow_nan=False)
