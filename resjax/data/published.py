"""A data set as it was published: its files, and what is in them; and what is said of a file that is not like that."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from resjax.errors import InputError

Arrays = dict[str, np.ndarray]  # "image" uint8 (examples, height, width, channel); int32 (examples,) for each label
Splits = dict[str, Arrays]
Read = Callable[[str, int], Arrays]  # of a part, by its name, so many examples


@dataclass(frozen=True)
class File:
    """A file: its address, its size and its SHA-256."""

    url: str
    bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.url).name


@dataclass(frozen=True)
class Archive:
    """A data set's files, and what is in them.

    `reader` is the function for their format: given this and where the files lie, in their order, it gives what reads
    a part. `parts` has each split's (part, examples), `labels` each label's (name, classes).
    """

    dataset: str
    files: tuple[File, ...]
    reader: Callable[["Archive", tuple[Path, ...]], Read]
    parts: dict[str, tuple[tuple[str, int], ...]]
    image_shape: tuple[int, int, int]
    labels: tuple[tuple[str, int], ...]
    citation: str
    homepage: str

    @property
    def names(self) -> str:
        """The files' own names."""
        return ", ".join(file.name for file in self.files)

    @property
    def address(self) -> str:
        """Where it is to be had: the file's address, or that of the folder of several."""
        url = self.files[0].url
        return url if len(self.files) == 1 else url.removesuffix(self.files[0].name)

    @property
    def argument(self) -> str:
        """What --archive takes."""
        return "FILE" if len(self.files) == 1 else "FOLDER"


def not_as_published(where: str, expected: str, file: File) -> InputError:
    """The refusal of a file whose content is not what was published."""
    return InputError(f"{where}.\nExpected {expected}.\nGet it again from {file.url}, then type the same again")


@contextmanager
def unzipped(path: Path, file: File, kind: str) -> Iterator[gzip.GzipFile]:
    """The stream inside a gzip file. Raises InputError where it breaks off, or (at its end) its checksum is another."""
    try:
        with gzip.open(path) as stream:
            yield stream
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise not_as_published(
            f"{path} cannot be read to its end: {error}", f"{file.name}, a gzipped {kind} file", file
        ) from error


def in_range(values: np.ndarray, label: tuple[str, int], where: str, file: File) -> np.ndarray:
    """A label's values as int32. Raises InputError where one is beyond its classes."""
    name, classes = label
    wrong = np.flatnonzero(values >= classes)
    if wrong.size:
        raise not_as_published(f"{where}: record {wrong[0]} has {name} {values[wrong[0]]}", f"0 to {classes - 1}", file)
    return values.astype(np.int32)
