import numpy as np
import pytest

from resjax.data import digests, synthetic


def test_bytes_are_the_same_on_every_machine() -> None:
    (train_images, train_labels), (test_images, test_labels) = synthetic.arrays(16, 3, 10, 64, 32)
    digest = digests.of_arrays(train_images, train_labels, test_images, test_labels)
    assert digest == "6c20ca27e56cd910078ccb2efb4f18c1a87267f8704212c667f65385ff6ff488"


def test_default_sizes() -> None:
    (train_images, train_labels), (test_images, test_labels) = synthetic.arrays(8, 1, 2, None, None)
    assert (len(train_images), len(train_labels)) == (2048, 2048)
    assert (len(test_images), len(test_labels)) == (512, 512)


@pytest.mark.parametrize(("size", "channels", "classes"), [(8, 1, 2), (9, 3, 7), (32, 3, 10)])
def test_shapes_types_and_labels_in_turn(size: int, channels: int, classes: int) -> None:
    for images, labels in synthetic.arrays(size, channels, classes, 24, 12):
        assert images.shape == (len(labels), size, size, channels)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(labels, np.arange(len(labels)) % classes)


def test_first_examples_do_not_depend_on_how_many_are_made() -> None:
    (few, _), (test, _) = synthetic.arrays(8, 3, 10, 20, 30)
    (many, _), (other_test, _) = synthetic.arrays(8, 3, 10, 50, 10)
    np.testing.assert_array_equal(many[:20], few)
    np.testing.assert_array_equal(other_test, test[:10])


def test_examples_all_differ_within_and_between_splits() -> None:
    (train, _), (test, _) = synthetic.arrays(8, 1, 2, 100, 100)
    assert len({image.tobytes() for image in (*train, *test)}) == 200


@pytest.mark.parametrize("size", [8, 9, 32])
def test_enlarging_is_linear_interpolation(size: int) -> None:
    corners = np.eye(4)
    at = np.linspace(0, 3, size)
    expected = np.stack([np.interp(at, np.arange(4), corner) for corner in corners], axis=1)
    np.testing.assert_allclose(synthetic.bilinear(size) / (size - 1), expected, atol=1e-12)


def test_patterns_stay_in_their_range_and_use_it() -> None:
    patterns = synthetic.class_patterns(32, 3, 10)
    assert 64 <= patterns.min() < 70
    assert 185 < patterns.max() <= 191


def test_shift_covers_an_eighth_of_the_side_both_ways() -> None:
    found = {synthetic.shift(np.uint64(word), 32) for word in range(1000)}
    assert found == {(down, right) for down in range(-4, 5) for right in range(-4, 5)}


def test_noise_is_centred_with_the_documented_deviation() -> None:
    flat = np.full((2, 16, 16, 1), 128)
    images, _ = synthetic.examples(flat, 200, synthetic.TRAIN)
    noise = images.astype(float) - 128
    assert abs(noise.mean() + 0.5) < 1  # floor division: half a step below 0
    assert abs(noise.std() - 52) < 1


def test_class_means_tell_most_test_images_apart() -> None:
    (train, labels), (test, test_labels) = synthetic.arrays(16, 3, 10, 500, 500)
    means = np.stack([train[labels == label].mean(0) for label in range(10)])
    distances = ((test[:, None] - means[None]) ** 2).sum((2, 3, 4))
    accuracy = np.mean(distances.argmin(1) == test_labels)
    assert accuracy > 0.9
