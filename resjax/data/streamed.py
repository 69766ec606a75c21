"""Sets of encoded images, prepared by tensorflow-datasets or in a folder: streamed while training, or read at once."""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from resjax.data import folders, mock_imagenet, resize, splits, tfds_sets
from resjax.data.collection import Collection, ImageSet, Part, Slice, joined
from resjax.data.decode import CorruptError, decode
from resjax.data.prepared import root_of
from resjax.data.resident import Source, assemble, check_first, check_held_out
from resjax.data.survey import SAMPLE, digest, measured, require_readable
from resjax.data.views import Views
from resjax.dataconfig import DataConfig
from resjax.errors import InputError

SHARE_OF_MEMORY = 0.5  # that images read at once may take


@dataclass(frozen=True)
class Streamed:
    """A set that is read while training. mean, std: a number a channel, in units of a pixel's full range."""

    name: str
    train: Collection
    test: Collection
    classes: int
    provenance: dict[str, object]
    views: Views
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: Collection | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image as a net sees it."""
        return self.views.crop, self.views.crop, 3

    @property
    def examples(self) -> int:
        """To train on."""
        return len(self.train)

    @property
    def evaluated(self) -> dict[str, Collection]:
        """What no training sees, by name."""
        return {"test": self.test} | ({"validation": self.validation} if self.validation is not None else {})


def load(config: DataConfig) -> Source | Streamed:
    """The set that `config` names, of kind tfds or folder. InputError as of `source.load`."""
    found = opened(config)
    trained, tested = (chosen(found, config, which) for which in ("train", "test"))
    require_apart(trained, tested, config)
    require_classes(found, config)
    train, test = (joined([found.part(part) for part in parts]) for parts in (trained, tested))
    origin = f"{config.kind} {config.name}, {config.train_split} and {config.test_split}"
    if not config.streamed:
        arrays = (pixels_of(train, config, channels_of(found)), pixels_of(test, config, channels_of(found)))
        return assemble(config, arrays, found.classes, {"origin": origin, "verified": None})
    train, *validation = held_out(train, config)
    for part in (train, test, *validation):
        require_readable(part, Views.of(config), "data.test_split" if part is test else "data.train_split")
    mean, std = (config.mean, config.std) if config.mean and config.std else measured(train, Views.of(config))
    facts: dict[str, object] = {
        "digest": digest(found, [train, test, *validation]),
        "digest_of": f"names and sizes of all files, and {SAMPLE} images a split",
        "verified": None,
        "origin": origin,
        "train_examples": len(train),
        "test_examples": len(test),
        "mean": list(mean),
        "std": list(std),
        "test_view": f"shorter side {config.test_side}, centre crop {config.crop}",
    }
    views, numbers = Views.of(config), (tuple(mean), tuple(std))
    return Streamed(config.name, train, test, found.classes, facts, views, *numbers, *validation)


def opened(config: DataConfig) -> ImageSet:
    """The whole set. InputError where it is not there."""
    openers: dict[str, Callable[[DataConfig], ImageSet]] = {"tfds": open_tfds, "folder": open_folder}
    return openers[config.kind](config)


def require(config: DataConfig) -> None:
    """Raises InputError where the set is not there; none of its files is opened."""
    if config.kind == "folder":
        open_folder(config).require()
    elif config.name != mock_imagenet.NAME:
        tfds_sets.located(config.name, tfds_sets.roots(root_of(config.root), config.root is not None))


def open_tfds(config: DataConfig) -> ImageSet:
    """A set that tensorflow-datasets prepared; the made one is made where it is not there."""
    root = root_of(config.root)
    if config.name == mock_imagenet.NAME:
        mock_imagenet.prepared(root)
    return tfds_sets.opened(config.name, tfds_sets.roots(root, config.root is not None))


def open_folder(config: DataConfig) -> folders.FolderSet:
    """A folder of splits."""
    if config.root is None:
        raise InputError(
            "data=folder without data.root.\n"
            "Expected the folder that holds train/CLASS/image.jpg and the other split.\n"
            "Type: data.root=FOLDER"
        )
    trained, used = (
        splits.named(spelled) for spelled in (config.train_split, f"{config.train_split}+{config.test_split}")
    )
    return folders.FolderSet(Path(config.root), trained, used)


def shape_of(config: DataConfig) -> tuple[tuple[int, int, int], int]:
    """The shape of an image, and the number of classes, from what describes the set."""
    found = opened(config)
    if config.streamed:
        return (config.crop, config.crop, 3), found.classes
    part, *_ = chosen(found, config, "train")
    height, width, channels = pixels_of(found.part(part._replace(size=1)), config, channels_of(found))[0].shape[1:]
    size = (config.resize, config.resize) if config.resize else (height, width)
    return (*size, channels), found.classes


def examples_of(config: DataConfig) -> int:
    """Training and test examples."""
    found = opened(config)
    return sum(part.size for which in ("train", "test") for part in chosen(found, config, which))


def chosen(found: ImageSet, config: DataConfig, which: Literal["train", "test"]) -> list[Slice]:
    """The slices that the settings name, up to train_examples or test_examples. InputError where there are fewer."""
    slices = found.slices(getattr(config, f"{which}_split"), f"data.{which}_split")
    count = getattr(config, f"{which}_examples")
    check_first(sum(part.size for part in slices), count, f"data.{which}_examples")
    return slices if count is None else splits.first(slices, count)


def require_apart(trained: list[Slice], tested: list[Slice], config: DataConfig) -> None:
    """Raises InputError where an image is both trained and tested on."""
    for one, other in itertools.product(trained, tested):
        shared = min(one.first + one.size, other.first + other.size) - max(one.first, other.first)
        if one.split == other.split and shared > 0:
            raise InputError(
                f"data.train_split={config.train_split} and data.test_split={config.test_split} share {shared:,} "
                f"images of {one.split}.\nExpected tests on images that no training sees.\nType: "
                f"{splits.parted(one.split)}"
            )


def require_classes(found: ImageSet, config: DataConfig) -> None:
    """Raises InputError where there is nothing to tell apart."""
    if found.classes < 2:
        raise InputError(
            f"data.name={config.name} has classes: {found.classes}.\nExpected two or more, each with images.\n"
            f"Type: resjax train data={config.kind}, with another set"
        )


def held_out(train: Collection, config: DataConfig) -> list[Collection]:
    """What is left to train on, and the last validation_examples, where these are set."""
    if (count := config.validation_examples) is None:
        return [train]
    check_held_out(len(train), count)
    rest = len(train) - count
    return [Part(train, 0, rest), Part(train, rest, count)]


def channels_of(found: Any) -> int:
    """Of an image as the set describes it: 1 where it says that they are grey."""
    return 1 if isinstance(found, tfds_sets.TfdsSet) and found.shape[-1] == 1 else 3


def pixels_of(part: Collection, config: DataConfig, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """All images, uint8 (examples, height, width, channels), resized if so asked, and labels, int32.

    Raises InputError where their sizes differ, one cannot be read, or they are too many for the memory.
    """
    images, labels, shape = None, np.zeros(len(part), np.int32), (0, 0, 0)
    for index in range(len(part)):
        try:
            encoded = part[index]
            pixels = decode(encoded.image)[..., :channels]
        except (CorruptError, OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"{part.name(index)} cannot be read: {error}.\nExpected an image file.\n"
                "Type: data.streamed=true, where some may be missing; or take the file away"
            ) from error
        if config.resize is not None:
            pixels = resize.resized(pixels[None], config.resize)[0]
        if images is None:
            shape, images = pixels.shape, empty(len(part), pixels.shape)
        if pixels.shape != shape:
            raise InputError(
                f"{part.name(index)} has {pixels.shape[0]} x {pixels.shape[1]} pixels, the first "
                f"{shape[0]} x {shape[1]}.\n"
                "Expected one size for all that are read at once.\nType: data.resize=32, or data.streamed=true"
            )
        images[index], labels[index] = pixels, encoded.label
    assert images is not None
    return images, labels


def empty(count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Room for so many images. InputError where the machine has none."""
    wanted = count * int(np.prod(shape))
    there_is = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if wanted > SHARE_OF_MEMORY * there_is:
        raise InputError(
            f"{count:,} images of {' x '.join(map(str, shape))} take {wanted / 1e9:.1f} GB, and the machine has "
            f"{there_is / 1e9:.1f} GB.\nExpected half of it at most.\n"
            "Type: data.streamed=true, or data.train_examples=1000"
        )
    return np.empty((count, *shape), np.uint8)
