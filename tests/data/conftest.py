"""Small files laid out like the official CIFAR-10 and MNIST, and what a refusal must look like."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from resjax.data import archives
from resjax.data.published import Archive, File
from resjax.errors import InputError

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


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """CIFAR-10 with 11 + 4 records, for as long as the test lasts."""
    made = make(tmp_path / "cifar-10-binary.tar.gz", archives.ARCHIVES["cifar10"], FILES)
    monkeypatch.setitem(archives.ARCHIVES, "cifar10", made.official)
    return made


@pytest.fixture
def small100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """CIFAR-100 with 7 + 3 records."""
    made = make(tmp_path / "cifar-100-binary.tar.gz", archives.ARCHIVES["cifar100"], FILES100)
    monkeypatch.setitem(archives.ARCHIVES, "cifar100", made.official)
    return made


@pytest.fixture(params=["mnist", "fashion_mnist"])
def small_idx(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallIdx:
    """Each of the sets in MNIST's format, with 7 + 3 images."""
    return installed(request.param, tmp_path, monkeypatch)


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallIdx:
    """MNIST with 7 + 3 images."""
    return installed("mnist", tmp_path, monkeypatch)


def installed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallIdx:
    made = make_idx(tmp_path / name, archives.ARCHIVES[name])
    monkeypatch.setitem(archives.ARCHIVES, name, made.official)
    return made


@pytest.fixture
def repack(tmp_path: Path, small: Small) -> Callable[..., Path]:
    """A copy of the small archive with some files replaced, or with None left out."""

    def packed(**changes: bytes | None) -> Path:
        contents = {name: table.tobytes() for name, table in small.records.items()}
        changed = contents | {f"{name}.bin": content for name, content in changes.items()}
        kept = {f"{FOLDER}/{name}": content for name, content in changed.items() if content is not None}
        return pack(tmp_path / "changed.tar.gz", kept)

    return packed


@pytest.fixture
def refused() -> Callable[..., AbstractContextManager[None]]:
    """Expect an InputError of at most six lines that says what was expected, and these words."""

    @contextmanager
    def expect(*words: str) -> Iterator[None]:
        with pytest.raises(InputError) as caught:
            yield
        message = str(caught.value)
        assert len(message.splitlines()) <= 6, message
        assert not [word for word in ("Expected", *words) if word not in message], message

    return expect
