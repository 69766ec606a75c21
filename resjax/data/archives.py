"""The official CIFAR archives: what they are, whether a file is one of them, and what is in it.

Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. The "binary version": a record is the label
bytes (CIFAR-100: coarse, then fine), then 3,072 bytes, the 32x32 planes of red, green and blue, row by row. Sizes and
SHA-256 are those that tensorflow-datasets 4.9.10 lists (url_checksums/cifar10.txt and cifar100.txt in the package).
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from resjax.data import digests
from resjax.errors import InputError

PIXELS = 3 * 32 * 32
VERSION = "1.0.0"  # of the prepared form; raise it when that changes


@dataclass(frozen=True)
class Archive:
    """An official archive: `files` has each split's (file, records), `labels` each label byte's (name, classes)."""

    dataset: str
    url: str
    bytes: int
    sha256: str
    folder: str
    files: dict[str, tuple[tuple[str, int], ...]]
    labels: tuple[tuple[str, int], ...]

    @property
    def file(self) -> str:
        """The archive's own name."""
        return PurePosixPath(self.url).name


ARCHIVES = {
    "cifar10": Archive(
        dataset="cifar10",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        bytes=170_052_171,
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        folder="cifar-10-batches-bin",
        files={
            "train": tuple((f"data_batch_{number}.bin", 10_000) for number in range(1, 6)),
            "test": (("test_batch.bin", 10_000),),
        },
        labels=(("label", 10),),
    ),
    "cifar100": Archive(
        dataset="cifar100",
        url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        bytes=168_513_733,
        sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        folder="cifar-100-binary",
        files={"train": (("train.bin", 50_000),), "test": (("test.bin", 10_000),)},
        labels=(("coarse_label", 20), ("label", 100)),
    ),
}


def verify(path: Path, official: Archive, unverified: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Compare the file's size and SHA-256 with the official ones; return both, and "verified".

    Raises InputError where they differ, unless `unverified`, which says so loudly and goes on.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file.\nExpected {official.file}, from {official.url}")
    size, sha256 = path.stat().st_size, digests.of_file(path)
    verified = (size, sha256) == (official.bytes, official.sha256)
    if not verified and not unverified:
        raise InputError(
            f"{path} is not the official {official.file}: cut, changed or packed anew.\n"
            f"It has {size:,} bytes, sha256 {sha256}\n"
            f"Expected {official.bytes:,} bytes, sha256 {official.sha256}\n"
            f"Get it again from {official.url}\n"
            "To use this very file, knowingly, type the same with --unverified"
        )
    if not verified:
        say(f"WARNING: UNVERIFIED ARCHIVE. {path} is not the official {official.file}.")
        say(f"WARNING: sha256 {sha256} instead of {official.sha256}. Every run on it records verified=false.")
    facts = {"archive": path.name, "archive_bytes": size, "archive_sha256": sha256, "verified": verified}
    return facts | {"official_bytes": official.bytes, "official_sha256": official.sha256, "url": official.url}


def read(path: Path, official: Archive) -> dict[str, dict[str, np.ndarray]]:
    """Each split's arrays: "image" uint8 (examples, 32, 32, 3), and int32 (examples,) for each label.

    Raises InputError with the name of the file that is missing, of the wrong length, or has a label out of range.
    """
    contents = unpack(path, official)
    splits = {}
    for split, files in official.files.items():
        parts = [records(contents, path, official, name, count) for name, count in files]
        splits[split] = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return splits


def unpack(path: Path, official: Archive) -> dict[str, bytes]:
    """The bytes of each file that the archive ought to hold and does, by name."""
    wanted = {name for files in official.files.values() for name, _ in files}
    contents = {}
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as members:
            for member in members:
                name = PurePosixPath(member.name)
                if name.parent.name == official.folder and name.name in wanted:
                    content = members.extractfile(member)
                    contents[name.name] = content.read() if content else b""
            while stream.read(1 << 20):  # to the end, where gzip compares its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise InputError(
            f"{path} cannot be read to its end: {error}\n"
            f"Expected {official.file}, a gzipped tar file.\nGet it again from {official.url}"
        ) from error
    return contents


def records(contents: dict[str, bytes], path: Path, official: Archive, name: str, count: int) -> dict[str, np.ndarray]:
    """One file's records as arrays, checked for their number and the range of their labels."""
    length = len(official.labels) + PIXELS
    found, where = len(contents.get(name, b"")), f"{path}: {official.folder}/{name}"
    if found != count * length:
        problem = f"has {found:,} bytes" if name in contents else "is missing"
        raise InputError(
            f"{where} {problem}.\nExpected {count:,} records of {length:,} bytes, {count * length:,} in all.\n"
            f"Get it again from {official.url}"
        )
    table = np.frombuffer(contents[name], np.uint8).reshape(count, length)
    arrays = {"image": table[:, -PIXELS:].reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)}
    for column, (label, classes) in enumerate(official.labels):
        arrays[label] = table[:, column].astype(np.int32)
        wrong = np.flatnonzero(arrays[label] >= classes)
        if wrong.size:
            raise InputError(
                f"{where}: record {wrong[0]} has {label} {arrays[label][wrong[0]]}.\n"
                f"Expected 0 to {classes - 1}.\nGet it again from {official.url}"
            )
    return arrays
