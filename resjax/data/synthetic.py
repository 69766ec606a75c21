"""Images made from integers alone: a smooth pattern a class, shifted and under noise. Easy to learn.

Only whole numbers and PCG64's raw stream, which NumPy promises never to change, go in: the bytes are the same on
every machine and with every version of NumPy.
"""

import numpy as np

TRAIN_EXAMPLES = 2048
TEST_EXAMPLES = 512
GRID = 4
ORIGIN = "made by resjax: one smooth pattern a class, shifted by up to an eighth of the side, under noise"

# One stream each, so that no part depends on how many examples another has.
PATTERNS, TRAIN, TEST = 1, 2, 3

Examples = tuple[np.ndarray, np.ndarray]


def arrays(size: int, channels: int, classes: int, train: int | None, test: int | None) -> tuple[Examples, Examples]:
    """Train and test set, each as (images uint8 (examples, size, size, channels), labels int32 (examples,)).

    Labels run 0, 1, ..., classes-1, 0, ...; the first n examples are the same however many are made.
    """
    patterns = class_patterns(size, channels, classes)
    return (
        examples(patterns, TRAIN_EXAMPLES if train is None else train, TRAIN),
        examples(patterns, TEST_EXAMPLES if test is None else test, TEST),
    )


def class_patterns(size: int, channels: int, classes: int) -> np.ndarray:
    """A pattern a class, int64 in 64..191, (classes, size, size, channels): random grids, bilinearly enlarged."""
    grids = np.random.PCG64(PATTERNS).random_raw(classes * channels * GRID**2) >> 57
    weights = bilinear(size)
    grids = grids.astype(np.int64).reshape(classes, channels, GRID, GRID)
    enlarged: np.ndarray = weights @ grids @ weights.T // (size - 1) ** 2
    return np.moveaxis(enlarged + 64, 1, -1)


def bilinear(size: int) -> np.ndarray:
    """Weights (size, GRID) of linear interpolation from GRID points to `size`, times size-1 (so they are whole)."""
    pixel, point = np.arange(size)[:, None] * (GRID - 1), np.arange(GRID) * (size - 1)
    weights: np.ndarray = np.maximum(size - 1 - np.abs(pixel - point), 0)
    return weights


def examples(patterns: np.ndarray, count: int, stream: int) -> Examples:
    """`count` examples of the patterns in turn: example i draws from its own chunk of the stream."""
    classes, size, _, channels = patterns.shape
    pixels = size * size * channels
    words = 1 + -(-2 * pixels // 8)  # one word for the shift, then two bytes of noise a pixel
    raw = np.random.PCG64(stream).random_raw(count * words).reshape(count, words)
    labels = np.arange(count, dtype=np.int32) % classes
    images = np.empty((count, size, size, channels), np.uint8)
    for index in range(count):
        shifted = np.roll(patterns[labels[index]], shift(raw[index, 0], size), axis=(0, 1))
        noise = raw[index, 1:].astype("<u8").view(np.uint8)[: 2 * pixels].astype(np.int64)
        triangular = (noise[:pixels] - noise[pixels:]).reshape(shifted.shape) // 2  # -128..127, sd 52
        images[index] = np.clip(shifted + triangular, 0, 255)
    return images, labels


def shift(word: np.uint64, size: int) -> tuple[int, int]:
    """Pixels down and right, each in -size//8..size//8, from one raw word."""
    choices = 2 * (size // 8) + 1
    rest, down = divmod(int(word), choices)
    return down - size // 8, rest % choices - size // 8
