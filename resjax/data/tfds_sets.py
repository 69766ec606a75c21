"""Image sets that tensorflow-datasets has prepared, by name, read without TensorFlow.

ROOT/name[/config]/1.0.0/ holds dataset_info.json, features.json and a split's records in array_record files.
"""

import hashlib
import os
import re
import shlex
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from resjax.data import prepared, splits
from resjax.data.collection import Collection, Encoded, Part, Slice
from resjax.data.decode import CorruptError
from resjax.dataconfig import DATASETS
from resjax.errors import InputError

VERSION = re.compile(r"\d+\.\d+\.\d+")
FORM = "array_record"  # of the files of records: the one that is read without TensorFlow
NEEDS_TENSORFLOW = "pip install 'resjax[tfds-prepare]'"


@dataclass(frozen=True)
class Pixels:
    """Images that a Tensor feature holds: shape, of which one side may vary, and encoding, one of none, bytes, zlib."""

    shape: tuple[int | None, ...]
    encoding: str

    def read(self, stored: Any) -> np.ndarray:
        """uint8, from a tf.train.Feature. CorruptError where it holds something else."""
        try:
            if self.encoding == "none":  # an int64 for every number: tf.train.Example has no smaller integer
                flat = np.array(stored.int64_list.value, np.uint8)
            else:
                raw = stored.bytes_list.value[0]
                flat = np.frombuffer(zlib.decompress(raw) if self.encoding == "zlib" else raw, np.uint8)
            return flat.reshape([-1 if side is None else side for side in self.shape])
        except (zlib.error, ValueError, IndexError, OverflowError) as error:
            raise CorruptError(f"no pixels of shape {self.shape}") from error


@dataclass
class TfdsSplit:
    """All records of a split, each a serialised tf.train.Example, in the order of its files.

    image, label: the names of the features. pixels: how images are stored as such, None where they are image files.
    """

    split: str
    files: tuple[str, ...]
    counts: tuple[int, ...]
    image: str
    label: str
    pixels: Pixels | None
    kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return sum(self.counts)

    def __getitem__(self, index: int) -> Encoded:
        features = self._features(index)
        stored = features[self.image]
        image = self.pixels.read(stored) if self.pixels else stored.bytes_list.value[0]
        return Encoded(image, features[self.label].int64_list.value[0])

    def name(self, index: int) -> str:
        """The file's name where the set tells it, as imagenet2012 does."""
        try:
            features = self._features(index)
        except CorruptError:  # what cannot be read has no name of its own
            features = {}
        told = features["file_name"].bytes_list.value if "file_name" in features else ()
        return f"{self.split}[{index}]" + (f" {told[0].decode(errors='replace')}" if told else "")

    def record(self, index: int) -> bytes:
        """A record as it lies in its file."""
        return self._reader[index]

    def _features(self, index: int) -> Any:
        from google.protobuf.message import DecodeError
        from tensorflow_datasets.proto import tf_example_pb2

        try:
            return tf_example_pb2.Example.FromString(self.record(index)).features.feature
        except DecodeError as error:
            raise CorruptError(f"record {index} of {self.split} is no tf.train.Example") from error
        except RuntimeError as error:  # array_record's, of whatever kind
            if "open" in str(error):  # a file that is not there, or too many of them: no fault of the image's
                raise OSError(f"{self.split}: {str(error).splitlines()[0]}") from error
            raise CorruptError(f"record {index} of {self.split} cannot be read") from error

    @property
    def _reader(self) -> Any:
        if "reader" not in self.kept:
            from array_record.python.array_record_data_source import ArrayRecordDataSource

            self.kept["reader"] = ArrayRecordDataSource(list(self.files))
        return self.kept["reader"]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"kept": {}}  # whoever gets it opens the files himself


@dataclass(frozen=True)
class TfdsSet:
    """A prepared set."""

    folder: Path
    builder: Any

    @cached_property
    def counts(self) -> dict[str, int]:
        """Examples by split, of those that have any."""
        return {name: info.num_examples for name, info in self.builder.info.splits.items() if info.num_examples}

    @cached_property
    def features(self) -> tuple[str, str]:
        """The names of the image and of the label. InputError where there is not one of each."""
        if (pair := image_and_label(self.builder.info)) is None:
            raise InputError(
                f"{self.folder} has the features {told(self.builder.info)}.\n"
                "Expected one image and one class label, or supervised_keys that name them.\n"
                "Type: supervised_keys=('image', 'label') in the builder's DatasetInfo, and prepare it again"
            )
        return pair

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.builder.info.features[self.features[1]].num_classes)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of an image, (height, width, channels); None where it varies."""
        return tuple(self.builder.info.features[self.features[0]].shape)

    def split(self, name: str) -> TfdsSplit:
        """A whole split."""
        info, (image, label) = self.builder.info.splits[name], self.features
        feature = self.builder.info.features[image]
        as_pixels = type(feature).__name__ == "Tensor"
        pixels = Pixels(self.shape, feature.to_json_content().encoding) if as_pixels else None
        files = tuple(str(path) for path in info.filepaths)
        return TfdsSplit(name, files, tuple(info.shard_lengths), image, label, pixels)

    def slices(self, spelled: str, setting: str) -> list[Slice]:
        """As ImageSet says."""
        return splits.parse(spelled, self.counts, setting)

    def part(self, part: Slice) -> Collection:
        """A slice."""
        whole = self.split(part.split)
        return whole if part.size == len(whole) else Part(whole, part.first, part.size)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the features, and of the name and size of every file of records."""
        digest = hashlib.sha256((self.folder / "features.json").read_bytes())
        for path in sorted(self.folder.glob("*.array_record*")):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        return digest.hexdigest()


def image_and_label(info: Any) -> tuple[str, str] | None:
    """The names of a set's image and its class label: the supervised ones, or else the only ones. None: it has none.

    info: tensorflow-datasets' DatasetInfo. An image file may have any channels; a Tensor, which holds pixels, one or
    three, and one side that varies.
    """
    kinds = {name: type(feature).__name__ for name, feature in info.features.items()}
    shapes = {name: info.features[name].shape for name, kind in kinds.items() if kind in ("Image", "Tensor")}
    images = [
        name
        for name, shape in shapes.items()
        if len(shape) == 3
        and info.features[name].np_dtype == np.uint8
        and (kinds[name] == "Image" or (shape[-1] in (1, 3) and shape.count(None) < 2))
    ]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    supervised = tuple(info.supervised_keys or ())[:2]
    for image, label in [(image, label) for image in images for label in labels]:
        if (image, label) == supervised or len(images) == len(labels) == 1:
            return image, label
    return None


def told(info: Any) -> str:
    """A set's features in words."""
    shapes = {name: (type(feature).__name__, feature.shape or "") for name, feature in info.features.items()}
    return ", ".join(f"{name}: {kind}{shape}" for name, (kind, shape) in shapes.items())


def located(name: str, roots: Sequence[Path]) -> Path:
    """Of the set `name`, `name/config` or `name:version`, in the first of the folders that has it; of several versions
    the newest. InputError where none has it.
    """
    named, _, version = name.partition(":")
    places = [place for root in roots for place in versions(root / named, version)]
    if not places:
        raise not_prepared(name, roots)
    return places[0]


def opened(name: str, roots: Sequence[Path]) -> TfdsSet:
    """The set that is located so. InputError where it is not, or its records are not in array_record files."""
    place = located(name, roots)
    builder = prepared.tensorflow_datasets().builder_from_directory(place)
    if (form := builder.info.file_format.value) != FORM:
        raise InputError(
            f"data.name={name} in {place} was prepared as {form}.\nExpected array_record, which is read without "
            f"TensorFlow.\nType: resjax data prepare {name} --stock (first: {NEEDS_TENSORFLOW})"
        )
    return TfdsSet(place, builder)


def versions(folder: Path, version: str) -> list[Path]:
    """The prepared versions in a set's folder, or in its only config's, the newest first."""
    if not folder.is_dir():
        return []
    found = [
        path for path in folder.iterdir() if VERSION.fullmatch(path.name) and (path / "dataset_info.json").exists()
    ]
    configs = [  # beside them lies .config, which says which one is the default
        path for path in folder.iterdir() if path.is_dir() and path not in found and not path.name.startswith(".")
    ]
    if not found and len(configs) == 1:
        return versions(configs[0], version)
    fits = [path for path in found if path.name == version or path.name.startswith(f"{version}.") or not version]
    return sorted(fits, key=lambda path: [int(part) for part in path.name.split(".")], reverse=True)


def roots(root: Path, given: bool) -> list[Path]:
    """Where to look: the folder that was given, or else resjax's own and then tensorflow-datasets'."""
    theirs = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    return [root] if given else [root, theirs]


def not_prepared(name: str, looked: Sequence[Path]) -> InputError:
    """The refusal, with what there is instead."""
    have = sorted({path.name for root in looked if root.is_dir() for path in root.iterdir() if versions(path, "")})
    typed = f"{shlex.quote(name)} {'--archive FOLDER' if name.startswith('imagenet2012') else '--stock'}"
    there_are = f" There are: {', '.join(have)}" if have else ""
    ours = "".join(f"data={same}, " for same in DATASETS if same == name)
    near = get_close_matches(name, [other for other in (*have, *DATASETS) if other != name])
    there_are += f"\nDid you mean: {'data=' if near[0] in DATASETS else 'data.name='}{near[0]}" if near else ""
    return InputError(
        f"data.name={name} is not prepared in {' or '.join(map(str, looked))}.\n"
        f"Expected {looked[0] / name.partition(':')[0]}/VERSION/dataset_info.json.{there_are}\n"
        f"Type: {ours}data.root=FOLDER, or resjax data prepare {typed} (docs/data.md; first: {NEEDS_TENSORFLOW})"
    )
