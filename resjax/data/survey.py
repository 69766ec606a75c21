"""What a set of encoded images is found to be before it is streamed: readable, of which channels, and its digest."""

import hashlib

import numpy as np

from resjax.data import digests
from resjax.data.collection import Collection, ImageSet
from resjax.data.decode import CorruptError
from resjax.data.views import Views
from resjax.errors import InputError

SAMPLE = 64  # images of a split whose bytes are part of the digest
MEASURED = 1024  # images of which one has to be readable, and whose channels are measured where no numbers are given


def require_readable(part: Collection, views: Views, setting: str) -> None:
    """Raises InputError where not one of some of the images, spread evenly, can be read. setting: that names them."""
    first = ""
    for index in spread(len(part), MEASURED):
        try:
            views.centre(part[index].image)
        except CorruptError as error:
            first = first or f"{part.name(index)}: {error}"
        else:
            return
    raise InputError(
        f"{first}.\nNone of {min(len(part), MEASURED)} images that were tried, of {len(part):,}, can be read.\n"
        f"Expected JPEG, PNG or the like.\nType: data.root=FOLDER, or {setting}=SPLIT, with image files"
    )


def digest(found: ImageSet, parts: list[Collection]) -> str:
    """SHA-256 of the set's fingerprint, the parts' sizes, and some of their images as they are stored."""
    total = hashlib.sha256(found.fingerprint.encode())
    for part in parts:
        total.update(f"{len(part)}\n".encode())
        for index in spread(len(part), SAMPLE):
            try:
                image, label = part[index]
            except CorruptError:  # counted where it is met
                continue
            if not 0 <= label < found.classes:
                raise InputError(
                    f"{part.name(index)} has the label {label}.\nExpected 0 to {found.classes - 1}; a split for a "
                    "competition has none.\nType: data.test_split=validation, or another one with labels"
                )
            total.update(f"{index} {label}\n".encode())
            total.update(image if isinstance(image, bytes) else digests.of_arrays(image).encode())
    return total.hexdigest()


def spread(count: int, most: int) -> list[int]:
    """At most so many places of `count`, evenly."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(most, count))})


def measured(train: Collection, views: Views) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel over the centre crops of some training images, in a pixel's full range."""
    sums, squares, count = np.zeros(3), np.zeros(3), 0
    for index in spread(len(train), MEASURED):
        try:
            pixels = views.centre(train[index].image) / 255
        except CorruptError:
            continue
        sums, squares, count = sums + pixels.mean((0, 1)), squares + np.square(pixels).mean((0, 1)), count + 1
    mean = sums / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 1e-6))
    return [round(float(value), 6) for value in mean], [round(float(value), 6) for value in deviation]
