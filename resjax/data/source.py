"""What a data set is: splits of uint8 images with labels, and the record of where they came from.

One table says which there are. Images are as they were published, or resized (data.resize); means, augmentation and
order are the stream's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from resjax.data import archives, digests, digits, prepared, resize, synthetic
from resjax.dataconfig import DATASETS, DataConfig
from resjax.errors import InputError
from resjax.settings import nearest

if TYPE_CHECKING:
    from resjax.data.streamed import Streamed

ALPAYDIN = "Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, by scikit-learn"


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


Images: TypeAlias = "Source | Streamed"


@dataclass(frozen=True)
class Description:
    """A row of `resjax data list`, and the function that loads it."""

    name: str
    train_examples: int
    test_examples: int
    image_shape: tuple[int, int, int]
    classes: int
    source: str
    licence: str
    load: Callable[[DataConfig], Images]
    kind: str = "resjax"


def data_root(config_root: str | None) -> Path:
    """The folder of prepared data: the one given, else $RESJAX_DATA, else ~/.cache/resjax/data."""
    return Path(config_root).expanduser() if config_root else prepared.default_root()


def load(config: DataConfig) -> Images:
    """The data set that `config` names, cut to the first train_examples and test_examples where these are set; of the
    training examples, the last validation_examples are a split of their own (`hold_out`).

    provenance: "digest", the SHA-256 of the train images, train labels, test images and test labels actually used, then
    those held out, if any; "verified", whether they come from the official archive (None where there is none);
    "origin"; for data from an archive also the archive's and the official SHA-256; for resized data "resize", the
    pixels a side. Raises InputError where there is no such data set, it is not prepared, its files are cut or changed,
    or it is smaller than asked for.
    """
    if config.kind != "resjax":
        from resjax.data import streamed  # decoders, which only these need

        return streamed.load(config)
    return description(config.name).load(config)


def description(name: str) -> Description:
    """The row of `name`. Raises InputError where there is no such data set."""
    rows = {row.name: row for row in TABLE}
    if name not in rows:
        raise InputError(
            f"data={name} is not known.\nExpected one of: {', '.join(rows)}\nDid you mean: {nearest(name, DATASETS)}"
        )
    return rows[name]


def shape_of(config: DataConfig) -> tuple[tuple[int, int, int], int]:
    """The shape of an image, (height, width, channels), and the number of classes, without reading the data."""
    if config.kind != "resjax" and not is_known(config):
        from resjax.data import streamed

        return streamed.shape_of(config)
    row = description(config.name)
    if config.streamed:
        return (config.crop, config.crop, 3), row.classes
    height, width, channels = row.image_shape
    if config.name == "synthetic":
        height, width, channels = config.image_size, config.image_size, config.channels
    if config.resize is not None:
        height = width = config.resize
    return (height, width, channels), config.classes if config.name == "synthetic" else row.classes


def examples_of(config: DataConfig) -> int:
    """Training and test examples, without reading the data."""
    if config.kind != "resjax" and not is_known(config):
        from resjax.data import streamed

        return streamed.examples_of(config)
    row = description(config.name)
    return sum(
        there_are if wanted is None else wanted
        for wanted, there_are in (
            (config.train_examples, row.train_examples),
            (config.test_examples, row.test_examples),
        )
    )


def is_known(config: DataConfig) -> bool:
    """Whether the table says what the set is, wherever it is, and whole splits of it are streamed."""
    rows = {row.name for row in TABLE if row.kind == config.kind}
    return config.streamed and config.name in rows and "[" not in config.train_split + config.test_split


def describe(root: Path) -> list[dict[str, object]]:
    """Rows for `resjax data list`, plain JSON; `status` is bundled, prepared or not prepared (then `type` says how)."""
    return [
        {
            "name": row.name,
            "train_examples": row.train_examples,
            "test_examples": row.test_examples,
            "image_shape": list(row.image_shape),
            "classes": row.classes,
            "source": row.source,
            "licence": row.licence,
            **preparation(row.name, root),
        }
        for row in TABLE
    ]


def preparation(name: str, root: Path) -> dict[str, object]:
    """Whether `name` can be loaded as things stand, from where, and if not what to type."""
    place = prepared.folder(name, root)
    if name not in archives.ARCHIVES:
        return {"status": "bundled", "path": None, "type": None}
    if (place / prepared.RECORD).is_file():
        return {"status": "prepared", "path": str(place), "type": None}
    return {"status": "not prepared", "path": None, "type": prepared.command(name, root)}


def load_digits(config: DataConfig) -> Source:
    """data=digits."""
    return assemble(config, digits.arrays(), digits.CLASSES, {"origin": digits.ORIGIN, "verified": None})


def load_synthetic(config: DataConfig) -> Source:
    """data=synthetic, as many examples as asked for."""
    splits = synthetic.arrays(
        config.image_size, config.channels, config.classes, config.train_examples, config.test_examples
    )
    return assemble(config, splits, config.classes, {"origin": synthetic.ORIGIN, "verified": None})


def load_prepared(config: DataConfig) -> Source:
    """Any set of `archives`, from prepared data; the labels of CIFAR-100 are the fine ones."""
    splits, record = prepared.load(config.name, data_root(config.root))
    facts = {key: value for key, value in record.items() if key not in ("dataset", "files", "url")}
    origin = f"{record['archive']}, {'the' if record['verified'] else 'NOT the'} official {record['url']}"
    classes = dict(archives.ARCHIVES[config.name].labels)["label"]
    train, test = ((splits[split]["image"], splits[split]["label"]) for split in ("train", "test"))
    return assemble(config, (train, test), classes, {"origin": origin, **facts})


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


TABLE = (
    Description("digits", 1437, 360, (8, 8, 1), 10, ALPAYDIN, "CC BY 4.0", load_digits),
    Description(
        "synthetic",
        synthetic.TRAIN_EXAMPLES,
        synthetic.TEST_EXAMPLES,
        (32, 32, 3),
        10,
        "made here; size, channels and classes are settings",
        "none needed",
        load_synthetic,
    ),
    Description("cifar10", 50_000, 10_000, (32, 32, 3), 10, archives.KRIZHEVSKY, "none stated", load_prepared),
    Description("cifar100", 50_000, 10_000, (32, 32, 3), 100, archives.KRIZHEVSKY, "none stated", load_prepared),
    Description("mnist", 60_000, 10_000, (28, 28, 1), 10, archives.LECUN, "none stated", load_prepared),
    Description("fashion_mnist", 60_000, 10_000, (28, 28, 1), 10, archives.XIAO, "MIT", load_prepared),
)
