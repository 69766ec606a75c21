"""A small archive laid out like the official CIFAR-10, and what a refusal must look like."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from resjax.data import archives
from resjax.data.archives import Archive
from resjax.errors import InputError

FILES = {"train": (("data_batch_1.bin", 6), ("data_batch_2.bin", 5)), "test": (("test_batch.bin", 4),)}


@dataclass(frozen=True)
class Small:
    """A packed archive that counts as the official one, and the records in it, (count, label bytes + 3072)."""

    path: Path
    official: Archive
    records: dict[str, np.ndarray]


def pack(path: Path, folder: str, contents: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def make(path: Path, official: Archive, files: dict[str, tuple[tuple[str, int], ...]]) -> Small:
    random, tables = np.random.default_rng(0), {}
    for name, count in [pair for pairs in files.values() for pair in pairs]:
        labels = [random.integers(classes, size=(count, 1)) for _, classes in official.labels]
        tables[name] = np.hstack([*labels, random.integers(256, size=(count, archives.PIXELS))]).astype(np.uint8)
    pack(path, official.folder, {"batches.meta.txt": b"names", **{key: t.tobytes() for key, t in tables.items()}})
    facts = {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return Small(path, replace(official, files=files, **facts), tables)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """CIFAR-10 with 11 + 4 records, for as long as the test lasts."""
    made = make(tmp_path / "cifar-10-binary.tar.gz", archives.ARCHIVES["cifar10"], FILES)
    monkeypatch.setitem(archives.ARCHIVES, "cifar10", made.official)
    return made


@pytest.fixture
def small100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """CIFAR-100 with 7 + 3 records."""
    files = {"train": (("train.bin", 7),), "test": (("test.bin", 3),)}
    made = make(tmp_path / "cifar-100-binary.tar.gz", archives.ARCHIVES["cifar100"], files)
    monkeypatch.setitem(archives.ARCHIVES, "cifar100", made.official)
    return made


@pytest.fixture
def repack(tmp_path: Path, small: Small) -> Callable[..., Path]:
    """A copy of the small archive with some files replaced, or with None left out."""

    def packed(**changes: bytes | None) -> Path:
        contents = {name: table.tobytes() for name, table in small.records.items()}
        changed = contents | {f"{name}.bin": content for name, content in changes.items()}
        kept = {name: content for name, content in changed.items() if content is not None}
        return pack(tmp_path / "changed.tar.gz", small.official.folder, kept)

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
