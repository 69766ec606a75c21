"""Sets as arrays: splits of uint8 images with labels, cut to what is asked for, and where they came from."""

from dataclasses import dataclass

import numpy as np

from resjax.data import digests, digits, resize
from resjax.dataconfig import DataConfig
from resjax.errors import InputError


@dataclass(frozen=True)
class Split:
    """Examples in a fixed order."""

    images: np.ndarray  # uint8 (examples, height, width, channels)
    labels: np.ndarray  # int32 (examples,)


@dataclass(frozen=True)
class Source:
    """A data set as loaded. `provenance` is plain JSON and goes into every run's record."""

    name: str
    train: Split
    test: Split
    classes: int
    provenance: dict[str, object]
    validation: Split | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image, (height, width, channels)."""
        return self.train.images.shape[1:]

    @property
    def examples(self) -> int:
        """To train on."""
        return len(self.train.labels)

    @property
    def evaluated(self) -> dict[str, Split]:
        """What no training sees, by name: the test set, and the validation set where there is one."""
        return {"test": self.test} | ({"validation": self.validation} if self.validation else {})


def assemble(
    config: DataConfig, splits: tuple[digits.Examples, digits.Examples], classes: int, facts: dict[str, object]
) -> Source:
    """A Source of the first examples asked for, resized if so asked, with the digest of what is used."""
    train, *validation = hold_out(first(splits[0], config.train_examples, "data.train_examples"), config)
    used = [train, first(splits[1], config.test_examples, "data.test_examples"), *validation]
    if config.resize is not None:
        used = [Split(resize.resized(split.images, config.resize), split.labels) for split in used]
        facts = facts | {"resize": config.resize}
    digest = digests.of_arrays(*(array for split in used for array in (split.images, split.labels)))
    return Source(config.name, used[0], used[1], classes, {"digest": digest, **facts}, *used[2:])


def first(examples: digits.Examples, count: int | None, setting: str) -> Split:
    """The first `count` examples, or all. Raises InputError where there are fewer."""
    images, labels = examples
    check_first(len(labels), count, setting)
    return Split(images[:count], labels[:count])


def check_first(there_are: int, count: int | None, setting: str) -> None:
    """Raises InputError where there are fewer than `count` examples."""
    if count is not None and not 1 <= count <= there_are:
        raise InputError(
            f"{setting}={count} cannot be had.\n"
            f"Expected 1 to {there_are}, as many as there are.\n"
            f"Type: {setting}={there_are}, or {setting}=null for all"
        )


def hold_out(train: Split, config: DataConfig) -> list[Split]:
    """What is left to train on, which also gives the mean; and the last validation_examples, where these are set.

    So did He et al. 2015 with CIFAR-10, 45k/5k (section 4.2). The order of every data set here mixes the classes, and
    the last of CIFAR-10 are like any others; the last of the digits are other writers' than those before, and harder:
    1-NN errs on 5 % of the last 300, on 1 % of 300 drawn at random. Raises InputError where nothing would be left.
    """
    if (count := config.validation_examples) is None:
        return [train]
    check_held_out(len(train.labels), count)
    return [Split(train.images[part], train.labels[part]) for part in (slice(-count), slice(-count, None))]


def check_held_out(there_are: int, count: int) -> None:
    """Raises InputError where nothing would be left to train on."""
    if not 1 <= count < there_are:
        raise InputError(
            f"data.validation_examples={count} cannot be held out of {there_are} training examples.\n"
            f"Expected fewer, and 1 or more.\n"
            f"Type: data.validation_examples={there_are // 10 or 'null'}, or data.validation_examples=null for none"
        )
