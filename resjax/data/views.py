"""What a net sees of a photograph: one cut at random in training, one at the centre or ten in tests.

Training, as He et al. 2015 (arXiv:1512.03385, section 3.4): the shorter side drawn from [256, 480], a random crop of
224 x 224, mirrored or not, and the colours of Krizhevsky et al. 2012 (section 4.1). Tests: the shorter side at 256, the
square at the centre, of which a net sees 224 x 224 at the centre, or those of its corners and centre and their mirror
images (ten crops, the same section). Pixels are red, green, blue.
"""

from dataclasses import dataclass

import numpy as np

from resjax.data.decode import decode, mirrored, resized
from resjax.dataconfig import DataConfig

# Of the covariance of red, green and blue in ImageNet's training set, pixels in [0, 1]: eigenvalues, and eigenvectors,
# one a column. No paper prints them: fb.resnet.torch, datasets/imagenet.lua.
COLOR_EIGENVALUES = (0.2175, 0.0188, 0.0045)
COLOR_COMPONENTS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
# Likewise, means and deviations of the channels.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
WORDS = 8  # that a training view draws


@dataclass(frozen=True)
class Views:
    """Sizes in pixels; color: the deviation of the factors of the principal components."""

    augment: bool
    crop: int
    shorter_side: tuple[int, int]
    test_side: int
    color: float

    @classmethod
    def of(cls, config: DataConfig) -> "Views":
        """Those that the settings say."""
        low, high = config.shorter_side
        return cls(config.augment, config.crop, (low, high), config.test_side, config.color)

    def training(self, image: bytes | np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pixels, uint8 (crop, crop, 3), and what is to be added to them, (3,), in units of their full range.

        words: WORDS random numbers of 64 bits. Without augmentation the centre, as in tests. Raises CorruptError.
        """
        if not self.augment:
            return self.centre(image), np.zeros(3, np.float32)
        low, high = self.shorter_side
        side = low + int(words[0]) % (high - low + 1)
        pixels = resized(decode(image, side), side)
        top, left = (
            int(word) % (length - self.crop + 1) for word, length in zip(words[1:3], pixels.shape[:2], strict=True)
        )
        window = pixels[top : top + self.crop, left : left + self.crop]
        return mirrored(window) if words[3] & np.uint64(1) else window, self.colors(words[4:])

    def colors(self, words: np.ndarray) -> np.ndarray:
        """sum_i p_i a_i lambda_i, (3,): eigenvector, eigenvalue, and a_i normal with deviation `color`."""
        factors = self.color * normal(words)[:3]
        return np.asarray(np.array(COLOR_COMPONENTS) @ (factors * np.array(COLOR_EIGENVALUES)), np.float32)

    def test(self, image: bytes | np.ndarray) -> np.ndarray:
        """The square at the centre, uint8 (test_side, test_side, 3), for the device to cut. Raises CorruptError."""
        return centre(resized(decode(image, self.test_side), self.test_side), self.test_side)

    def centre(self, image: bytes | np.ndarray) -> np.ndarray:
        """The single crop at the centre, uint8 (crop, crop, 3). Raises CorruptError."""
        return centre(self.test(image), self.crop)


def centre(pixels: np.ndarray, side: int) -> np.ndarray:
    """The square of `side` pixels at the centre."""
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def normal(words: np.ndarray) -> np.ndarray:
    """Normal numbers from an even count of words of 64 bits (Box and Muller 1958)."""
    uniform = ((words >> np.uint64(11)) + 0.5) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log(uniform[::2])), 2 * np.pi * uniform[1::2]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])


def draw(seed: int, position: int) -> np.ndarray:
    """The words of a place in a seed's stream: of Philox's raw numbers, which NumPy promises not to change."""
    return np.asarray(np.random.Philox(key=np.array([seed, position], np.uint64)).random_raw(WORDS))
