"""From an image file's bytes to pixels: JPEG by libjpeg-turbo, strictly: half an image does not pass for one."""

import io
import math
import time
import warnings
from functools import cache

import cv2
import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError
from PIL.Image import DecompressionBombError

cv2.setNumThreads(0)  # the worker processes are the parallel part


TRIALS = 20
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")  # of Pillow; what is transparent is not seen as such
MOST_PIXELS = 2**28  # 16,384 x 16,384: more is a mistake or an attack
THINNEST = 50  # the longer side over the shorter one, from where on a resized image would be a strip of gigabytes


class CorruptError(ValueError):
    """An image that cannot be read whole."""


def decode(image: bytes | np.ndarray, side: int | None = None) -> np.ndarray:
    """The pixels, uint8 (height, width, 3), red, green and blue; grey images three times the same.

    side: the length that the shorter side is wanted to have. A JPEG of twice as much and more is halved while it is
    decoded, as often as that leaves `side` pixels: the mean of its pixels by two, four or eight. Raises CorruptError
    where anything is missing or wrong.
    """
    if isinstance(image, np.ndarray):
        return np.repeat(image, 3, -1) if image.shape[-1] == 1 else image
    try:
        if simplejpeg.is_jpeg(image):
            height, width, _, _ = simplejpeg.decode_jpeg_header(image)
            refuse_size(height, width)
            least = {"min_height": 0, "min_width": 0}
            if side is not None and (halved := halvings(min(height, width), side)):
                least = {"min_height": -(-height >> halved), "min_width": -(-width >> halved)}
            return np.asarray(simplejpeg.decode_jpeg(image, "RGB", **least))
        return _decode_other(image)
    except UnidentifiedImageError as error:
        raise CorruptError("no image file of a known kind") from error
    except (ValueError, OSError, SyntaxError, RuntimeError, EOFError, DecompressionBombError) as error:
        raise CorruptError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def refuse_size(*sides: int) -> None:
    """Raises CorruptError where there are too many pixels, or none, before any is decoded."""
    if not 0 < math.prod(sides) <= MOST_PIXELS:
        raise CorruptError(f"{' x '.join(map(str, sides))} pixels, more than {MOST_PIXELS:,}, or none")


def refuse_thin(pixels: np.ndarray) -> None:
    """Raises CorruptError where an image is so thin that it is not resized."""
    height, width = pixels.shape[:2]
    if max(height, width) > THINNEST * min(height, width):
        raise CorruptError(f"{height} x {width} pixels, thinner than 1 to {THINNEST}")


def halvings(shorter: int, side: int) -> int:
    """How often a JPEG can be halved, three times at most, and keep `side` pixels."""
    return max(times for times in range(4) if shorter >> times >= side or times == 0)


def _decode_other(image: bytes) -> np.ndarray:
    """PNG and whatever else Pillow reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of palettes and sizes: they are no concern of a reader
        with Image.open(io.BytesIO(image)) as opened:
            refuse_size(*opened.size)
            if opened.mode not in MODES:  # of 16 bits and more: Pillow would cut them off
                raise CorruptError(f"pixels of mode {opened.mode}, none of {', '.join(MODES)}")
            return np.asarray(opened.convert("RGB"))


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    """The image with a shorter side of `side` pixels, the other in proportion, by bilinear interpolation."""
    height, width = pixels.shape[:2]
    if min(height, width) == side:
        return pixels
    refuse_thin(pixels)
    scale = side / min(height, width)
    size = max(round(width * scale), side), max(round(height * scale), side)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR))


def mirrored(pixels: np.ndarray) -> np.ndarray:
    """Left and right exchanged; NumPy's own view of it takes as long to copy as half a resize."""
    return np.asarray(cv2.flip(pixels, 1))


@cache
def decodes_per_s(side: int) -> float:
    """JPEGs of 500 x 375 pixels, as many of ImageNet's are, that one core decodes and resizes a second: the best of 20.

    The image is made of smooth noise, half as many bytes as a photograph, which takes somewhat longer.
    """
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    pixels = cv2.resize(noise, (500, 375), interpolation=cv2.INTER_CUBIC)
    encoded, seconds = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=92), []
    for _ in range(TRIALS):
        began = time.perf_counter()
        resized(decode(encoded, side), side)
        seconds.append(time.perf_counter() - began)
    return 1 / min(seconds)
