"""Small files laid out like the official CIFAR-10 and MNIST, and what a refusal must look like."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from packed import FILES, FILES100, FOLDER, Small, SmallIdx, make, make_idx, pack

from resjax.data import archives
from resjax.errors import InputError


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
