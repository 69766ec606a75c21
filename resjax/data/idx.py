"""The IDX format of MNIST, gzipped: images in one file, labels in another, for every part.

LeCun, Cortes and Burges, The MNIST database of handwritten digits (the file formats are at the end of that page). A
file begins with its magic number, the bytes 0, 0, 8 (unsigned bytes follow) and the number of axes; then each axis'
length, 4 bytes, the highest first; then the numbers, the last axis fastest.
"""

import math
import struct
from functools import partial
from pathlib import Path

import numpy as np

from resjax.data.published import Archive, Arrays, File, Read, in_range, not_as_published, unzipped

MAGIC = 0x0800  # of unsigned bytes, plus the number of axes


def reader(official: Archive, paths: tuple[Path, ...]) -> Read:
    """What reads a part from PART-images-idx3-ubyte.gz and PART-labels-idx1-ubyte.gz.

    Raises InputError with the name of the file that is cut, of another kind or size, or has a label out of range.
    """
    found = {file.name: (path, file) for path, file in zip(paths, official.files, strict=True)}
    return partial(examples, found, official)


def examples(found: dict[str, tuple[Path, File]], official: Archive, part: str, count: int) -> Arrays:
    """So many images with one channel, and their labels."""
    (height, width, _), (label,) = official.image_shape, official.labels
    images = array(*found[f"{part}-images-idx3-ubyte.gz"], (count, height, width))
    path, file = found[f"{part}-labels-idx1-ubyte.gz"]
    labels = in_range(array(path, file, (count,)), label, str(path), file)
    return {"image": images[..., np.newaxis], label[0]: labels}


def array(path: Path, file: File, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of one file, uint8 of this shape. Raises InputError where it holds anything else."""
    header = struct.pack(f">{1 + len(shape)}I", MAGIC + len(shape), *shape)
    length = len(header) + math.prod(shape)
    with unzipped(path, file, "IDX") as stream:
        content = stream.read(length + 1)  # a byte more: to the end, where gzip compares its checksum, or too long
    if problem := difference(content, header, length):
        sizes = " x ".join(f"{size:,}" for size in shape)
        expected = f"magic number 0x{MAGIC + len(shape):08x}, {sizes} unsigned bytes, {length:,} bytes in all"
        raise not_as_published(f"{path} {problem}", expected, file)
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def difference(content: bytes, header: bytes, length: int) -> str | None:
    """How a file differs from one of this header and length, or None."""
    if len(content) < len(header):
        return f"has {len(content)} bytes, fewer than the {len(header)} of its header"
    if content[:4] != header[:4]:
        return f"has the magic number 0x{content[:4].hex()}"
    if content[: len(header)] != header:
        sizes = struct.unpack_from(f">{len(header) // 4 - 1}I", content, 4)
        return f"is of {' x '.join(f'{size:,}' for size in sizes)} unsigned bytes"
    if len(content) != length:
        return f"has {len(content):,} bytes" if len(content) < length else f"has more than {length:,} bytes"
    return None
