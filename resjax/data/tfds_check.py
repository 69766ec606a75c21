"""Whether a prepared set of tensorflow-datasets, or a folder, can be read: records are counted, images decoded."""

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from resjax.data import tfds_sets
from resjax.data.collection import Collection
from resjax.data.decode import CorruptError, decode, refuse_thin
from resjax.data.folders import FolderSet, has_image
from resjax.data.survey import spread
from resjax.errors import InputError

SAMPLE = 1000  # images of a split that are decoded where not all are asked for
EVERY_S = 30.0  # between two lines of progress
UNREADABLE = (CorruptError, OSError, ValueError, RuntimeError, LookupError)


@dataclass(frozen=True)
class Found:
    """How many records there are, how many of their images were decoded, and each problem in a sentence.

    files: of those that hold the records; images: of images in files that are whole.
    """

    name: str
    folder: str
    records: int
    decoded: int
    files: tuple[str, ...]
    images: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """All of them."""
        return self.files + self.images


def check(name: str, roots: Sequence[Path], every: bool, say: Callable[[str], None]) -> Found:
    """Count all records and decode a sample of the images, or `every` one.

    Raises InputError where the set is not prepared.
    """
    try:
        found = tfds_sets.opened(name, roots)
        counts, _ = found.counts, found.features
    except InputError:
        raise
    except Exception as error:  # tensorflow-datasets reads the JSON files, and raises anything
        raise unreadable(name, roots, error) from error
    files, images, decoded = list[str](), list[str](), 0
    for split in counts:
        records = found.split(split)
        broken = list(miscounted(records))
        files += broken
        wanted = [] if broken else range(len(records)) if every else spread(len(records), SAMPLE)
        images += undecoded(records, wanted, f"{name} {split}", say)
        decoded += len(wanted)
    return Found(name, str(found.folder), sum(counts.values()), decoded, tuple(files), tuple(images))


def check_folder(root: Path, every: bool, say: Callable[[str], None]) -> Found:
    """The same of a folder of images, SPLIT/CLASS/image.jpg. InputError where there are none."""
    splits = FolderSet(root, (), ()).names
    found = FolderSet(root, tuple(splits), tuple(splits))
    if not found.listed:
        raise no_images(root, splits)
    problems: list[str] = []
    decoded = 0
    for split, images in found.listed.items():
        wanted = range(len(images)) if every else spread(len(images), SAMPLE)
        problems += undecoded(images, wanted, f"{root.name} {split}", say)
        decoded += len(wanted)
    return Found(root.name, str(root), sum(map(len, found.listed.values())), decoded, (), tuple(problems))


def no_images(root: Path, folders: Sequence[str]) -> InputError:
    """The refusal of a folder without splits; where it is one itself, the folder above is what to check."""
    above = any(has_image(root / name) for name in folders)
    command = (
        ["resjax", "data", "check", str(root.resolve().parent)] if above else ["find", str(root), "-name", "*.jpg"]
    )
    return InputError(
        f"{root} has no images in SPLIT/CLASS/.\nExpected a folder a split, in it one a class: {root}/train/cat/1.jpg\n"
        f"Type: {shlex.join(command)}"
    )


def unreadable(name: str, roots: Sequence[Path], error: Exception) -> InputError:
    """The refusal of a set whose description is damaged."""
    return InputError(
        f"{name} in {' or '.join(map(str, roots))} cannot be opened: {type(error).__name__}: {str(error)[:200]}\n"
        "Expected dataset_info.json and features.json as they were prepared.\n"
        "Type: resjax data list, for the folder; delete that and prepare it again"
    )


def miscounted(split: tfds_sets.TfdsSplit) -> Iterator[str]:
    """The files that are missing, cut, or hold another number of records than the set says."""
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    for file, count in zip(split.files, split.counts, strict=True):
        path = Path(file)
        if not path.is_file():
            yield f"{path.name} is missing"
            continue
        try:
            if (there_are := len(ArrayRecordDataSource([file]))) != count:
                yield f"{path.name} has {there_are:,} records instead of {count:,}"
        except (RuntimeError, ValueError, OSError) as error:
            yield f"{path.name} cannot be read: {str(error)[:200]}"


def undecoded(records: Collection, places: Sequence[int], what: str, say: Callable[[str], None]) -> Iterator[str]:
    """The images in these places that training cannot see, by name: they cannot be decoded, or are too thin."""
    said_at = time.monotonic()
    for count, index in enumerate(places):
        if time.monotonic() - said_at >= EVERY_S:
            said_at = time.monotonic()
            say(f"{what}: {count:,} of {len(places):,} images decoded")
        try:
            refuse_thin(decode(records[index].image))
        except UNREADABLE as error:
            yield f"{records.name(index)}: {str(error)[:200]}"
