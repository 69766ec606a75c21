import hashlib
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from resjax.data import archives, prepared
from resjax.data.prepare import check, prepare

Refused = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def root(small, tmp_path: Path) -> Path:
    """A root folder with the small CIFAR-10 prepared in it."""
    prepare("cifar10", tmp_path / "root", small.path, False, str)
    return tmp_path / "root"


def files(root: Path) -> list[Path]:
    return sorted(prepared.folder("cifar10", root).iterdir())


def records_file(root: Path) -> Path:
    return next(path for path in files(root) if "train.array_record" in path.name)


def test_what_is_loaded_is_what_the_archive_holds(small, root: Path) -> None:
    splits, record = prepared.load("cifar10", root)
    expected = archives.read((small.path,), small.official)
    assert list(splits) == list(expected)
    for split, arrays in expected.items():
        for key, array in arrays.items():
            np.testing.assert_array_equal(splits[split][key], array)
            assert splits[split][key].dtype == array.dtype
    assert record["content_sha256"] == prepared.content_sha256(expected)
    assert record["verified"] is True


@pytest.mark.parametrize("chunk", [1, 4, 11, 100])
def test_decoding_does_not_depend_on_the_chunk(small, root: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(prepared, "CHUNK", chunk)
    expected = prepared.content_sha256(archives.read((small.path,), small.official))
    assert prepared.content_sha256(prepared.read("cifar10", root)) == expected


def test_loading_needs_no_tensorflow(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # importing it is now an ImportError
    splits, _ = prepared.load("cifar10", root)
    assert len(splits["train"]["image"]) == 11


def test_a_flipped_byte_in_any_file_is_refused(root: Path, refused: Refused) -> None:
    for path in files(root):
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 2):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with refused(path.name, "changed", "rm -r", "resjax data prepare cifar10"):
                prepared.load("cifar10", root)
        path.write_bytes(whole)
    prepared.load("cifar10", root)


def test_a_cut_file_is_refused(root: Path, refused: Refused) -> None:
    for path in files(root):
        whole = path.read_bytes()
        path.write_bytes(whole[:-10])
        with refused(path.name, "rm -r"):
            prepared.load("cifar10", root)
        path.write_bytes(whole)


def test_a_cut_file_is_said_with_both_sizes(root: Path, refused: Refused) -> None:
    size = records_file(root).stat().st_size
    records_file(root).write_bytes(records_file(root).read_bytes()[:-1])
    with refused(f"has {size - 1:,} bytes instead of {size:,}"):
        prepared.load("cifar10", root)


def test_a_missing_file_is_refused(root: Path, refused: Refused) -> None:
    records_file(root).unlink()
    with refused("train.array_record", "is missing"):
        prepared.load("cifar10", root)


def test_several_problems_are_counted(root: Path, refused: Refused) -> None:
    for path in files(root):
        if path.name != prepared.RECORD:
            path.unlink()
    with refused("(and 3 more)"):
        prepared.load("cifar10", root)


def test_a_record_that_calls_itself_verified_is_refused(root: Path, refused: Refused) -> None:
    path = prepared.folder("cifar10", root) / prepared.RECORD
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"verified": not record["verified"]}))
    with refused("resjax.json is missing, cut or changed", "rm -r"):
        prepared.load("cifar10", root)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"1", b"null", b"\xff\xfe", b'"text"', b"[1]"])
def test_a_record_that_is_no_record_is_refused(root: Path, refused: Refused, content: bytes) -> None:
    (prepared.folder("cifar10", root) / prepared.RECORD).write_bytes(content)
    with refused("resjax.json is missing, cut or changed"):
        prepared.load("cifar10", root)


def test_without_its_record_nothing_is_loaded(root: Path, refused: Refused) -> None:
    (prepared.folder("cifar10", root) / prepared.RECORD).unlink()
    with refused("resjax.json is missing", "rm -r"):
        prepared.load("cifar10", root)


def test_the_record_names_every_file_and_the_archive(small, root: Path) -> None:
    record = prepared.read_record("cifar10", root)
    names = {path.name for path in files(root)} - {prepared.RECORD}
    assert set(record["files"]) == names
    assert (record["dataset"], record["archive"]) == ("cifar10", small.path.name)
    assert record["archive_sha256"] == record["official_sha256"] == small.file.sha256


def test_the_record_of_several_files_lists_them(small_mnist, tmp_path: Path) -> None:
    prepare("mnist", tmp_path, small_mnist.path, False, str)
    record = prepared.read_record("mnist", tmp_path)
    names = [path.name for path in small_mnist.paths()]
    assert [facts["archive"] for facts in record["archives"]] == names
    for facts, path in zip(record["archives"], small_mnist.paths(), strict=True):
        assert facts["archive_sha256"] == facts["official_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert facts["url"] == record["url"] + path.name
    assert (record["archive"], record["verified"]) == (", ".join(names), True)


def test_data_prepared_before_there_were_sets_of_several_files_still_load(small, root: Path) -> None:
    """As the first version left them: the module of its builder, and a record of these keys."""
    place, expected = prepared.folder("cifar10", root), archives.read((small.path,), small.official)
    info = json.loads((place / "dataset_info.json").read_text())
    old_info = {"moduleName": "resjax.data.cifar", "description": "cifar10, binary version, in the official order."}
    (place / "dataset_info.json").write_text(json.dumps(info | old_info))
    size, sha256 = small.file.bytes, small.file.sha256
    old = {
        "dataset": "cifar10",
        "archive": "cifar-10-binary.tar.gz",
        "archive_bytes": size,
        "archive_sha256": sha256,
        "verified": True,
        "official_bytes": size,
        "official_sha256": sha256,
        "url": "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "content_sha256": prepared.content_sha256(expected),
        "files": {path.name: file_facts(path) for path in files(root) if path.name != "resjax.json"},
    }
    assert list(prepared.read_record("cifar10", root)) == list(old)
    own = hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()
    (place / "resjax.json").write_text(json.dumps(old | {"record_sha256": own}, indent=1) + "\n")
    splits, record = prepared.load("cifar10", root)
    assert record == old
    assert prepared.content_sha256(splits) == old["content_sha256"]
    assert check("cifar10", root).problems == ()


def file_facts(path: Path) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_not_prepared_says_what_to_type(tmp_path: Path, refused: Refused) -> None:
    command = f"RESJAX_DATA={tmp_path} resjax data prepare cifar100"
    with refused("data=cifar100 is not prepared", f"Type: {command}\n", f"{command} --archive FILE"):
        prepared.load("cifar100", tmp_path)
    with refused("data=mnist is not prepared", "resjax data prepare mnist --archive FOLDER"):
        prepared.load("mnist", tmp_path)


def test_the_command_names_the_folder_only_where_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESJAX_DATA", str(tmp_path))
    assert prepared.command("cifar10", tmp_path) == "resjax data prepare cifar10"
    assert prepared.command("cifar10", tmp_path / "a b") == (
        f"RESJAX_DATA='{tmp_path}/a b' resjax data prepare cifar10"
    )


def test_default_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RESJAX_DATA", raising=False)
    assert prepared.default_root() == tmp_path / ".cache/resjax/data"
    monkeypatch.setenv("RESJAX_DATA", "~/data")
    assert prepared.default_root() == tmp_path / "data"


@pytest.mark.parametrize("package", ["tensorflow_datasets", "array_record.python.array_record_module"])
def test_a_missing_package_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with refused(package, "pip install tensorflow-datasets array-record", "data=digits"):
        prepared.load("cifar10", root)
