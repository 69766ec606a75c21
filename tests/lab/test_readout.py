"""Against scikit-learn on activations held all at once, and on nets and labels whose read-out is known."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from subjects import EVERY, FAMILIES, untrained

from resjax.lab.features import averaged, windows
from resjax.lab.readout import IMAGES, NETWORK, Readouts, work
from resjax.lab.scores import scorer
from resjax.lab.subject import END, START, Subject
from resjax.models.types import EVALUATE, Hidden, Within

TRAIN, TEST = 300, 100
EQUAL_UNITS = {"depth": 20, "shortcut": "rezero", "norm": "none"}  # whose branches are zero at first


def subject(devices: int = 1, **model: object) -> Subject:
    """A net of the digits as it is drawn."""
    return untrained(devices, model={"depth": 8, **model})


def rows(one: Subject, moment: str = END, **settings: Any) -> list[dict[str, Any]]:
    asked = Readouts(**{"train_examples": TRAIN, "test_examples": TEST, "batch_size": 50, **settings})
    (piece,) = [piece for piece in work(one, asked, jax.random.key(0)) if piece.name.endswith(moment)]
    columns = piece.measure()
    assert columns.pop("moment") == moment
    assert columns.pop("seed") == 0
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def activations(one: Subject, split: str, count: int, side: int) -> list[np.ndarray]:
    """The images and every unit's output, means over side x side equal blocks of pixels."""

    def observe(h: Hidden, within: Within | None) -> jax.Array:
        if h.ndim == 2:
            return h
        n, height, width, channels = h.shape
        there = min(side, height)
        blocks = h.reshape(n, there, height // there, there, width // there, channels)
        return blocks.mean((2, 4)).reshape(n, -1)

    images = one.batch(split, one.places(split, count)).images
    run = jax.jit(lambda *values: one.model.apply(*values, images, EVALUATE, observe=observe).seen)
    seen = run(*one.values(0, END))
    found = [observe(images, None), *(h for segment in seen for h in segment)]
    return [np.asarray(h, np.float64) for h in found]


@pytest.mark.parametrize(
    "model",
    [{"shortcut": "none"}, {"name": "mlp", "depth": 5, "width": 8, "shortcut": "none", "norm": "none"}],
    ids=["plain", "mlp"],
)
def test_against_scikit_learn(model: dict[str, object]) -> None:
    one = subject(**model)
    found = rows(one, pixels=4)
    train, test = (activations(one, *of, 4) for of in (("train", TRAIN), ("test", TEST)))
    labels = [
        np.asarray(one.split(split).labels)[one.places(split, n)] for split, n in (("train", TRAIN), ("test", TEST))
    ]
    assert len(found) == len(train) + 1 == len(one.model.units) + 2
    for row, x, unseen in zip(found, train, test, strict=False):
        assert row["features"] == x.shape[1]
        expected = Ridge(alpha=TRAIN * row["ridge"] * x.var(0).mean()).fit(x, np.eye(10)[labels[0]])
        wrong = [np.mean(expected.predict(each).argmax(1) != y) for each, y in zip((x, unseen), labels, strict=True)]
        # One example in so many may lie on the border of two classes.
        assert row["train_error"] == pytest.approx(wrong[0], abs=1.5 / TRAIN)
        assert row["test_error"] == pytest.approx(wrong[1], abs=1.5 / TEST)
    assert 0 < found[0]["test_error"] < 0.5


def test_rows_are_in_the_order_of_the_network() -> None:
    one = subject()
    found = rows(one)
    assert [row["name"] for row in found] == [IMAGES, *(info.name for info in one.model.units), NETWORK]
    assert [row["unit"] for row in found] == [None, *range(len(one.model.units)), None]
    assert [row["layer_depth"] for row in found] == [0, 1, 3, 5, 7, 8]
    assert found[-1]["ridge"] is None


def test_the_network_s_own_error() -> None:
    one = subject()
    found = rows(one)[-1]
    assert found["test_error"] == pytest.approx(scorer(one, "test", TEST, 32)(one.values(0, END)).error)
    assert found["train_error"] == pytest.approx(scorer(one, "train", TRAIN, 32)(one.values(0, END)).error)


def test_units_that_pass_on_what_they_get_are_read_alike() -> None:
    one = subject(**EQUAL_UNITS)
    found = rows(one, START)
    for stage in (1, 2, 3):
        errors = {
            (row["train_error"], row["test_error"], row["ridge"])
            for row, info in zip(found[1:-1], one.model.units, strict=True)
            if max(info.stage, 1) == stage
        }
        assert len(errors) == 1


@pytest.mark.slow
@pytest.mark.parametrize("family", EVERY)
def test_every_family(family: str) -> None:
    one = untrained(**FAMILIES[family])
    found = rows(one, train_examples=100, test_examples=50)
    assert len(found) == len(one.model.units) + 2
    assert all(0 <= row[name] <= 1 for row in found for name in ("train_error", "test_error"))
    assert all(row["features"] <= 1024 for row in found[:-1])


def test_whatever_the_batches_and_the_devices() -> None:
    one, four = subject(shortcut="none"), subject(4, shortcut="none")
    expected = rows(one)
    for found in (rows(one, batch_size=TRAIN), rows(four, batch_size=42)):
        for row, like in zip(found, expected, strict=True):
            assert row["ridge"] == like["ridge"]
            assert row["train_error"] == pytest.approx(like["train_error"], abs=1.5 / TRAIN)
            assert row["test_error"] == pytest.approx(like["test_error"], abs=1.5 / TEST)


def labelled(one: Subject, images: np.ndarray, labels: np.ndarray) -> Subject:
    """The same examples to train and to test on."""
    arrays = one.train._replace(images=jnp.asarray(images, jnp.uint8), labels=jnp.asarray(labels, jnp.int32))
    return replace(one, train=arrays, test=arrays)


def test_what_the_images_tell_and_what_nothing_tells() -> None:
    """Of labels that one bright block gives, the images' read-out misses none; of labels by chance, all but guesses."""
    chance = np.random.default_rng(0)
    labels = chance.integers(10, size=1000)
    images = np.zeros((1000, 4, 4, 1))
    images.reshape(1000, 16)[np.arange(1000), labels] = 255
    images = images.repeat(2, 1).repeat(2, 2)
    asked = {"train_examples": 1000, "test_examples": 1000}
    told = rows(labelled(subject(), images, labels), **asked)[0]
    assert told["test_error"] == told["train_error"] == 0
    noise = chance.integers(256, size=images.shape)
    one = labelled(subject(), noise, labels)
    unseen = one.test._replace(images=jnp.asarray(chance.integers(256, size=images.shape), jnp.uint8))
    blind = rows(replace(one, test=unseen), **asked)
    assert [row["test_error"] for row in blind] == [pytest.approx(0.9, abs=0.04)] * len(blind)


def test_a_unit_that_is_not_finite_is_not_read() -> None:
    one = subject(shortcut="none")
    broken = dict(one.arrays)
    name = next(name for name in broken if "segments/2" in name and name.endswith("kernel"))
    broken[name] = np.full_like(broken[name], np.nan)
    found = rows(replace(one, arrays=broken, kept={}))
    known = [np.isfinite(row["test_error"]) for row in found]
    assert known == [True, True, True, False, False, False]


@pytest.mark.parametrize(("length", "count"), [(8, 4), (7, 4), (5, 5), (9, 2)])
def test_windows_are_those_of_adaptive_pooling(length: int, count: int) -> None:
    x = np.random.default_rng(0).standard_normal(length)
    bounds = [(int(np.floor(i * length / count)), int(np.ceil((i + 1) * length / count))) for i in range(count)]
    np.testing.assert_allclose(windows(length, count) @ x, [x[start:end].mean() for start, end in bounds])


def test_as_many_pixels_as_there_may_be_features() -> None:
    h = jnp.ones((2, 8, 8, 16))
    assert [averaged(h, 4, most).shape[1] for most in (1024, 256, 255, 64, 1)] == [256, 256, 144, 64, 16]
    assert averaged(h, 100, 10**6).shape[1] == 1024
    np.testing.assert_allclose(averaged(h, 3, 1024), 1, rtol=1e-6)
