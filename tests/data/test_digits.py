import numpy as np
import pytest
from sklearn.datasets import load_digits

from resjax.data import digests, digits


def test_split_is_1437_and_360_uint8_images() -> None:
    for (images, labels), count in zip(digits.arrays(), (1437, 360), strict=True):
        assert images.shape == (count, 8, 8, 1)
        assert labels.shape == (count,)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        assert (images.min(), images.max()) == (0, 255)
        assert set(labels) == set(range(10))


def test_every_class_has_a_fifth_in_the_test_set() -> None:
    (_, train), (_, test) = digits.arrays()
    counts, held_out = np.bincount(np.concatenate([train, test])), np.bincount(test)
    assert np.all(np.abs(held_out - counts / 5) < 1)


def test_split_is_disjoint_whole_and_in_the_original_order() -> None:
    train, test = digits.split(load_digits().target)
    assert not set(train) & set(test)
    assert set(train) | set(test) == set(range(1797))
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(test) > 0)


@pytest.mark.parametrize("file", [digits.FILE, "in/another/place"])
def test_images_and_labels_are_scikit_learns(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "FILE", file)
    original = load_digits()
    splits = zip(digits.arrays(), digits.split(original.target), strict=True)
    for (images, labels), indices in splits:
        np.testing.assert_array_equal(np.rint(images[..., 0] * (16 / 255)), original.images[indices])
        np.testing.assert_array_equal(labels, original.target[indices])


def test_split_is_the_same_on_every_machine() -> None:
    (train_images, train_labels), (test_images, test_labels) = digits.arrays()
    digest = digests.of_arrays(train_images, train_labels, test_images, test_labels)
    assert digest == "daf869787229aadb2423f8a92e08992a2b8bb68b745e4f677143a7ba2726623a"
