"""Sets of encoded images: what was written is what is read, slice by slice, and what is wrong is said."""

import os
import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photographs import NAME, folder_of, spoiled, tensors, written
from PIL import Image

from resjax.data import mock_imagenet, prepared, resident, source, splits, streamed, tfds_sets
from resjax.data.collection import Joined, Part
from resjax.data.decode import CorruptError, decode
from resjax.data.folders import FolderSplit
from resjax.dataconfig import DataConfig
from resjax.errors import InputError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("images"))


def config(where: Path | None, **settings: object) -> DataConfig:
    told = {"kind": "tfds", "name": NAME, "streamed": True, "test_split": "validation"}
    told["root"] = None if where is None else str(where)
    return DataConfig(**(told | settings))


def loaded(where: Path | None, **settings: object) -> streamed.Streamed:
    found = source.load(config(where, **settings))
    assert isinstance(found, streamed.Streamed)
    return found


def test_records_are_what_was_written(root: Path) -> None:
    """In imagenet2012's layout, features and files, without TensorFlow; the writer shuffles, and names tell which."""
    found = loaded(root)
    assert (found.examples, len(found.test), found.classes, found.shape) == (60, 21, 1000, (224, 224, 3))
    originals = {row["file_name"]: row for _, row in mock_imagenet.examples("train", 60)}
    for index in range(60):
        number, name = found.train.name(index).split()
        assert number == f"train[{index}]"
        assert found.train[index].image == originals[name]["image"].getvalue()
        assert found.train[index].label == originals[name]["label"]
    sizes = {decode(found.train[index].image).shape for index in range(60)}
    assert len(sizes) > 50, "images of varied sizes"
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        ("train[:90%]", [*range(54)]),
        ("train[54:]", [*range(54, 60)]),
        ("train[-3:]", [57, 58, 59]),
        ("train[10:20]+train[:5%]", [*range(10, 20), 0, 1, 2]),
    ],
)
def test_slices(root: Path, spelled: str, expected: list[int]) -> None:
    whole, part = loaded(root).train, loaded(root, train_split=spelled).train
    assert [part[index] for index in range(len(part))] == [whole[index] for index in expected]
    assert [part.name(index) for index in range(len(part))] == [whole.name(index) for index in expected]
    with pytest.raises(IndexError):
        part[len(part)]


def test_the_rest_can_be_the_test_set(root: Path) -> None:
    found = loaded(root, train_split="train[:75%]", test_split="train[75%:]", validation_examples=5)
    assert [len(part) for part in (found.train, found.test, *found.evaluated.values())] == [40, 15, 15, 5]
    names = [part.name(index) for part in (found.train, *found.evaluated.values()) for index in range(len(part))]
    assert len(set(names)) == 60


@pytest.mark.parametrize("spelled", ["nope", "train[90%:", "train[50:40]", "train[:0]", "train[:500%]"])
def test_a_split_that_is_not_there(root: Path, spelled: str) -> None:
    with pytest.raises(InputError, match=r"data\.train_split") as caught:
        loaded(root, train_split=spelled)
    assert "train (60), validation (21)" in str(caught.value)


def test_what_a_worker_gets_opens_its_own_files(root: Path) -> None:
    part = loaded(root, train_split="train[10:20]").train
    before = part[3]
    again = pickle.loads(pickle.dumps(part))
    assert isinstance(again, Part)
    assert not again.whole.kept  # type: ignore[attr-defined]
    assert again[3] == before


def test_the_newest_version_or_the_one_that_is_named(root: Path, tmp_path: Path) -> None:
    for version in ("5.0.0", "5.1.0", "10.0.0"):
        place = tmp_path / NAME / version
        place.mkdir(parents=True)
        (place / "dataset_info.json").write_text("{}")
    assert tfds_sets.versions(tmp_path / NAME, "")[0].name == "10.0.0"
    assert tfds_sets.versions(tmp_path / NAME, "5")[0].name == "5.1.0"
    assert tfds_sets.versions(tmp_path / NAME, "5.0.0")[0].name == "5.0.0"
    assert tfds_sets.versions(tmp_path / NAME, "6") == []


def test_a_set_that_is_not_prepared(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There are: imagenet2012") as caught:
        loaded(root, name="imagenet")
    assert "resjax[tfds-prepare]" in str(caught.value)
    assert "Did you mean: data.name=imagenet2012" in str(caught.value)
    with pytest.raises(InputError, match="not prepared"):
        loaded(tmp_path)
    with pytest.raises(InputError, match=r"\nType: data=mnist, data\.root=FOLDER") as caught:
        loaded(root, name="mnist")
    assert "Did you mean" not in str(caught.value)
    with pytest.raises(InputError, match="\nDid you mean: data=cifar10\n"):
        loaded(root, name="cifar11")


def test_resjaxs_root_is_searched_before_tensorflow_datasets(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESJAX_DATA", str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    assert loaded(None).examples == 60


def test_read_at_once_it_is_a_set_like_the_others(root: Path) -> None:
    found = source.load(config(root, streamed=False, resize=24, train_examples=30))
    assert isinstance(found, resident.Source)
    assert (found.train.images.shape, found.test.images.shape) == ((30, 24, 24, 3), (21, 24, 24, 3))
    assert found.train.labels.tolist() == [loaded(root).train[index].label for index in range(30)]
    with pytest.raises(InputError, match=r"data\.resize=32, or data\.streamed=true"):
        source.load(config(root, streamed=False))


def test_more_than_the_memory_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "SHARE_OF_MEMORY", 1e-9)
    with pytest.raises(InputError, match=r"data\.streamed=true"):
        source.load(config(root, streamed=False, resize=24))


def test_the_digest_tells_sets_apart(root: Path, tmp_path: Path) -> None:
    one = loaded(root).provenance["digest"]
    assert one == loaded(root).provenance["digest"]
    assert one != loaded(root, train_split="train[:90%]").provenance["digest"]
    assert one != loaded(root, test_split="validation[:20]").provenance["digest"]
    other = written(tmp_path, generate=spoiled(3))
    assert one != loaded(other).provenance["digest"]


def test_given_numbers_standardise_or_those_of_the_channels(root: Path) -> None:
    given = loaded(root, mean=[0.1, 0.2, 0.3], std=[1.0, 2.0, 3.0])
    assert (given.mean, given.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    found = loaded(root, crop=16, test_side=20, shorter_side=[20, 24])
    crops = np.stack([found.views.centre(found.train[index].image) for index in range(60)]) / 255
    np.testing.assert_allclose(found.mean, crops.mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(found.std, crops.std((0, 1, 2)), atol=1e-6)
    assert found.provenance["mean"] == list(found.mean)


@pytest.mark.parametrize("shape", [(5, 4, 3), (None, 4, 1)])
@pytest.mark.parametrize("encoding", ["none", "bytes", "zlib"])
def test_pixels_are_read_however_a_tensor_is_encoded(tmp_path: Path, encoding: str, shape: tuple[Any, ...]) -> None:
    images = [np.random.default_rng(index).integers(0, 256, (5, *shape[1:]), np.uint8) for index in range(6)]
    tfds = prepared.tensorflow_datasets()
    tensors(tmp_path, tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding=encoding), images)
    found = tfds_sets.opened("tensors", [tmp_path]).split("train")
    assert sorted(found[index].label for index in range(6)) == [*range(6)]
    for index in range(6):
        np.testing.assert_array_equal(found[index].image, images[found[index].label])
    source_of = DataConfig(kind="tfds", name="tensors", root=str(tmp_path), train_split="train[:4]")
    both = source.load(replace(source_of, test_split="train[4:]"))
    assert isinstance(both, resident.Source)
    assert both.train.images.shape == (4, 5, *shape[1:])


def test_what_is_no_tensor_of_that_shape_is_corrupt() -> None:
    from tensorflow_datasets.proto import tf_example_pb2

    for encoding, content in (("bytes", b"1234567"), ("zlib", b"nothing of zlib's"), ("none", b"")):
        stored = tf_example_pb2.Example()
        stored.features.feature["image"].bytes_list.value.append(content)
        with pytest.raises(CorruptError, match="no pixels of shape"):
            tfds_sets.Pixels((2, 2, 3), encoding).read(stored.features.feature["image"])


def test_a_million_paths_are_one_string(tmp_path: Path) -> None:
    """Every worker has its own copy of them."""
    labels = {f"n{number % 10}/n{number % 10}_{number}.JPEG": number % 10 for number in range(20_000)}
    made = FolderSplit.of(tmp_path, labels)
    copy = pickle.dumps(made)
    assert len(copy) < sum(map(len, labels)) + 14 * len(labels)
    again = pickle.loads(copy)
    found = {again.name(index).partition("/")[2]: int(again.labels[index]) for index in range(len(again))}
    assert found == labels
    assert again.path(0) != os.fsencode(next(iter(labels)))


def test_a_folder(tmp_path: Path) -> None:
    root = folder_of(tmp_path)
    settings = {"kind": "folder", "name": "pets", "root": str(root), "streamed": True, "test_split": "val"}
    found = source.load(DataConfig(**settings))
    assert isinstance(found, streamed.Streamed)
    assert (found.examples, len(found.test), found.classes) == (6, 6, 2)
    for index in range(6):
        name = found.train.name(index)
        assert found.train[index].label == ["cat", "dog"].index(name.split("/")[1])
        assert decode(found.train[index].image)[0, 0, 0] == 30 * int(Path(name).stem)
    assert len({found.train.name(index).split("/")[1] for index in range(3)}) == 2, "a slice mixes the classes"
    assert source.shape_of(DataConfig(**settings)) == ((224, 224, 3), 2)
    assert source.examples_of(DataConfig(**settings)) == 12


def test_classes_are_those_of_training(tmp_path: Path) -> None:
    root = folder_of(tmp_path)
    for junk in ("train/.ipynb_checkpoints", "train/empty", "cache/blobs"):
        (root / junk).mkdir(parents=True)
    for junk in ("train/.ipynb_checkpoints", "cache/blobs"):
        (root / junk / "1.png").write_bytes((root / "train" / "cat" / "1.png").read_bytes())
    settings = {"kind": "folder", "name": "pets", "root": str(root), "streamed": True, "test_split": "val"}
    assert source.load(DataConfig(**settings)).classes == 2
    (root / "val" / "bird").mkdir()
    (root / "val" / "bird" / "1.png").write_bytes((root / "train" / "cat" / "1.png").read_bytes())
    with pytest.raises(InputError, match="bird, which is no class of training"):
        source.load(DataConfig(**settings))


def test_labels_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the test split of a competition."""
    root = written(tmp_path, train=4)
    monkeypatch.setattr(tfds_sets.TfdsSet, "classes", 100)
    with pytest.raises(InputError, match="has the label"):
        loaded(root)


def test_folders_that_are_none(tmp_path: Path) -> None:
    settings = {"kind": "folder", "name": "pets", "streamed": True, "test_split": "val"}
    with pytest.raises(InputError, match=r"data\.root=FOLDER"):
        source.load(DataConfig(**settings))
    with pytest.raises(InputError, match="not a folder"):
        source.load(DataConfig(root=str(tmp_path / "no"), **settings))
    with pytest.raises(InputError, match=r"has no folder train(.|\n)*there are: none"):
        source.load(DataConfig(root=str(tmp_path), **settings))
    shutil.rmtree(folder_of(tmp_path) / "train")
    with pytest.raises(
        InputError, match=r"has no folder train(.|\n)*there are: val\nType: data.root=FOLDER, or 'data.tr"
    ):
        source.load(DataConfig(root=str(tmp_path), **settings))
    (tmp_path / "train").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "train" / "1.png")  # of no class
    with pytest.raises(InputError, match=r"train has no folder with images in it(.|\n)*train/cat/1.jpg"):
        source.load(DataConfig(root=str(tmp_path), **settings))


def test_a_split_of_a_folder_that_is_misspelt(tmp_path: Path) -> None:
    """What is offered for tests is no set that is trained on."""
    settings = {"kind": "folder", "name": "pets", "root": str(folder_of(tmp_path)), "streamed": True}
    with pytest.raises(InputError, match=r"vall(.|\n)*there are: train, val\nType: (.*) data.test_split=val$"):
        source.load(DataConfig(test_split="vall", **settings))
    for spelled in ("tran", "tran[:90%]"):
        with pytest.raises(InputError, match=r"^data\.train_split=tran(\[:90%\])?: \S* has no folder tran\.") as caught:
            source.load(DataConfig(train_split=spelled, test_split="val", **settings))
        assert spelled in str(caught.value)
    with pytest.raises(InputError, match=r"^data\.train_split=train\+ cannot be read"):
        source.load(DataConfig(train_split="train+", test_split="val", **settings))
    shutil.rmtree(tmp_path / "val")
    with pytest.raises(InputError, match=r"'data.train_split=\"train\[:90%\]\"' 'data.test_split=\"train\[90%:\]\"'"):
        source.load(DataConfig(test_split="val", **settings))


def test_images_that_are_trained_and_tested_on_are_refused(root: Path) -> None:
    for train, test, shared in (("train", "train", 60), ("train[:50]", "validation+train[45:]", 5)):
        with pytest.raises(InputError, match=f"share {shared} images of train"):
            loaded(root, train_split=train, test_split=test)
    with pytest.raises(
        InputError, match=r"Type: 'data.train_split=\"validation\[:90%\]\"' 'data.test_split=\"val.*90%:\]"
    ):
        loaded(root, train_split="train+validation", test_split="validation")
    assert len(loaded(root, train_split="train[:50]", test_split="train[50:]").test) == 10
    assert len(loaded(root, train_split="train+validation", train_examples=60).train) == 60


def test_a_set_with_nothing_to_tell_apart(tmp_path: Path) -> None:
    folder_of(tmp_path)
    for split in ("train", "val"):
        shutil.rmtree(tmp_path / split / "cat")
    settings = {"kind": "folder", "name": "pets", "root": str(tmp_path), "streamed": True, "test_split": "val"}
    with pytest.raises(InputError, match="has classes: 1"):
        source.load(DataConfig(**settings))


def test_a_split_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    settings = {"kind": "folder", "name": "pets", "root": str(folder_of(tmp_path)), "streamed": True}
    for split, setting in (("val", "test_split"), ("train", "train_split")):
        for path in (tmp_path / split).rglob("[0-9].png"):
            path.write_bytes(b"nothing of an image")
        with pytest.raises(
            InputError, match=rf"{split}/(cat|dog)/\d.png: (.|\n)*None of 6 images that were tr"
        ) as caught:
            source.load(DataConfig(corrupt_share=1.0, test_split="val", **settings))
        assert f"Type: data.root=FOLDER, or data.{setting}=SPLIT" in str(caught.value)


def test_the_made_set_is_made_once_and_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mock_imagenet, "TRAIN_EXAMPLES", 30)
    monkeypatch.setattr(mock_imagenet, "TEST_EXAMPLES", 5)
    digests = []
    for folder in ("one", "two"):
        place = mock_imagenet.prepared(tmp_path / folder)
        stamp = (place / "dataset_info.json").stat().st_mtime_ns
        assert mock_imagenet.prepared(tmp_path / folder) == place
        assert (place / "dataset_info.json").stat().st_mtime_ns == stamp
        assert [path.name for path in (tmp_path / folder).iterdir()] == [mock_imagenet.NAME]
        digests.append(loaded(tmp_path / folder, name=mock_imagenet.NAME).provenance["digest"])
    assert digests[0] == digests[1]


def test_a_known_set_needs_no_files_to_be_planned() -> None:
    found = DataConfig(kind="tfds", name="imagenet2012", streamed=True, root="/nowhere")
    assert source.shape_of(found) == ((224, 224, 3), 1000)
    assert source.examples_of(found) == 1_331_167


def test_parts_joined() -> None:
    class Numbers:
        def __init__(self, *numbers: int) -> None:
            self.numbers = numbers

        def __len__(self) -> int:
            return len(self.numbers)

        def __getitem__(self, index: int) -> int:
            return self.numbers[index]

    whole = Joined((Numbers(1, 2), Numbers(3), Numbers(4, 5)))  # type: ignore[arg-type]
    assert [whole[index] for index in range(len(whole))] == [1, 2, 3, 4, 5]
    with pytest.raises(IndexError):
        whole[5]


def test_shares_are_rounded_as_tensorflow_datasets_rounds(root: Path) -> None:
    tfds = prepared.tensorflow_datasets()
    builder = tfds.builder_from_directory(root / NAME / "5.1.0")
    for spelled in ("train[:33%]", "train[33%:67%]", "train[5%:]"):
        expected = builder.info.splits[spelled].num_examples
        assert sum(part.size for part in splits.parse(spelled, {"train": 60}, "data.train_split")) == expected
