import gzip
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from resjax.data import archives, idx
from resjax.data.published import File

Refused = Callable[..., AbstractContextManager[None]]
IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
MADE = File("https://example.org/made-idx3-ubyte.gz", 0, "")


def independent(content: bytes) -> tuple[list[int], bytes]:
    """Sizes and numbers, read as MNIST's page describes the format."""
    assert list(content[:3]) == [0, 0, 8]
    sizes = [int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(content[3])]
    return sizes, content[4 + 4 * content[3] :]


@pytest.mark.parametrize(("split", "part"), [("train", "train"), ("test", "t10k")])
def test_every_byte_is_where_an_independent_reader_finds_it(small_idx, split: str, part: str) -> None:
    arrays = archives.read(small_idx.paths(), small_idx.official)[split]
    (count, height, width), pixels = independent(small_idx.contents[f"{part}-images-idx3-ubyte.gz"])
    assert arrays["image"].shape == (count, height, width, 1)
    assert (arrays["image"].dtype, arrays["label"].dtype) == (np.uint8, np.int32)
    for image in range(count):
        for row in range(height):
            for column in range(width):
                place = (image * height + row) * width + column
                assert arrays["image"][image, row, column, 0] == pixels[place]
    sizes, labels = independent(small_idx.contents[f"{part}-labels-idx1-ubyte.gz"])
    assert (sizes, list(labels)) == ([count], arrays["label"].tolist())


def test_a_file_written_out_by_hand(tmp_path: Path) -> None:
    content = bytes.fromhex("00000803 00000002 00000001 00000003 00 01 02 fd fe ff")
    (tmp_path / "made").write_bytes(gzip.compress(content))
    assert idx.array(tmp_path / "made", MADE, (2, 1, 3)).tolist() == [[[0, 1, 2]], [[253, 254, 255]]]


def test_the_files_may_lie_anywhere_under_any_name(small_mnist, tmp_path: Path) -> None:
    moved = [path.rename(tmp_path / f"{number}.download") for number, path in enumerate(small_mnist.paths())]
    arrays = archives.read(tuple(moved), small_mnist.official)["test"]
    assert arrays["image"].tobytes() == small_mnist.contents[IMAGES][16:]


HEADER = bytes.fromhex("00000803 00000003 0000001c 0000001c")
IMAGE_DAMAGE = {
    "nothing": (b"", "has 0 bytes, fewer than the 16 of its header"),
    "cut in its header": (HEADER[:15], "has 15 bytes, fewer than the 16"),
    "cut in its numbers": (HEADER + bytes(3 * 784 - 1), "has 2,367 bytes"),
    "a byte more": (HEADER + bytes(3 * 784 + 1), "has more than 2,368 bytes"),
    "megabytes more": (HEADER + bytes(5_000_000), "has more than 2,368 bytes"),
    "floats": (b"\0\0\x0d\x03" + HEADER[4:] + bytes(3 * 784), "has the magic number 0x00000d03"),
    "one axis": (b"\0\0\x08\x01" + HEADER[4:] + bytes(3 * 784), "has the magic number 0x00000801"),
    "lowest byte first": (HEADER[3::-1] + HEADER[4:] + bytes(3 * 784), "has the magic number 0x03080000"),
    "another count": (HEADER[:7] + b"\4" + HEADER[8:] + bytes(4 * 784), "is of 4 x 28 x 28 unsigned bytes"),
    "another height": (HEADER[:11] + b"\x1b" + HEADER[12:] + bytes(3 * 784), "is of 3 x 27 x 28 unsigned bytes"),
    "a count beyond all": (HEADER[:4] + b"\xff" * 4 + HEADER[8:], "is of 4,294,967,295 x 28 x 28 unsigned bytes"),
}


@pytest.mark.parametrize("kind", IMAGE_DAMAGE)
def test_images_of_another_form_are_refused(small_mnist, refused: Refused, kind: str) -> None:
    content, said = IMAGE_DAMAGE[kind]
    path, file = small_mnist.path / IMAGES, small_mnist.file(IMAGES)
    path.write_bytes(gzip.compress(content))
    expected = "Expected magic number 0x00000803, 3 x 28 x 28 unsigned bytes, 2,368 bytes in all"
    with refused(f"{path} {said}", expected, file.url, "type the same again"):
        archives.read(small_mnist.paths(), small_mnist.official)


def test_labels_of_another_number_are_refused(small_mnist, refused: Refused) -> None:
    for content, said in (
        (b"\0\0\x08\x01\0\0\0\x04\0\0\0\0", "is of 4 unsigned bytes"),
        (b"\0\0\x08\x01\0\0\0\x03\0\0", "has 10 bytes"),
    ):
        (small_mnist.path / LABELS).write_bytes(gzip.compress(content))
        with refused(f"{LABELS} {said}", "0x00000801, 3 unsigned bytes, 11 bytes in all"):
            archives.read(small_mnist.paths(), small_mnist.official)


def test_a_label_out_of_range_is_refused(small_mnist, refused: Refused) -> None:
    (small_mnist.path / LABELS).write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x03\x09\0\x0a"))
    with refused(f"{LABELS}: record 2 has label 10", "0 to 9", small_mnist.file(LABELS).url):
        archives.read(small_mnist.paths(), small_mnist.official)


def test_files_that_changed_places_are_refused(small_mnist, refused: Refused) -> None:
    paths = dict(zip((file.name for file in small_mnist.official.files), small_mnist.paths(), strict=True))
    changed = paths | {IMAGES: paths[LABELS], LABELS: paths[IMAGES]}
    with refused("has 11 bytes, fewer than the 16 of its header"):
        archives.read(tuple(changed.values()), small_mnist.official)
    changed = paths | {IMAGES: paths["train-images-idx3-ubyte.gz"]}
    with refused("is of 7 x 28 x 28 unsigned bytes"):
        archives.read(tuple(changed.values()), small_mnist.official)


@pytest.mark.parametrize("keep", [1, 9, 1000, -8, -1])
def test_a_cut_file_cannot_be_read(small_mnist, refused: Refused, keep: int) -> None:
    path = small_mnist.path / IMAGES
    path.write_bytes(path.read_bytes()[:keep])
    with refused(f"{path} cannot be read to its end", "a gzipped IDX file", small_mnist.file(IMAGES).url):
        archives.read(small_mnist.paths(), small_mnist.official)


def test_a_flipped_bit_is_noticed_without_the_official_hash(small_mnist, refused: Refused) -> None:
    path = small_mnist.path / IMAGES
    whole = path.read_bytes()
    for place in (0, 1, 500, len(whole) // 2, len(whole) - 7, len(whole) - 2):  # the last two: checksum and length
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with refused(str(path)):
            archives.read(small_mnist.paths(), small_mnist.official)


def test_what_follows_the_end_is_noticed(small_mnist, refused: Refused) -> None:
    path = small_mnist.path / LABELS
    path.write_bytes(path.read_bytes() + b"more")
    with refused("cannot be read to its end"):
        archives.read(small_mnist.paths(), small_mnist.official)


def test_missing_files_are_named(small_mnist, refused: Refused) -> None:
    assert archives.locate(small_mnist.path, small_mnist.official) == small_mnist.paths()
    (small_mnist.path / IMAGES).unlink()
    (small_mnist.path / LABELS).rename(small_mnist.path / "labels.gz")
    with refused(f"{small_mnist.path} lacks {IMAGES}, {LABELS}", "train-images", "--archive FOLDER"):
        archives.locate(small_mnist.path, small_mnist.official)


def test_one_file_instead_of_the_folder_is_refused(small_mnist, tmp_path: Path, refused: Refused) -> None:
    for path in (small_mnist.path / IMAGES, tmp_path / "missing"):
        with refused(f"{path} is not a folder", LABELS, small_mnist.official.address, "--archive FOLDER"):
            archives.locate(path, small_mnist.official)
