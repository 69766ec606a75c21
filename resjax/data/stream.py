"""Batches computed on the device, inside jit, from (key, step): no iterator, so nothing to save or to lose."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt8

from resjax.data.resident import Split
from resjax.errors import InputError


class Arrays(NamedTuple):
    """A split as it lies on the device, and the statistics that standardise it, in units of 1/255.

    The training images' own: `mean` per pixel and channel, `scale` one number, the root mean square deviation. Or given
    ones: `mean` the same at every pixel, `scale` a number a channel.
    """

    images: UInt8[Array, "examples height width channel"]
    labels: Int[Array, " examples"]
    mean: Float[Array, "height width channel"]
    scale: Float[Array, ""] | Float[Array, "1 1 1 channel"]


class Scale(NamedTuple):
    """What standardises images that come from the host, batch by batch: as in `Arrays`."""

    mean: Float[Array, "height width channel"]
    scale: Float[Array, "1 1 1 channel"]


class Fed(NamedTuple):
    """What the host has read for one step: pixels, and what is to be added to each image's, in their full range."""

    images: UInt8[Array, "seed batch height width channel"]
    color: Float[Array, "seed batch channel"]
    labels: Int[Array, "seed batch"]


def to_arrays(
    split: Split,
    train: Split,
    dtype: np.typing.DTypeLike,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Arrays:
    """`split`, with what standardises it.

    Inputs are (x/255 - mean)/std for numbers a channel in units of a pixel's full range; without them (x - the training
    split's per-pixel mean)/its overall deviation (He et al. 2015, section 4.2). Raises InputError where there are not
    as many numbers as channels.
    """
    if mean is None and std is None:
        center, scale = training_statistics(train.images)
    else:
        center, scale = given_statistics(train.images.shape[1:], mean or [], std or [])
    return Arrays(*map(jnp.asarray, (split.images, split.labels, center.astype(dtype), scale.astype(dtype))))


def training_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of every pixel (height, width, channel), and the overall deviation ()."""
    mean = images.mean(0, dtype=np.float64)
    scale = np.sqrt(np.mean([np.square(image - mean).mean() for image in images]))
    return mean, np.asarray(scale or 1.0)  # one image, or all alike: there is nothing to divide by


def given_statistics(
    shape: tuple[int, ...], mean: Sequence[float], std: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """255 mean at every pixel (height, width, channel), and 255 std (1, 1, 1, channel).

    Raises InputError on a wrong count.
    """
    channels = shape[-1]
    if not len(mean) == len(std) == channels:
        raise InputError(
            f"data.mean={list(mean)} data.std={list(std)}: {len(mean)} and {len(std)} numbers, channels: {channels}.\n"
            f"Expected one number a channel in both, {channels} each.\n"
            f"Type: data.mean=[{','.join(['0.5'] * channels)}] data.std=[{','.join(['0.25'] * channels)}], "
            "with your numbers, or data.mean=null data.std=null"
        )
    return np.broadcast_to(255 * np.array(mean), shape), 255 * np.array(std).reshape(1, 1, 1, channels)


def to_scale(shape: tuple[int, ...], mean: Sequence[float], std: Sequence[float], dtype: np.typing.DTypeLike) -> Scale:
    """What standardises images of this shape by numbers a channel. Raises InputError on a wrong count."""
    center, scale = given_statistics(shape, mean, std)
    return Scale(jnp.asarray(center.astype(dtype)), jnp.asarray(scale.astype(dtype)))


def standardize(scale: Arrays | Scale, images: UInt8[Array, "batch height width channel"]) -> Array:
    """(image - mean) / scale."""
    return (images.astype(scale.mean.dtype) - scale.mean[None]) / scale.scale


def standardize_fed(scale: Scale, images: Array, color: Float[Array, "batch channel"]) -> Array:
    """(image + 255 color - mean) / scale."""
    added = 255 * color[:, None, None].astype(scale.mean.dtype)
    return (images.astype(scale.mean.dtype) + added - scale.mean[None]) / scale.scale


class Orders(NamedTuple):
    """The data's permutations in epochs `epoch` to `last`, one a row of `places`; further rows mean nothing."""

    epoch: Int[Array, ""]
    last: Int[Array, ""]
    places: Int[Array, "epochs examples"]


def no_orders(most: int, examples: int, batch: int) -> Orders:
    """Of no epoch, with the rows that the batches of `most` steps can need. Raises InputError beyond 32 bits."""
    if examples * batch >= 2**31:
        raise InputError(
            f"train.batch_size={batch} is too large for {examples} examples.\nExpected a product below 2^31.\n"
            f"Type: train.batch_size={(2**31 - 1) // examples}"
        )
    if most * batch + examples >= 2**31:
        raise InputError(
            f"parallel.chunk={most} is too many steps of {batch} examples.\nExpected a product below 2^31.\n"
            f"Type: parallel.chunk={(2**31 - 1 - examples) // batch}"
        )
    rows = (examples - 1 + most * batch - 1) // examples + 1
    return Orders(jnp.asarray(0), jnp.asarray(-1), jnp.zeros((rows, examples), int))


def epoch_orders(key: Array, before: Orders, step: Array | int, count: Array | int, batch: int) -> Orders:
    """The orders that the batches of steps `step` to `step` + `count` - 1 need; those in `before` are not drawn again.

    The stream is one permutation of the data after another, epoch e's drawn from fold_in(key, e).
    """
    rows, examples = before.places.shape
    epoch, _ = _position(step, examples, batch)
    at_last, first = _position(jnp.asarray(step, jnp.int32) + count - 1, examples, batch)
    last = at_last + (first + batch - 1) // examples

    def drawn(epoch: Array) -> Array:
        return jax.random.permutation(jax.random.fold_in(key, epoch), examples)

    def kept(epoch: Array) -> Array:
        return before.places[epoch - before.epoch]

    def order(epoch: Array) -> Array:
        # Shuffling 50,000 takes 20 ms on a CPU: only what is needed, and only once.
        known = (before.epoch <= epoch) & (epoch <= before.last) | (epoch > last)
        return lax.cond(known, kept, drawn, epoch)

    places = lax.map(order, epoch + jnp.arange(rows))
    return Orders(epoch.astype(before.epoch.dtype), last.astype(before.last.dtype), places)


def batch_indices(orders: Orders, step: Array | int, examples: int, batch: int) -> Int[Array, " batch"]:
    """Which examples make the batch of `step`: places step batch to (step + 1) batch - 1 of the stream.

    So batches straddle epochs.
    """
    epoch, first = _position(step, examples, batch)
    places = (epoch - orders.epoch) * examples + first + jnp.arange(batch, dtype=jnp.int32)
    return orders.places[places // examples, places % examples]


def _position(step: Array | int, examples: int, batch: int) -> tuple[Array, Array]:
    """divmod(step * batch, examples), written so that 32 bits hold it: the epoch, and the place in it."""
    quotient, rest = jnp.divmod(jnp.asarray(step, jnp.int32), examples)
    carried, first = jnp.divmod(rest * batch, examples)
    return quotient * batch + carried, first
