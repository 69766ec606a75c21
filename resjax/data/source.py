"""Which data sets there are, and how each is loaded.

One table says which there are. Images are as they were published, or resized (data.resize); means, augmentation and
order are the stream's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from resjax.data import archives, digits, prepared, resident, synthetic
from resjax.dataconfig import DATASETS, DataConfig
from resjax.errors import InputError
from resjax.settings import nearest

if TYPE_CHECKING:
    from resjax.data.streamed import Streamed

ALPAYDIN = "Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, by scikit-learn"
RUSSAKOVSKY = "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, 2015, arXiv:1409.0575"
Images: TypeAlias = "resident.Source | Streamed"


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
        return load_images(config)
    return description(config.name).load(config)


def require(config: DataConfig) -> None:
    """Raises InputError where the set is not prepared here; nothing of it is read."""
    if config.kind != "resjax":
        from resjax.data import streamed

        streamed.require(config)
    elif config.name in archives.ARCHIVES:
        prepared.read_record(config.name, prepared.root_of(config.root))


def description(name: str) -> Description:
    """The row of `name`. Raises InputError where there is no such data set."""
    rows = {row.name: row for row in TABLE}
    if name not in rows:
        raise InputError(
            f"data={name} is not known.\nExpected one of: {', '.join(rows)}\nDid you mean: {nearest(name, DATASETS)}"
        )
    return rows[name]


def is_listed(name: str) -> bool:
    """Whether there is such a data set."""
    return name in {row.name for row in TABLE}


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


def train_examples_of(config: DataConfig) -> int:
    """Training examples alone, without reading the data."""
    tests = config.test_examples
    return examples_of(replace(config, test_examples=1)) - 1 if tests is None else examples_of(config) - tests


def is_known(config: DataConfig) -> bool:
    """Whether the table says what the set is, wherever it is, and whole splits of it are streamed."""
    rows = {row.name for row in TABLE if row.kind == config.kind}
    return config.streamed and config.name in rows and "[" not in config.train_split + config.test_split


def describe(root: Path) -> list[dict[str, object]]:
    """Rows for `resjax data list`, plain JSON; `status` is bundled, prepared or not prepared (then `type` says how).

    After those of the table, whatever else lies in `root` in tensorflow-datasets' form.
    """
    from resjax.data import tfds_listing

    ours = [
        {
            "name": row.name,
            "kind": row.kind,
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
    return ours + tfds_listing.others(root, {row.name for row in TABLE if row.kind == "tfds"})


def preparation(name: str, root: Path) -> dict[str, object]:
    """Whether `name` can be loaded as things stand, from where, and if not what to type."""
    place = prepared.folder(name, root)
    if description(name).kind == "tfds":
        return stock_preparation(name, root)
    if name not in archives.ARCHIVES:
        return {"status": "bundled", "path": None, "type": None}
    if (place / prepared.RECORD).is_file():
        return {"status": "prepared", "path": str(place), "type": None}
    return {"status": "not prepared", "path": None, "type": prepared.command(name, root)}


def stock_preparation(name: str, root: Path) -> dict[str, object]:
    """The same of a set in tensorflow-datasets' form."""
    from resjax.data import mock_imagenet, tfds_sets

    found = [place for where in tfds_sets.roots(root, False) for place in tfds_sets.versions(where / name, "")]
    if found:
        return {"status": "prepared", "path": str(found[0]), "type": None}
    if name == mock_imagenet.NAME:
        return {"status": "made at its first use", "path": None, "type": None}
    return {"status": "not prepared", "path": None, "type": f"{prepared.command(name, root)} --archive FOLDER"}


def load_images(config: DataConfig) -> Images:
    """A set in tensorflow-datasets' form, or a folder."""
    from resjax.data import streamed  # decoders, which only these need

    return streamed.load(config)


def load_digits(config: DataConfig) -> resident.Source:
    """data=digits."""
    return resident.assemble(config, digits.arrays(), digits.CLASSES, {"origin": digits.ORIGIN, "verified": None})


def load_synthetic(config: DataConfig) -> resident.Source:
    """data=synthetic, as many examples as asked for."""
    splits = synthetic.arrays(
        config.image_size, config.channels, config.classes, config.train_examples, config.test_examples
    )
    return resident.assemble(config, splits, config.classes, {"origin": synthetic.ORIGIN, "verified": None})


def load_prepared(config: DataConfig) -> resident.Source:
    """Any set of `archives`, from prepared data; the labels of CIFAR-100 are the fine ones."""
    splits, record = prepared.load(config.name, prepared.root_of(config.root))
    facts = {key: value for key, value in record.items() if key not in ("dataset", "files", "url")}
    origin = f"{record['archive']}, {'the' if record['verified'] else 'NOT the'} official {record['url']}"
    classes = dict(archives.ARCHIVES[config.name].labels)["label"]
    train, test = ((splits[split]["image"], splits[split]["label"]) for split in ("train", "test"))
    return resident.assemble(config, (train, test), classes, {"origin": origin, **facts})


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
    Description(
        "imagenet2012", 1_281_167, 50_000, (224, 224, 3), 1000, RUSSAKOVSKY, "research only", load_images, "tfds"
    ),
    Description(
        "mock_imagenet",
        2048,
        256,
        (64, 64, 3),
        1000,
        "made here, in the form of imagenet2012; images of varied sizes",
        "none needed",
        load_images,
        "tfds",
    ),
)
