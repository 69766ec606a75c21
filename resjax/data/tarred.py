"""CIFAR's "binary version": one gzipped tar file with the records of every part in a file of its own.

Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. A record is a byte for each label (CIFAR-100:
coarse, then fine), then the planes of red, green and blue, row by row: 3,072 bytes.
"""

import math
import tarfile
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from resjax.data.published import Archive, Arrays, Read, in_range, not_as_published, unzipped


def reader(official: Archive, paths: tuple[Path, ...]) -> Read:
    """What reads a part, FOLDER/FILE inside the one tar file.

    Raises InputError with the name of the file that is missing, of the wrong length, or has a label out of range.
    """
    (path,) = paths
    return partial(records, unpack(path, official), path, official)


def unpack(path: Path, official: Archive) -> dict[str, bytes]:
    """The bytes of each file that the tar file ought to hold and does, by folder and name."""
    wanted = {name for parts in official.parts.values() for name, _ in parts}
    contents = {}
    with (
        unzipped(path, official.files[0], "tar") as stream,
        tarfile.open(fileobj=stream, mode="r|") as members,
    ):
        for member in members:
            name = "/".join(PurePosixPath(member.name).parts[-2:])
            if name in wanted:
                content = members.extractfile(member)
                contents[name] = content.read() if content else b""
        while stream.read(1 << 20):  # to the end, where gzip compares its checksum
            pass
    return contents


def records(contents: dict[str, bytes], path: Path, official: Archive, name: str, count: int) -> Arrays:
    """One file's records as arrays, checked for their number and the range of their labels."""
    (height, width, channels), (file,) = official.image_shape, official.files
    pixels, where = math.prod(official.image_shape), f"{path}: {name}"
    length = len(official.labels) + pixels
    found = len(contents.get(name, b""))
    if found != count * length:
        problem = f"has {found:,} bytes" if name in contents else "is missing"
        expected = f"{count:,} records of {length:,} bytes, {count * length:,} in all"
        raise not_as_published(f"{where} {problem}", expected, file)
    table = np.frombuffer(contents[name], np.uint8).reshape(count, length)
    planes = table[:, -pixels:].reshape(count, channels, height, width)
    labels = {label[0]: in_range(table[:, column], label, where, file) for column, label in enumerate(official.labels)}
    return {"image": planes.transpose(0, 2, 3, 1), **labels}
