"""Images at another size, for nets that need more pixels than a data set has."""

import numpy as np
from PIL import Image


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """Every image stretched to a square: uint8 (examples, height, width, channel) to (examples, size, size, channel).

    Pillow's bilinear filter: interpolation where an image grows, an average over all pixels covered where it shrinks.
    """
    result = np.empty((len(images), size, size, images.shape[-1]), np.uint8)
    for place, image in zip(result, images, strict=True):
        place[:] = _resize_one(image, size)
    return result


def _resize_one(image: np.ndarray, size: int) -> np.ndarray:
    """Three channels at once as red, green and blue; any other number one by one as grey."""
    planes = [image] if image.shape[-1] == 3 else list(np.moveaxis(image, -1, 0))
    stretched = [Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR) for plane in planes]
    return np.dstack([np.asarray(plane) for plane in stretched])
