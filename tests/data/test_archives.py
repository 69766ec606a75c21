import gzip
import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from tensorflow_datasets.core.download import checksums

from resjax.data import archives, source

Refused = Callable[..., AbstractContextManager[None]]


@pytest.mark.parametrize("name", archives.ARCHIVES)
def test_sizes_and_hashes_are_those_tensorflow_datasets_lists(name: str) -> None:
    for file in archives.ARCHIVES[name].files:
        listed = checksums.get_all_url_infos()[file.url]
        assert (file.bytes, file.sha256, file.name) == (listed.size, listed.checksum, listed.filename)


@pytest.mark.parametrize("name", archives.ARCHIVES)
def test_there_are_as_many_files_and_examples_as_the_table_says(name: str) -> None:
    official, row = archives.ARCHIVES[name], source.description(name)
    counts = [sum(count for _, count in official.parts[split]) for split in ("train", "test")]
    assert counts == [row.train_examples, row.test_examples]
    assert (official.image_shape, dict(official.labels)["label"]) == (row.image_shape, row.classes)
    assert len(official.files) == (4 if "mnist" in name else 1)


def test_official_file_is_verified_in_silence(small) -> None:
    facts = archives.verify((small.path,), small.official, False, pytest.fail)
    assert facts["verified"] is True
    assert facts["archive_sha256"] == facts["official_sha256"] == hashlib.sha256(small.path.read_bytes()).hexdigest()
    assert facts["archive_bytes"] == facts["official_bytes"] == small.path.stat().st_size


def test_changed_file_is_refused_with_both_hashes(small, refused: Refused) -> None:
    content = bytearray(small.path.read_bytes())
    content[100] ^= 1
    small.path.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with refused(found, small.file.sha256, small.file.url, "--unverified"):
        archives.verify((small.path,), small.official, False, pytest.fail)


def test_cut_file_is_refused_with_both_sizes(small, refused: Refused) -> None:
    small.path.write_bytes(small.path.read_bytes()[:-1000])
    with refused(f"{small.file.bytes - 1000:,} bytes", f"{small.file.bytes:,} bytes"):
        archives.verify((small.path,), small.official, False, pytest.fail)


def test_another_size_with_the_official_hash_is_no_official_file(small, refused: Refused) -> None:
    small.path.write_bytes(small.path.read_bytes() + b"\0")
    with refused("not the official"):
        archives.verify((small.path,), small.official, False, pytest.fail)


def test_no_file_is_refused(small, tmp_path: Path, refused: Refused) -> None:
    for path in (tmp_path / "missing.tar.gz", tmp_path):
        with refused(f"{path} is not a file", small.file.url, "--archive FILE"):
            archives.locate(path, small.official)
    assert archives.locate(small.path, small.official) == (small.path,)


def test_unverified_is_said_loudly_and_recorded(small, repack: Callable[..., Path]) -> None:
    said: list[str] = []
    path = repack()
    path.write_bytes(path.read_bytes() + b"\0")
    facts = archives.verify((path,), small.official, True, said.append)
    assert facts["verified"] is False
    assert facts["archive_sha256"] != facts["official_sha256"] == small.file.sha256
    assert "UNVERIFIED" in said[0]
    assert str(path) in said[0]
    assert facts["archive_sha256"] in said[1]


def test_an_official_file_is_verified_even_when_unverified_is_allowed(small) -> None:
    assert archives.verify((small.path,), small.official, True, pytest.fail)["verified"] is True


def test_records_become_images_of_red_green_and_blue_planes(small) -> None:
    splits = archives.read((small.path,), small.official)
    table = np.concatenate([small.records["data_batch_1.bin"], small.records["data_batch_2.bin"]])
    assert splits["train"]["image"].shape == (11, 32, 32, 3)
    assert (splits["train"]["image"].dtype, splits["train"]["label"].dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(splits["train"]["label"], table[:, 0])
    for channel in range(3):
        plane = table[:, 1 + 1024 * channel : 1025 + 1024 * channel]
        np.testing.assert_array_equal(splits["train"]["image"][..., channel].reshape(11, -1), plane)
    np.testing.assert_array_equal(splits["test"]["label"], small.records["test_batch.bin"][:, 0])


def test_cifar100_has_the_coarse_label_first(small100) -> None:
    splits = archives.read((small100.path,), small100.official)
    table = small100.records["test.bin"]
    np.testing.assert_array_equal(splits["test"]["coarse_label"], table[:, 0])
    np.testing.assert_array_equal(splits["test"]["label"], table[:, 1])
    np.testing.assert_array_equal(splits["test"]["image"][:, 0, 0], table[:, 2::1024])


def test_label_out_of_range_is_refused(small, repack: Callable[..., Path], refused: Refused) -> None:
    table = small.records["data_batch_2.bin"].copy()
    table[3, 0] = 10
    with refused("data_batch_2.bin", "record 3 has label 10", "0 to 9"):
        archives.read((repack(data_batch_2=table.tobytes()),), small.official)


def test_missing_file_is_refused(small, repack: Callable[..., Path], refused: Refused) -> None:
    with refused("test_batch.bin is missing", "4 records of 3,073 bytes"):
        archives.read((repack(test_batch=None),), small.official)


@pytest.mark.parametrize("extra", [-1, 1, 3073])
def test_wrong_number_of_bytes_is_refused(small, repack: Callable[..., Path], refused: Refused, extra: int) -> None:
    content = small.records["test_batch.bin"].tobytes() + b"\0" * 3073
    found = 4 * 3073 + extra
    with refused(f"test_batch.bin has {found:,} bytes", "12,292 in all"):
        archives.read((repack(test_batch=content[:found]),), small.official)


def test_files_of_another_folder_do_not_count(small, repack: Callable[..., Path], refused: Refused) -> None:
    content = small.records["test_batch.bin"].tobytes()
    with refused("test_batch.bin is missing"):
        archives.read((repack(**{"test_batch": None, "old/test_batch": content}),), small.official)


@pytest.mark.parametrize("keep", [0, 10, 5000, -8, -1])
def test_cut_archive_cannot_be_read(small, refused: Refused, keep: int) -> None:
    small.path.write_bytes(small.path.read_bytes()[:keep])
    with refused("cannot be read to its end", small.file.url):
        archives.read((small.path,), small.official)


def test_changed_content_is_noticed_without_the_official_hash(small, refused: Refused) -> None:
    whole = small.path.read_bytes()
    for place in (100, len(whole) // 2, len(whole) - 100, len(whole) - 6):  # the last is in the length
        small.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with refused("cannot be read to its end"):
            archives.read((small.path,), small.official)


@pytest.mark.parametrize(
    "content", [b"no archive", gzip.compress(b"no tar file" * 100, mtime=0)], ids=["no gzip", "no tar"]
)
def test_other_files_are_refused(small, refused: Refused, content: bytes) -> None:
    small.path.write_bytes(content)
    with refused("cannot be read to its end", "a gzipped tar file"):
        archives.read((small.path,), small.official)
