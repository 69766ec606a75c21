import gzip
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from resjax.config import DataConfig
from resjax.data import archives, builders, prepared, source
from resjax.data.prepare import check, prepare
from resjax.stopping import StopError

Refused = Callable[..., AbstractContextManager[None]]

KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from resjax.data import archives, builders
from resjax.data.published import File
from resjax.data.prepare import prepare
def killed(self, arrays):
    yield 0, {name: array[0] for name, array in arrays.items()}
    os.kill(os.getpid(), signal.SIGKILL)
files, parts = eval(sys.argv[1])
archives.ARCHIVES["cifar10"] = replace(archives.ARCHIVES["cifar10"], files=files, parts=parts)
builders.Cifar10._generate_examples = killed
prepare("cifar10", Path(sys.argv[2]), Path(sys.argv[3]), False, str)
"""


def forbidden(*_: Any, **__: Any) -> None:
    pytest.fail("the network was touched")


def test_an_archive_file_needs_no_network(small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    said: list[str] = []
    place = prepare("cifar10", tmp_path / "new" / "root", small.path, False, said.append)
    assert place == tmp_path / "new" / "root" / "resjax_cifar10" / "1.0.0"
    assert said == [f"cifar10 is prepared in {place}"]
    assert [path.name for path in (tmp_path / "new" / "root").iterdir()] == ["resjax_cifar10"]


def test_the_builder_prints_nothing(small, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prepare("cifar10", tmp_path, small.path, False, str)
    assert capfd.readouterr().out == ""


def test_preparing_twice_does_nothing(small, tmp_path: Path) -> None:
    place = prepare("cifar10", tmp_path, small.path, False, str)
    before = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    said: list[str] = []
    assert prepare("cifar10", tmp_path, None, False, said.append) == place
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == before
    assert "already prepared" in said[0]
    assert "the official archive" in said[0]


def test_preparing_again_refuses_what_is_damaged(small, tmp_path: Path, refused: Refused) -> None:
    place = prepare("cifar10", tmp_path, small.path, False, str)
    (place / "features.json").write_text("{}")
    with refused("features.json", f"rm -r {place}"):
        prepare("cifar10", tmp_path, small.path, False, str)


def test_an_unverified_archive_is_said_and_recorded(small, tmp_path: Path, repack: Callable[..., Path]) -> None:
    table = small.records["test_batch.bin"].copy()
    table[0, 0] = (table[0, 0] + 1) % 10
    archive, said = repack(test_batch=table.tobytes()), []
    prepare("cifar10", tmp_path, archive, True, said.append)
    assert sum("UNVERIFIED" in line for line in said) == 1
    prepare("cifar10", tmp_path, archive, True, said.append)
    assert "from an UNVERIFIED archive" in said[-1]
    loaded = source.load(DataConfig(name="cifar10", root=str(tmp_path)))
    assert loaded.provenance["verified"] is False
    assert loaded.provenance["archive_sha256"] != loaded.provenance["official_sha256"]
    assert "NOT the official" in str(loaded.provenance["origin"])
    assert check("cifar10", tmp_path).verified is False


def test_a_changed_archive_leaves_nothing(small, tmp_path: Path, repack: Callable[..., Path], refused: Refused) -> None:
    root = tmp_path / "root"
    with refused("is not the official cifar-10-binary.tar.gz", "--unverified"):
        prepare("cifar10", root, repack(test_batch=b"cut"), False, str)
    with refused("test_batch.bin has 3 bytes"):
        prepare("cifar10", root, repack(test_batch=b"cut"), True, str)
    assert list(root.iterdir()) == []


def test_an_unverified_file_of_several_is_said_and_recorded(small_mnist, tmp_path: Path, refused: Refused) -> None:
    root, said, path = tmp_path / "root", [], small_mnist.path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(small_mnist.contents[path.name][:8] + bytes(3), mtime=0))
    with refused(f"{path} is not the official {path.name}", "--unverified", small_mnist.file(path.name).url):
        prepare("mnist", root, small_mnist.path, False, str)
    assert list(root.iterdir()) == []
    prepare("mnist", root, small_mnist.path, True, said.append)
    assert [line for line in said if "UNVERIFIED" in line] == [said[0]]
    assert str(path) in said[0]
    loaded = source.load(DataConfig(name="mnist", root=str(root)))
    assert loaded.test.labels.tolist() == [0, 0, 0]
    assert "NOT the official" in str(loaded.provenance["origin"])
    assert [facts["verified"] for facts in prepared.read_record("mnist", root)["archives"]] == [True, True, True, False]
    assert check("mnist", root).verified is False


def test_a_damaged_file_of_several_leaves_nothing(small_mnist, tmp_path: Path, refused: Refused) -> None:
    root, path = tmp_path / "root", small_mnist.path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with refused(str(path), "cannot be read to its end"):
        prepare("mnist", root, small_mnist.path, True, str)
    assert list(root.iterdir()) == []


def test_a_folder_without_the_files_is_refused_before_anything_is_made(
    small_mnist, tmp_path: Path, refused: Refused
) -> None:
    with refused(f"{tmp_path} lacks train-images", small_mnist.official.address, "--archive FOLDER"):
        prepare("mnist", tmp_path / "root", tmp_path, True, str)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "no space left")])
def test_what_breaks_off_half_way_leaves_nothing_of_several_files(
    small_mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(builders.Mnist, "_generate_examples", broken_off(error))
    with pytest.raises(type(error)):
        prepare("mnist", tmp_path / "root", small_mnist.path, False, str)
    assert list((tmp_path / "root").iterdir()) == []


def broken_off(error: BaseException) -> Callable[..., Iterator[Any]]:
    """A builder's _generate_examples that raises after three examples."""

    def generate(_: Any, arrays: dict[str, Any]) -> Iterator[Any]:
        for index in range(3):
            yield index, {name: array[index] for name, array in arrays.items()}
        raise error

    return generate


@pytest.mark.parametrize("error", [RuntimeError("power"), KeyboardInterrupt(), OSError(28, "no space left")])
def test_what_breaks_off_half_way_leaves_nothing(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    root = tmp_path / "root"
    with monkeypatch.context() as patch:
        patch.setattr(builders.Cifar10, "_generate_examples", broken_off(error))
        with pytest.raises(type(error)):
            prepare("cifar10", root, small.path, False, str)
    assert list(root.iterdir()) == []
    prepare("cifar10", root, small.path, False, str)
    assert check("cifar10", root).problems == ()


def test_what_breaks_off_before_its_record_leaves_nothing(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    monkeypatch.setattr(prepared, "write_record", forbidden)
    with pytest.raises(pytest.fail.Exception):
        prepare("cifar10", root, small.path, False, str)
    assert list(root.iterdir()) == []


def test_what_is_killed_half_way_does_not_look_prepared(small, tmp_path: Path, refused: Refused) -> None:
    root = tmp_path / "root"
    facts = repr((small.official.files, small.official.parts))
    arguments = [sys.executable, "-c", KILLED, facts, str(root), str(small.path)]
    assert subprocess.run(arguments, timeout=60, check=False).returncode == -signal.SIGKILL
    (left,) = root.iterdir()
    assert source.preparation("cifar10", root)["status"] == "not prepared"
    with refused("is not prepared"):
        prepared.load("cifar10", root)
    with pytest.raises(tfds.core.registered.DatasetNotFoundError):
        tfds.core.read_only_builder.builder_from_files("resjax_cifar10", data_dir=root)
    said: list[str] = []
    prepare("cifar10", root, small.path, False, said.append)
    assert str(left) in said[0]
    assert check("cifar10", root).problems == ()


def test_bundled_data_need_no_preparing(tmp_path: Path) -> None:
    for name in ("digits", "synthetic"):
        said: list[str] = []
        assert prepare(name, tmp_path / "root", None, False, said.append) == tmp_path / "root"
        assert "needs no preparing" in said[0]
        assert check(name, tmp_path).problems == ()
    assert not (tmp_path / "root").exists()


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path, refused: Refused) -> None:
    for ask in (lambda: prepare("cifar", tmp_path, None, False, str), lambda: check("cifar", tmp_path)):
        with refused("data=cifar is not known", "digits, synthetic, cifar10, cifar100", "Did you mean: cifar10"):
            ask()


def test_a_folder_that_cannot_be_made_is_refused(small, refused: Refused) -> None:
    with refused(f"{small.path}/root", "Not a directory", "RESJAX_DATA"):
        prepare("cifar10", small.path / "root", small.path, False, str)


def test_a_folder_that_cannot_be_written_is_refused(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    def read_only(**_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with refused("cannot be written: Read-only file system", "RESJAX_DATA"):
        prepare("cifar10", tmp_path, small.path, False, str)


def test_check_reads_every_record(small, tmp_path: Path) -> None:
    place = prepare("cifar10", tmp_path, small.path, False, str)
    found = check("cifar10", tmp_path)
    assert (found.folder, found.verified, found.problems) == (str(place), True, ())
    assert (found.files, found.records) == (4, 15)


def test_check_names_every_file_that_is_not_as_it_was(small, tmp_path: Path) -> None:
    place = prepare("cifar10", tmp_path, small.path, False, str)
    (place / "features.json").write_bytes((place / "features.json").read_bytes()[:-1])
    (place / "dataset_info.json").unlink()
    problems = check("cifar10", tmp_path).problems
    assert [problem.split()[0] for problem in problems] == ["dataset_info.json", "features.json"]


def test_check_compares_the_records_with_the_archives(small, tmp_path: Path) -> None:
    place = prepare("cifar10", tmp_path, small.path, False, str)
    record = prepared.read_record("cifar10", tmp_path)
    (place / prepared.RECORD).unlink()
    del record["files"]
    prepared.write_record(place, record | {"content_sha256": "0" * 64})
    (problem,) = check("cifar10", tmp_path).problems
    assert "not those of the archive" in problem


def test_check_refuses_what_is_not_prepared(tmp_path: Path, refused: Refused) -> None:
    assert "cifar10" in archives.ARCHIVES
    with refused("is not prepared", "resjax data prepare cifar10"):
        check("cifar10", tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 143)])
def test_a_signal_is_heard_between_two_examples(
    number: int, code: int, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, generate = [], builders.Cifar10._generate_examples

    def slow(self, arrays):
        for example in generate(self, arrays):
            made.append(example[0])
            if len(made) == 3:
                os.kill(os.getpid(), number)
            yield example

    monkeypatch.setattr(builders.Cifar10, "_generate_examples", slow)
    with pytest.raises(StopError) as stopped:
        prepare("cifar10", tmp_path / "root", small.path, False, str)
    assert stopped.value.code == code
    assert len(made) < 6
    assert not [path for path in (tmp_path / "root").iterdir() if path.is_dir() and list(path.iterdir())], (
        "nothing left"
    )
