"""Prepared sets of tensorflow-datasets, listed and checked."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from photographs import folder_of
from PIL import Image

from resjax.cli import main
from resjax.data import mock_imagenet, tfds_check, tfds_listing
from resjax.data.tfds_check import check

Refused = Callable[..., AbstractContextManager[None]]


def drawn(root: Path, name: str = "drawn", version: str = "2.0.0", generate: Any = mock_imagenet.examples) -> Path:
    """A set of 20 + 4 images drawn here, prepared."""
    counts = {"train": 20, "validation": 4}
    mock_imagenet.build(mock_imagenet.builder(root, name, version, counts, generate))
    return root / name / version


def some_cut(split: str, count: int) -> Any:
    """The same, three training images cut short."""
    for index, example in mock_imagenet.examples(split, count):
        if split == "train" and index in (0, 7, 19):
            example["image"].truncate(600)
        yield index, example


def rows(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    assert main(["data", "list", "--json", "--root", str(root)]) == 0
    return {f"{row['kind']} {row['name']}": row for row in json.loads(capsys.readouterr().out)}


def test_a_whole_set_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = drawn(tmp_path)
    assert main(["data", "check", "drawn", "--stock", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"drawn in {place}: 24 records counted, 24 images decoded.\nwhole\n"


def test_imagenet_is_checked_by_its_name_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = drawn(tmp_path, "imagenet2012", "5.1.0")
    assert main(["data", "check", "imagenet2012", "--root", str(tmp_path)]) == 0
    assert str(place) in capsys.readouterr().out


def test_every_image_that_cannot_be_decoded_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(tmp_path, generate=some_cut)
    assert main(["data", "check", "drawn", "--stock", "--root", str(tmp_path), "--all"]) == 1
    *_, last = lines = capsys.readouterr().out.splitlines()
    wrong = [line for line in lines if line.startswith("WRONG: train[")]
    assert sorted(line.split()[2].rstrip(":") for line in wrong) == [
        "n00000000_0.JPEG",
        "n00000700_7.JPEG",
        "n00000900_19.JPEG",
    ]
    assert last == "damaged. Training leaves out data.corrupt_share of a split at most"  # not: delete 150 GB


def test_damaged_files_are_prepared_again_where_they_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = drawn(tmp_path)
    next(place.glob("*train.array_record*")).unlink()
    assert main(["data", "check", "drawn", "--stock", "--root", str(tmp_path)]) == 1
    command = f"RESJAX_DATA={tmp_path} resjax data prepare drawn --stock"
    assert capsys.readouterr().out.splitlines()[-1] == f"damaged. Delete {place}, and type: {command}"


def test_an_image_that_training_leaves_out_is_not_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be decoded, and is a strip."""
    Image.new("RGB", (60 * 9, 9)).save(folder_of(tmp_path) / "train" / "cat" / "strip.png")
    assert main(["data", "check", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "WRONG: train/cat/strip.png: 9 x 540 pixels, thinner than 1 to 50" in said
    assert "Mend these files, or take them away; training leaves out data.corrupt_share of them" in said


def test_a_folder_without_splits_says_which_one_to_check(tmp_path: Path, refused: Refused) -> None:
    folder_of(tmp_path)
    with refused("no images in SPLIT/CLASS/", f"Type: resjax data check {tmp_path}"):
        tfds_check.check_folder(tmp_path / "train", False, str)
    with refused("no images in SPLIT/CLASS/", f"Type: find {tmp_path.parent / 'none'} "):
        (tmp_path.parent / "none").mkdir()
        tfds_check.check_folder(tmp_path.parent / "none", False, str)


def test_a_sample_is_decoded_and_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn(tmp_path)
    monkeypatch.setattr(tfds_check, "SAMPLE", 5)
    assert main(["data", "check", "drawn", "--stock", "--root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "24 records counted, 9 images decoded" in said
    assert "A sample, evenly spread. All of them: resjax data check drawn --stock --all" in said
    assert check("drawn", [tmp_path], True, str).decoded == 24


def test_progress_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn(tmp_path)
    monkeypatch.setattr(tfds_check, "EVERY_S", 0.0)
    said: list[str] = []
    check("drawn", [tmp_path], True, said.append)
    assert said[19] == "drawn train: 19 of 20 images decoded"


def test_files_that_are_cut_or_missing_are_named(tmp_path: Path) -> None:
    place = drawn(tmp_path)
    train, validation = sorted(place.glob("*.array_record*"))
    train.write_bytes(train.read_bytes()[:-100])
    validation.unlink()
    first, second = check("drawn", [tmp_path], False, str).problems
    assert first.startswith(f"{train.name} cannot be read")
    assert second == f"{validation.name} is missing"


def test_records_are_counted(tmp_path: Path) -> None:
    place = drawn(tmp_path)
    train, validation = sorted(place.glob("*.array_record*"))
    train.write_bytes(validation.read_bytes())
    assert check("drawn", [tmp_path], False, str).problems == (f"{train.name} has 4 records instead of 20",)


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    place = drawn(tmp_path)
    train = next(place.glob("*train.array_record*"))
    content = bytearray(train.read_bytes())
    content[100_000] ^= 1
    train.write_bytes(content)
    (problem,) = check("drawn", [tmp_path], False, str).problems
    assert problem.startswith("train[")


def test_what_is_not_prepared_or_not_described_is_refused(tmp_path: Path, refused: Refused) -> None:
    with refused("drawn is not prepared", "resjax data prepare drawn --stock"):
        check("drawn", [tmp_path], False, str)
    (drawn(tmp_path) / "features.json").write_text("{")
    with refused("drawn in", "cannot be opened"):
        check("drawn", [tmp_path], False, str)


def test_other_sets_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = drawn(tmp_path)
    drawn(tmp_path, version="1.9.0")
    (tmp_path / "incomplete-drawn-x" / "drawn").mkdir(parents=True)
    (tmp_path / "drawn" / "small").mkdir()
    place.rename(tmp_path / "drawn" / "small" / "2.0.0")
    told = rows(tmp_path, capsys)
    assert [key for key in told if key.startswith("tfds")] == [
        "tfds imagenet2012",
        "tfds mock_imagenet",
        "tfds drawn",
        "tfds drawn/small",
    ]
    row = told["tfds drawn/small"]
    assert (row["train_examples"], row["test_examples"], row["classes"]) == (20, 4, 1000)
    assert row["image_shape"] == [None, None, 3]
    assert row["source"] == "tensorflow-datasets, version 2.0.0: 20 train, 4 validation"
    assert (row["status"], row["type"], row["path"]) == ("prepared", None, f"{tmp_path}/drawn/small/2.0.0")
    assert main(["data", "list", "--root", str(tmp_path)]) == 0
    assert "drawn/small" in capsys.readouterr().out


def test_a_listed_set_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    place = drawn(tmp_path)
    described = json.loads((place / "dataset_info.json").read_text())
    (place / "dataset_info.json").write_text(json.dumps(described | {"fileFormat": "riegeli"}))
    (row,) = tfds_listing.others(tmp_path, set())
    assert row["status"] == "prepared as riegeli"
    assert str(row["type"]).endswith("resjax data prepare drawn --stock")
    features = json.loads((place / "features.json").read_text())
    del features["featuresDict"]["features"]["label"]
    (place / "dataset_info.json").write_text(json.dumps(described))
    (place / "features.json").write_text(json.dumps(features))
    assert tfds_listing.others(tmp_path, set())[0]["status"] == "no image and label"
    (place / "features.json").write_text("{")
    assert tfds_listing.others(tmp_path, set())[0]["status"] == "unreadable: JSONDecodeError"
    assert tfds_listing.others(tmp_path / "nowhere", set()) == []
