import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from resjax.data import digests, prepared, resident, source
from resjax.data.prepare import prepare
from resjax.dataconfig import DATASETS, DataConfig

Refused = Callable[..., AbstractContextManager[None]]


def digest(loaded: resident.Source) -> str:
    return digests.of_arrays(loaded.train.images, loaded.train.labels, loaded.test.images, loaded.test.labels)


def test_the_table_has_the_data_sets_of_the_settings() -> None:
    assert tuple(row.name for row in source.TABLE if row.kind == "resjax") == DATASETS


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_bundled_data_are_as_described(name: str) -> None:
    loaded, row = source.load(DataConfig(name=name)), source.description(name)
    assert loaded.train.images.shape == (row.train_examples, *row.image_shape)
    assert loaded.test.images.shape == (row.test_examples, *row.image_shape)
    assert loaded.classes == row.classes == loaded.train.labels.max() + 1
    assert loaded.provenance["verified"] is None
    assert loaded.provenance["digest"] == digest(loaded)


def test_synthetic_data_follow_their_settings() -> None:
    config = DataConfig(name="synthetic", image_size=8, channels=1, classes=3, train_examples=3000, test_examples=7)
    loaded = source.load(config)
    assert (loaded.train.images.shape, loaded.test.images.shape) == ((3000, 8, 8, 1), (7, 8, 8, 1))
    assert loaded.classes == 3


def test_cifar_is_loaded_from_prepared_data(small, tmp_path: Path) -> None:
    prepare("cifar10", tmp_path, small.path, False, str)
    loaded = source.load(DataConfig(name="cifar10", root=str(tmp_path)))
    np.testing.assert_array_equal(loaded.test.labels, small.records["test_batch.bin"][:, 0])
    assert (len(loaded.train.labels), loaded.classes) == (11, 10)
    assert loaded.provenance["verified"] is True
    assert loaded.provenance["archive_sha256"] == small.file.sha256
    assert "NOT" not in str(loaded.provenance["origin"])
    json.dumps(loaded.provenance, allow_nan=False)


def test_cifar100_has_the_fine_labels(small100, tmp_path: Path) -> None:
    prepare("cifar100", tmp_path, small100.path, False, str)
    loaded = source.load(DataConfig(name="cifar100", root=str(tmp_path)))
    np.testing.assert_array_equal(loaded.test.labels, small100.records["test.bin"][:, 1])
    assert loaded.classes == 100


def test_the_sets_in_mnists_format_are_loaded_from_prepared_data(small_idx, tmp_path: Path) -> None:
    name = small_idx.official.dataset
    prepare(name, tmp_path, small_idx.path, False, str)
    loaded = source.load(DataConfig(name=name, root=str(tmp_path)))
    assert (loaded.train.images.shape, loaded.test.images.shape) == ((7, 28, 28, 1), (3, 28, 28, 1))
    assert loaded.train.labels.tolist() == list(small_idx.contents["train-labels-idx1-ubyte.gz"][8:])
    assert loaded.test.images.tobytes() == small_idx.contents["t10k-images-idx3-ubyte.gz"][16:]
    assert (loaded.classes, loaded.provenance["verified"]) == (10, True)
    assert loaded.provenance["origin"] == f"{small_idx.official.names}, the official {small_idx.official.address}"
    assert loaded.provenance == json.loads(json.dumps(loaded.provenance, allow_nan=False))


def test_the_first_examples_are_used_and_their_digest_is_recorded() -> None:
    whole, part = source.load(DataConfig()), source.load(DataConfig(train_examples=100, test_examples=1))
    np.testing.assert_array_equal(part.train.images, whole.train.images[:100])
    np.testing.assert_array_equal(part.test.labels, whole.test.labels[:1])
    assert part.provenance["digest"] == digest(part) != whole.provenance["digest"]


@pytest.mark.parametrize(("key", "most"), [("train_examples", 1437), ("test_examples", 360)])
def test_more_examples_than_there_are_is_refused(key: str, most: int, refused: Refused) -> None:
    for count in (most + 1, 0, -1):
        with refused(f"data.{key}={count}", f"1 to {most}", f"Type: data.{key}={most}"):
            source.load(DataConfig(**{key: count}))
    source.load(DataConfig(**{key: most}))


def test_the_last_training_examples_are_held_out() -> None:
    config = DataConfig(train_examples=100, validation_examples=30, resize=12)
    whole, cut = (source.load(each) for each in (DataConfig(train_examples=100, resize=12), config))
    assert cut.validation is not None
    assert list(cut.evaluated.values()) == [cut.test, cut.validation]
    for name in ("images", "labels"):
        np.testing.assert_array_equal(getattr(cut.train, name), getattr(whole.train, name)[:70])
        np.testing.assert_array_equal(getattr(cut.validation, name), getattr(whole.train, name)[70:])
        np.testing.assert_array_equal(getattr(cut.test, name), getattr(whole.test, name))
    used = [array for split in (cut.train, *cut.evaluated.values()) for array in (split.images, split.labels)]
    assert cut.provenance["digest"] == digests.of_arrays(*used)


def test_nothing_is_held_out_unless_asked_for() -> None:
    loaded = source.load(DataConfig())
    assert loaded.validation is None
    assert loaded.evaluated == {"test": loaded.test}


@pytest.mark.parametrize(("there_are", "advice"), [(None, "143"), (100, "10"), (1, "null")])
def test_something_is_left_to_train_on(there_are: int | None, advice: str, refused: Refused) -> None:
    most = there_are or 1437
    for count in (most, most + 1, 0, -1):
        says = (f"data.validation_examples={count}", f"of {most}", f"Type: data.validation_examples={advice}")
        with refused(*says):
            source.load(DataConfig(train_examples=there_are, validation_examples=count))


def test_an_unknown_name_is_refused_with_the_nearest(refused: Refused) -> None:
    with refused("data=digit is not known", "digits, synthetic, cifar10, cifar100", "Did you mean: digits"):
        source.load(DataConfig(name="digit"))


def test_rows_say_what_is_there_and_what_to_type(small, tmp_path: Path) -> None:
    prepare("cifar10", tmp_path, small.path, False, str)
    rows = {row["name"]: row for row in json.loads(json.dumps(source.describe(tmp_path)))}
    statuses = {name: row["status"] for name, row in rows.items()}
    assert statuses == {
        "digits": "bundled",
        "synthetic": "bundled",
        "cifar10": "prepared",
        "cifar100": "not prepared",
        "mnist": "not prepared",
        "fashion_mnist": "not prepared",
        "imagenet2012": "not prepared",
        "mock_imagenet": "made at its first use",
    }
    assert rows["cifar10"]["path"] == str(tmp_path / "resjax_cifar10" / "1.0.0")
    assert rows["cifar100"]["type"] == f"RESJAX_DATA={tmp_path} resjax data prepare cifar100"
    assert rows["digits"]["image_shape"] == [8, 8, 1]


def test_the_root_is_the_setting_or_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESJAX_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", "/home/someone")
    assert prepared.root_of(None) == tmp_path
    assert prepared.root_of("~/data") == Path("/home/someone/data")
