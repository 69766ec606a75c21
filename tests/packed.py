"""Small files laid out like the official CIFAR-10 and MNIST, which count as the official ones."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from resjax.data.published import Archive, File

PIXELS = 3 * 32 * 32
FOLDER = "cifar-10-batches-bin"
FILES = {
    "train": ((f"{FOLDER}/data_batch_1.bin", 6), (f"{FOLDER}/data_batch_2.bin", 5)),
    "test": ((f"{FOLDER}/test_batch.bin", 4),),
}
FILES100 = {"train": (("cifar-100-binary/train.bin", 7),), "test": (("cifar-100-binary/test.bin", 3),)}
PARTS = {"train": (("train", 7),), "test": (("t10k", 3),)}


@dataclass(frozen=True)
class Small:
    """A packed archive that counts as the official one, and the records in it, (count, label bytes + 3072)."""

    path: Path
    official: Archive
    records: dict[str, np.ndarray]

    @property
    def file(self) -> File:
        """The one official file."""
        return self.official.files[0]


@dataclass(frozen=True)
class SmallIdx:
    """MNIST's four files in a folder, which count as the official ones, and the bytes inside each, by its name."""

    path: Path
    official: Archive
    contents: dict[str, bytes]

    def file(self, name: str) -> File:
        """The official file of that name."""
        return next(file for file in self.official.files if file.name == name)

    def paths(self) -> tuple[Path, ...]:
        """Where they lie, in their order."""
        return tuple(self.path / file.name for file in self.official.files)


def as_official(path: Path, file: File) -> File:
    """The facts of an official file, taken from this one."""
    return replace(file, bytes=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def pack(path: Path, contents: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def make(path: Path, official: Archive, files: dict[str, tuple[tuple[str, int], ...]]) -> Small:
    random, tables = np.random.default_rng(0), {}
    for name, count in [pair for pairs in files.values() for pair in pairs]:
        labels = [random.integers(classes, size=(count, 1)) for _, classes in official.labels]
        tables[name] = np.hstack([*labels, random.integers(256, size=(count, PIXELS))]).astype(np.uint8)
    pack(path, {f"{FOLDER}/batches.meta.txt": b"names", **{key: t.tobytes() for key, t in tables.items()}})
    changed = replace(official, parts=files, files=(as_official(path, official.files[0]),))
    return Small(path, changed, {PurePosixPath(name).name: table for name, table in tables.items()})


def make_idx(folder: Path, official: Archive) -> SmallIdx:
    """Seven and three images of bytes at random, with labels, as MNIST's page says a file is laid out."""
    random, contents = np.random.default_rng(1), {}
    folder.mkdir()
    for part, count in [pair for pairs in PARTS.values() for pair in pairs]:
        size, side = count.to_bytes(4, "big"), (28).to_bytes(4, "big")
        contents[f"{part}-images-idx3-ubyte.gz"] = b"\0\0\x08\x03" + size + side + side + random.bytes(count * 784)
        contents[f"{part}-labels-idx1-ubyte.gz"] = (
            b"\0\0\x08\x01" + size + bytes(random.integers(10, size=count).tolist())
        )
    for name, content in contents.items():
        (folder / name).write_bytes(gzip.compress(content, mtime=0))
    files = tuple(as_official(folder / file.name, file) for file in official.files)
    return SmallIdx(folder, replace(official, parts=PARTS, files=files), contents)
