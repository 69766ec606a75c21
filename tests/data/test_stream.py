from collections.abc import Callable
from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.data.augment import crop_flip
from resjax.data.resident import Split
from resjax.data.stream import batch_indices, epoch_orders, no_orders, standardize, to_arrays

KEY = jax.random.key(7)


def indices(key: jax.Array, step: jax.Array | int, examples: int, batch: int) -> jax.Array:
    """A batch's examples, from orders drawn for it alone."""
    return batch_indices(epoch_orders(key, no_orders(1, examples, batch), step, 1, batch), step, examples, batch)


compiled = jax.jit(indices, static_argnums=(2, 3))


def order(epoch: int, examples: int) -> np.ndarray:
    return np.asarray(jax.random.permutation(jax.random.fold_in(KEY, epoch), examples))


@pytest.mark.parametrize(("examples", "batch"), [(10, 4), (10, 10), (10, 25), (10, 1), (1, 3)])
def test_batches_are_one_permutation_after_another(examples: int, batch: int) -> None:
    steps = 3 * examples // batch + 4
    stream = np.concatenate([compiled(KEY, step, examples, batch) for step in range(steps)])
    expected = np.concatenate([order(epoch, examples) for epoch in range(len(stream) // examples + 1)])
    np.testing.assert_array_equal(stream, expected[: len(stream)])


@pytest.mark.parametrize(("start", "count"), [(0, 7), (3, 5), (5, 1)])
@pytest.mark.parametrize(("examples", "batch"), [(10, 4), (10, 25)])
def test_a_chunk_of_steps_has_the_batches_of_its_steps(examples: int, batch: int, start: int, count: int) -> None:
    """Also when a chunk follows another and takes over what that has drawn, from an epoch's middle or a later one."""
    draw = jax.jit(lambda *at: epoch_orders(KEY, *at, batch))
    nothing = no_orders(7, examples, batch)
    for before in (nothing, *(draw(nothing, first, 3) for first in (0, max(start - 3, 0), start + 20))):
        orders = draw(before, start, count)
        for step in range(start, start + count):
            expected = compiled(KEY, step, examples, batch)
            np.testing.assert_array_equal(batch_indices(orders, step, examples, batch), expected)


def test_what_is_drawn_is_not_drawn_again() -> None:
    """Orders taken over are those of before, even where they are wrong."""
    before = epoch_orders(KEY, no_orders(2, 10, 4), 0, 1, 4)
    spoiled = before._replace(places=before.places[:, ::-1])
    np.testing.assert_array_equal(epoch_orders(KEY, spoiled, 1, 1, 4).places[0], spoiled.places[0])


def test_a_chunk_that_32_bits_cannot_place_is_refused(refused: Callable[..., AbstractContextManager[None]]) -> None:
    with refused("parallel.chunk=1024", "Type: parallel.chunk=1023"):
        no_orders(1024, 1000, 2**21)


def test_every_epoch_is_a_permutation_of_its_own() -> None:
    stream = np.concatenate([compiled(KEY, step, 12, 9) for step in range(8)]).reshape(-1, 12)
    np.testing.assert_array_equal(np.sort(stream), np.tile(np.arange(12), (6, 1)))
    assert len({tuple(epoch) for epoch in stream}) == 6


@pytest.mark.parametrize("step", [390, 64_000, 2**24 + 1, 2**31 - 1])
def test_no_step_is_too_large(step: int) -> None:
    places = [step * 128 + place for place in range(128)]
    orders = {epoch: order(epoch, 50_000) for epoch in {place // 50_000 for place in places}}
    expected = [orders[place // 50_000][place % 50_000] for place in places]
    np.testing.assert_array_equal(compiled(KEY, step, 50_000, 128), expected)


def test_a_batch_that_32_bits_cannot_place_is_refused(refused: Callable[..., AbstractContextManager[None]]) -> None:
    with refused("train.batch_size=65536", "Type: train.batch_size=42949"):
        indices(KEY, 0, 50_000, 65_536)
    assert jax.eval_shape(lambda: indices(KEY, 0, 50_000, 42_949)).shape == (42_949,)


def test_a_batch_is_a_function_of_key_and_step_alone() -> None:
    once = np.asarray(compiled(KEY, 5, 12, 9))
    seeds = jax.jit(jax.vmap(lambda key: indices(key, 5, 12, 9)))(jnp.stack([jax.random.key(1), KEY]))
    np.testing.assert_array_equal(seeds[1], once)
    assert not np.array_equal(seeds[0], once)
    assert not np.array_equal(compiled(KEY, 6, 12, 9), once)


def test_double_precision_sees_the_same_batches() -> None:
    once = np.asarray(compiled(KEY, 3, 12, 9))
    with jax.enable_x64(True):
        np.testing.assert_array_equal(compiled(KEY, jnp.asarray(3), 12, 9), once)


def random_split(seed: int, examples: int) -> Split:
    random = np.random.default_rng(seed)
    images = random.integers(256, size=(examples, 4, 5, 3)).astype(np.uint8)
    return Split(images, random.integers(10, size=examples).astype(np.int32))


def test_training_images_have_mean_0_at_every_pixel_and_deviation_1_overall() -> None:
    train = random_split(0, 200)
    with jax.numpy_rank_promotion("raise"):
        result = np.asarray(standardize(to_arrays(train, train, np.float32), train.images))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(np.square(result).mean(), 1, rtol=1e-6)


def test_test_images_are_standardised_by_the_training_statistics() -> None:
    train, test = random_split(0, 50), random_split(1, 20)
    arrays = to_arrays(test, train, np.float32)
    mean = train.images.astype(float).mean(0)
    deviation = np.sqrt(np.mean((train.images - mean) ** 2))
    np.testing.assert_allclose(standardize(arrays, arrays.images), (test.images - mean) / deviation, atol=1e-5)
    np.testing.assert_array_equal(arrays.labels, test.labels)


def test_images_all_alike_stay_finite() -> None:
    train = random_split(0, 1)
    assert np.all(np.asarray(standardize(to_arrays(train, train, np.float32), train.images)) == 0)


def test_double_precision_stays_double() -> None:
    train = random_split(0, 3)
    with jax.enable_x64(True):
        arrays = to_arrays(train, train, np.float64)
        assert standardize(arrays, arrays.images).dtype == np.float64


@pytest.mark.parametrize("compile", [jax.jit, lambda function: function], ids=["jit", "eager"])
def test_without_given_numbers_one_deviation_divides_all(compile: Callable) -> None:
    train = random_split(0, 50)
    mean = train.images.mean(0, dtype=np.float64)
    scale = np.sqrt(np.mean(np.square(train.images - mean)))
    arrays = to_arrays(train, train, np.float32)
    assert arrays.scale.shape == ()  # a vector of equal numbers is divided by otherwise, an ulp apart
    np.testing.assert_array_equal(arrays.scale, np.float32(scale))
    np.testing.assert_array_equal(arrays.mean, mean.astype(np.float32))
    by_scalar = compile(lambda images, mean, scale: (images.astype(mean.dtype) - mean[None]) / scale)
    expected = by_scalar(arrays.images, arrays.mean, jnp.asarray(scale, jnp.float32))
    np.testing.assert_array_equal(compile(standardize)(arrays, arrays.images), expected)


MEAN, STD = [0.49186869, 0.49185976, 0.49185839], [0.24697122, 0.24696767, 0.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_given_numbers_standardise_whatever_the_training_images(dtype: type) -> None:
    train, test = random_split(0, 5), random_split(1, 20)
    with jax.enable_x64(dtype is np.float64), jax.numpy_rank_promotion("raise"):
        result = jax.jit(standardize)(to_arrays(test, train, dtype, MEAN, STD), test.images)
    expected = np.empty(test.images.shape)
    for channel in range(3):
        expected[..., channel] = (test.images[..., channel] / 255 - MEAN[channel]) / STD[channel]
    assert result.dtype == dtype
    np.testing.assert_allclose(result, expected, atol=1e-5 if dtype is np.float32 else 1e-13)


def test_black_and_white_are_0_and_1() -> None:
    ends = Split(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1), np.zeros(2, np.int32))
    result = standardize(to_arrays(ends, ends, np.float32, [0.0], [1.0]), ends.images)
    np.testing.assert_array_equal(np.ravel(result), [0, 1])


def test_the_border_of_a_crop_is_the_mean_colour() -> None:
    """Images of exactly the given mean are zeros, as is what crop_flip pads with."""
    image = np.broadcast_to(np.array([51, 102, 204], np.uint8), (1, 8, 8, 3))
    split = Split(image, np.zeros(1, np.int32))
    standard = standardize(to_arrays(split, split, np.float32, [0.2, 0.4, 0.8], STD), image)
    np.testing.assert_allclose(crop_flip(jax.random.split(KEY, 1), standard), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std"), [([0.5], [0.25]), ([0.5] * 4, [0.25] * 4), ([0.5] * 3, [0.25]), ([], []), ([0.5] * 3, None)]
)
def test_numbers_are_as_many_as_channels(
    mean: list[float], std: list[float] | None, refused: Callable[..., AbstractContextManager[None]]
) -> None:
    train = random_split(0, 2)
    with refused(
        f"data.mean={mean} data.std={std or []}", "3 each", "data.mean=[0.5,0.5,0.5] data.std=[0.25,0.25,0.25]"
    ):
        to_arrays(train, train, np.float32, mean, std)
