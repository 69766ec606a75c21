import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from resjax.data import archives, builders
from resjax.data.prepare import prepare

PLAIN = """
import sys
import numpy as np
import tensorflow_datasets as tfds
for split in ("train", "test"):
    records = list(tfds.data_source("resjax_cifar10", split=split, data_dir=sys.argv[1]))
    np.save(f"{sys.argv[2]}/{split}_image.npy", [record["image"] for record in records])
    np.save(f"{sys.argv[2]}/{split}_label.npy", [record["label"] for record in records])
assert not [name for name in sys.modules if name.split(".")[0] in ("tensorflow", "resjax")]
"""


def test_plain_tensorflow_datasets_reads_the_same_without_us_and_without_tensorflow(small, tmp_path: Path) -> None:
    prepare("cifar10", tmp_path / "root", small.path, False, str)
    subprocess.run([sys.executable, "-c", PLAIN, str(tmp_path / "root"), str(tmp_path)], check=True, timeout=60)
    for split, arrays in archives.read((small.path,), small.official).items():
        for key, array in arrays.items():
            np.testing.assert_array_equal(np.load(tmp_path / f"{split}_{key}.npy"), array)


def test_cifar100_reads_both_labels(small100, tmp_path: Path) -> None:
    prepare("cifar100", tmp_path, small100.path, False, str)
    records = list(tfds.data_source("resjax_cifar100", split="train", data_dir=tmp_path))
    arrays = archives.read((small100.path,), small100.official)["train"]
    for key in ("image", "coarse_label", "label"):
        np.testing.assert_array_equal(np.stack([record[key] for record in records]), arrays[key])


def test_the_sets_in_mnists_format_read_the_same(small_idx, tmp_path: Path) -> None:
    name = small_idx.official.dataset
    prepare(name, tmp_path / "root", small_idx.path, False, str)
    for split, arrays in archives.read(small_idx.paths(), small_idx.official).items():
        records = list(tfds.data_source(f"resjax_{name}", split=split, data_dir=tmp_path / "root"))
        for key in ("image", "label"):
            np.testing.assert_array_equal(np.stack([record[key] for record in records]), arrays[key])


SHAPES = {"cifar10": (32, 32, 3), "cifar100": (32, 32, 3), "mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1)}


@pytest.mark.parametrize("name", archives.ARCHIVES)
def test_features_say_what_the_examples_are(name: str, tmp_path: Path) -> None:
    features = builders.BUILDERS[name](data_dir=tmp_path).info.features
    assert (features["image"].shape, features["image"].np_dtype) == (SHAPES[name], np.uint8)
    classes = {key: features[key].num_classes for key in features if key != "image"}
    assert classes == dict(archives.ARCHIVES[name].labels)


def test_the_builder_takes_tensorflow_datasets_own_settings(tmp_path: Path) -> None:
    builder = tfds.builder("resjax_cifar10", data_dir=tmp_path, file_format="array_record")
    assert isinstance(builder, builders.Cifar10)


def test_the_builder_alone_reads_the_archive_it_is_given(
    small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(tfds.download.DownloadManager, "download", lambda _, url: asked.append(url) or small.path)
    builder = builders.Cifar10(data_dir=tmp_path)
    builder.download_and_prepare()
    labels = [record["label"] for record in builder.as_data_source("test")]
    assert asked == [small.file.url]
    np.testing.assert_array_equal(labels, small.records["test_batch.bin"][:, 0])


def test_the_builder_alone_reads_all_files_it_is_given(
    small_mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = dict(zip((file.url for file in small_mnist.official.files), small_mnist.paths(), strict=True))
    monkeypatch.setattr(tfds.download.DownloadManager, "download", lambda _, url: given[url])
    builder = builders.Mnist(data_dir=tmp_path)
    builder.download_and_prepare()
    labels = [record["label"] for record in builder.as_data_source("test")]
    assert labels == list(small_mnist.contents["t10k-labels-idx1-ubyte.gz"][8:])
