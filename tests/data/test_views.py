"""What is seen of an image, beside a reference by hand: fixed cases, and the law of what is drawn."""

import io

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from resjax.cli.composition import checked
from resjax.data import views
from resjax.data.crops import one_of_ten_crops
from resjax.data.decode import CorruptError, decode, halvings, resized
from resjax.data.views import COLOR_COMPONENTS, COLOR_EIGENVALUES, IMAGENET_MEAN, IMAGENET_STD, Views, draw

RANDOM = np.random.default_rng(0)
PAPERS = Views(augment=True, crop=224, shorter_side=(256, 480), test_side=256, color=0.1)
SMALL = Views(augment=True, crop=8, shorter_side=(10, 13), test_side=11, color=0.1)
DRAWS = 4000


def bilinear(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Interpolation between the centres of pixels, which lie at i + 1/2; the border is repeated. By loops."""
    result = np.empty((height, width, pixels.shape[-1]))
    for i in range(height):
        for j in range(width):
            total = np.zeros(pixels.shape[-1])
            y, x = (i + 0.5) * pixels.shape[0] / height - 0.5, (j + 0.5) * pixels.shape[1] / width - 0.5
            for row in (int(np.floor(y)), int(np.floor(y)) + 1):
                for column in (int(np.floor(x)), int(np.floor(x)) + 1):
                    inside = np.clip(row, 0, len(pixels) - 1), np.clip(column, 0, pixels.shape[1] - 1)
                    total += max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column)) * pixels[inside]
            result[i, j] = total
    return result


def words(side: int = 0, top: int = 0, left: int = 0, flip: int = 0, color: int = 2**63) -> np.ndarray:
    """What a view draws, said."""
    return np.array([side, top, left, flip, *[color] * 4], np.uint64)


@pytest.mark.parametrize(("height", "width"), [(20, 14), (9, 30), (12, 12), (10, 10)])
def test_resized_as_by_hand(height: int, width: int) -> None:
    pixels = RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = resized(pixels, 12)
    scale = 12 / min(height, width)
    assert found.shape == (round(height * scale), round(width * scale), 3)
    assert np.max(np.abs(found - bilinear(pixels, *found.shape[:2]))) <= 1  # OpenCV rounds its weights


@pytest.mark.parametrize(("top", "left", "flip"), [(0, 0, 0), (4, 1, 1), (2, 9, 0)])
def test_a_training_view_is_the_window_that_was_drawn(top: int, left: int, flip: int) -> None:
    pixels = RANDOM.integers(0, 256, (24, 36, 3), dtype=np.uint8)
    found, _ = SMALL.training(pixels, words(side=2, top=top, left=left, flip=flip))
    whole = bilinear(pixels, 12, 18)  # the third side of 10, 11, 12, 13
    expected = whole[top % 5 : top % 5 + 8, left % 11 : left % 11 + 8]
    assert found.shape == (8, 8, 3)
    assert np.max(np.abs(found - (expected[:, ::-1] if flip else expected))) <= 1


def test_without_augmentation_it_is_the_centre_without_colour() -> None:
    pixels = RANDOM.integers(0, 256, (11, 17, 3), dtype=np.uint8)
    quiet = Views(augment=False, crop=8, shorter_side=(10, 13), test_side=11, color=0.1)
    found, color = quiet.training(pixels, words())
    np.testing.assert_array_equal(found, pixels[1:9, 4:12])
    assert not color.any()


@pytest.mark.parametrize(("height", "width"), [(256, 256), (256, 341), (400, 256), (257, 300)])
def test_the_centre_of_a_test_is_that_of_the_image(height: int, width: int) -> None:
    """Cut first to a square and then again, as for ten crops, or at once: the same pixels."""
    pixels = RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)
    whole = resized(pixels, 256)
    top, left = ((length - 224) // 2 for length in whole.shape[:2])
    np.testing.assert_array_equal(PAPERS.centre(pixels), whole[top : top + 224, left : left + 224])


def test_ten_crops() -> None:
    squares = RANDOM.integers(0, 256, (3, 11, 11, 3), dtype=np.uint8)
    centre, *corners = (
        squares[:, 1:9, 1:9],
        squares[:, :8, :8],
        squares[:, :8, 3:],
        squares[:, 3:, :8],
        squares[:, 3:, 3:],
    )
    expected = [view for one in (centre, *corners) for view in (one, one[:, :, ::-1])]
    for number, view in enumerate(expected):
        np.testing.assert_array_equal(one_of_ten_crops(jnp.asarray(squares), 8, jnp.asarray(number)), view)


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return np.array([draw(3, position) for position in range(DRAWS)])


@pytest.fixture(scope="module")
def seen(drawn: np.ndarray) -> list[tuple[int, int, int, bool]]:
    """Side, top, left and whether it was mirrored, read off images whose pixels say where they are."""
    found = []
    for one in drawn[:1500]:
        sides = {}
        for side in range(10, 14):  # an image that has this side already is not resized: pixels stay as they are
            place = np.stack(np.meshgrid(np.arange(side), np.arange(side + 4), indexing="ij"), -1)
            view, _ = SMALL.training(np.dstack([place, np.zeros_like(place[..., :1])]).astype(np.uint8), one)
            sides[side] = view
        side = 10 + int(one[0]) % 4
        top, mirrored = sides[side][0, 0, 0], sides[side][0, 0, 1] > sides[side][0, -1, 1]
        found.append((side, int(top), int(sides[side][..., 1].min()), bool(mirrored)))
    return found


def test_sides_windows_and_mirrors_are_uniform(seen: list[tuple[int, int, int, bool]]) -> None:
    sides = [side for side, *_ in seen]
    assert stats.chisquare(np.bincount(sides)[10:]).pvalue > 1e-3
    for side in (10, 13):
        tops, lefts = zip(*[(top, left) for one, top, left, _ in seen if one == side], strict=True)
        assert stats.chisquare(np.bincount(tops, minlength=side - 7)).pvalue > 1e-3
        assert stats.chisquare(np.bincount(lefts, minlength=side - 3)).pvalue > 1e-3
        assert (len(np.bincount(tops)), len(np.bincount(lefts))) == (side - 7, side - 3)
    assert stats.binomtest(sum(mirrored for *_, mirrored in seen), len(seen)).pvalue > 1e-3


def test_the_papers_sides_are_all_drawn(drawn: np.ndarray) -> None:
    sides = [256 + int(one[0]) % 225 for one in drawn]
    assert (min(sides), max(sides)) == (256, 480)


def test_colours_are_those_of_the_paper(drawn: np.ndarray) -> None:
    """Sum of p_i a_i lambda_i with a_i normal of deviation 0.1."""
    colors = np.array([PAPERS.colors(one[4:]) for one in drawn])
    components, values = np.array(COLOR_COMPONENTS), np.array(COLOR_EIGENVALUES)
    factors = colors @ np.linalg.inv(components).T / values
    for axis in range(3):
        assert stats.kstest(factors[:, axis], "norm", (0, 0.1)).pvalue > 1e-3
    correlation = np.corrcoef(factors.T)[np.triu_indices(3, 1)]
    assert np.max(np.abs(correlation)) < 4 / np.sqrt(DRAWS)


def test_the_constants() -> None:
    """Orthonormal to the printed digits, the first a grey; eigenvalues of pixels whose channels deviate by 0.28; red is
    lightest, as in VGG's mean image; and the set's file has the same numbers.
    """
    components = np.array(COLOR_COMPONENTS)
    np.testing.assert_allclose(components.T @ components, np.eye(3), atol=2e-4)
    assert abs(components[:, 0]).min() > 0.56
    assert list(COLOR_EIGENVALUES) == sorted(COLOR_EIGENVALUES, reverse=True)
    deviations = np.sqrt(components**2 @ np.array(COLOR_EIGENVALUES))
    assert all((deviations > 0.27) & (deviations < 0.30))
    said = checked(["data=imagenet2012"]).data
    assert (said.mean, said.std) == (list(IMAGENET_MEAN), list(IMAGENET_STD))
    vgg = np.array([123.68, 116.779, 103.939])  # red, green, blue: what VGG's authors subtract
    np.testing.assert_allclose(255 * np.array(IMAGENET_MEAN), vgg, rtol=0.005)


def test_draws_are_a_function_of_seed_and_place() -> None:
    """And do not change: whoever resumes with another version of NumPy goes on with the same views."""
    assert draw(3, 5).tolist() == draw(3, 5).tolist()
    assert len({tuple(draw(seed, place).tolist()) for seed in range(3) for place in range(3)}) == 9
    raw = np.random.Philox(key=[7, 11]).random_raw(views.WORDS)
    np.testing.assert_array_equal(draw(7, 11), raw)


def encoded(mode: str, form: str, size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (250, 60, 5)).convert(mode).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "form"), [("RGB", "JPEG"), ("RGB", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG")]
)
def test_channels_are_red_green_blue(mode: str, form: str) -> None:
    pixels = decode(encoded(mode, form))
    assert pixels.shape == (30, 40, 3)
    np.testing.assert_allclose(pixels.mean((0, 1)), (250, 60, 5), atol=4)


def test_grey_is_three_times_the_same() -> None:
    for image in (encoded("L", "JPEG"), encoded("L", "PNG"), np.full((30, 40, 1), 7, np.uint8)):
        pixels = decode(image)
        assert pixels.shape == (30, 40, 3)
        assert (pixels == pixels[..., :1]).all()


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_what_would_be_cut_off_or_fill_the_memory_is_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CorruptError, match="I;16"):
        decode(png(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000))
    with pytest.raises(CorruptError, match="thinner"):
        resized(decode(png(np.zeros((1, 400, 3), np.uint8))), 64)
    bomb = png(np.zeros((8, 8, 3), np.uint8)).replace((8).to_bytes(4, "big") * 2, (2**20).to_bytes(4, "big") * 2)
    with pytest.raises(CorruptError):
        decode(bomb)
    monkeypatch.setattr("resjax.data.decode.MOST_PIXELS", 100)
    for image in (encoded("RGB", "JPEG"), encoded("RGB", "PNG")):
        with pytest.raises(CorruptError, match="more than 100"):
            decode(image)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_what_is_cut_is_corrupt(share: float, form: str) -> None:
    noise, file = RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8), io.BytesIO()
    Image.fromarray(noise).save(file, form)
    content = file.getvalue()
    with pytest.raises(CorruptError):
        decode(content[: int(share * len(content))])


def test_a_large_jpeg_is_halved_while_it_is_decoded() -> None:
    """And is then nearly what the mean over squares of its pixels is."""
    coarse = RANDOM.integers(0, 256, (16, 20, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((200, 160), Image.Resampling.BICUBIC))
    file = io.BytesIO()
    Image.fromarray(smooth).save(file, "JPEG", quality=95, subsampling=0)
    whole, half, quarter = (decode(file.getvalue(), side) for side in (None, 80, 40))
    assert (whole.shape, half.shape, quarter.shape) == ((160, 200, 3), (80, 100, 3), (40, 50, 3))
    means = whole.reshape(80, 2, 100, 2, 3).mean((1, 3))
    assert np.abs(half - means).mean() < 2
    assert [halvings(160, side) for side in (161, 160, 81, 80, 41, 40, 20, 10, 1)] == [0, 0, 0, 1, 1, 2, 3, 3, 3]
