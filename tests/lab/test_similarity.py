"""The instrument on nets whose units are alike by construction, and against activations held all at once."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from subjects import EVERY, FAMILIES, untrained

from resjax.errors import InputError
from resjax.lab.instrument import Columns
from resjax.lab.similarity import Similarities, equal_batches, partners, work
from resjax.lab.subject import END, Subject
from resjax.models.types import EVALUATE, Hidden, Within

EQUAL_UNITS = {"depth": 20, "shortcut": "rezero", "norm": "none"}  # whose branches are zero at first


def subject(devices: int = 1, **model: object) -> Subject:
    return untrained(devices, model={"depth": 8, **model})


def matrices(one: Subject, other: Subject | None = None, **settings: object) -> dict[str, np.ndarray]:
    asked = Similarities(**{"batch_size": 16, "examples": 48, **settings})
    return {piece.name: matrix(piece.measure()) for piece in work(one, asked, jax.random.key(0), other)}


def matrix(columns: Columns) -> np.ndarray:
    found = np.full((max(columns["unit"]) + 1, max(columns["other_unit"]) + 1), np.nan)
    found[columns["unit"], columns["other_unit"]] = columns["cka"]
    return found


def activations(one: Subject, examples: int) -> list[np.ndarray]:
    """Every unit's output, flat, of the examples that are looked at."""

    def observe(h: Hidden, within: Within) -> jax.Array:
        return h.reshape(len(h), -1)

    images = one.batch("test", one.places("test", examples)).images
    run = jax.jit(lambda *values: one.model.apply(*values, images, EVALUATE, observe=observe).seen)
    seen = run(*one.values(0, END))
    return [np.asarray(h, np.float64) for segment in seen for h in segment]


def debiased(x: np.ndarray, y: np.ndarray) -> float:
    """Of one batch (Nguyen et al. 2021, eq. 3)."""

    def hsic(k: np.ndarray, ell: np.ndarray) -> float:
        n = len(k)
        k, ell = k * (1 - np.eye(n)), ell * (1 - np.eye(n))
        return np.trace(k @ ell) + k.sum() * ell.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ ell).sum()

    x, y = x - x.mean(0), y - y.mean(0)
    k, ell = x @ x.T, y @ y.T
    return hsic(k, ell) / np.sqrt(hsic(k, k) * hsic(ell, ell))


@pytest.mark.parametrize(
    "model",
    [
        {"shortcut": "none"},
        {"name": "mlp", "depth": 5, "width": 8, "shortcut": "none", "norm": "none"},
        {"name": "densenet", "depth": 7, "growth": 4, "shortcut": "concat"},
    ],
    ids=lambda model: model.get("name", "plain"),
)
def test_of_one_batch_against_its_activations(model: dict[str, object]) -> None:
    one = subject(**model)
    found, outputs = matrices(one, batch_size=40, examples=40)["0"], activations(one, 40)
    assert len(found) == len(one.model.units) == len(outputs)
    expected = np.array([[debiased(x, y) for y in outputs] for x in outputs])
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_units_that_pass_on_what_they_get_are_alike() -> None:
    one = subject(**EQUAL_UNITS)
    found = matrices(one)["0"]
    stages = np.array([max(info.stage, 1) for info in one.model.units])
    np.testing.assert_allclose(found[stages[:, None] == stages[None]], 1, atol=1e-5)
    assert found[0, -1] < 0.99
    np.testing.assert_allclose(found, found.T, atol=1e-6)


def test_two_nets_beside_each_other() -> None:
    """A net beside itself is as it is within; its rows are one net's units, its columns the other's."""
    plain, residual = subject(shortcut="none"), subject(depth=14)
    within = matrices(plain)["0"]
    np.testing.assert_allclose(matrices(plain, plain)["0 beside 0"], within, atol=1e-5)
    between, back = matrices(plain, residual)["0 beside 0"], matrices(residual, plain)["0 beside 0"]
    assert between.shape == (len(plain.model.units), len(residual.model.units))
    np.testing.assert_allclose(back, between.T, atol=1e-5)
    assert between[0, 0] == pytest.approx(1, abs=1e-5)  # one stem, one draw
    assert np.nanmin(between) < 0.99


@pytest.mark.slow
@pytest.mark.parametrize("family", EVERY)
def test_every_family(family: str) -> None:
    one = untrained(**FAMILIES[family])
    found = matrices(one, batch_size=16, examples=32)["0"]
    assert found.shape == (len(one.model.units),) * 2
    np.testing.assert_allclose(np.diagonal(found), 1, rtol=1e-5)
    assert np.abs(found).max() < 1 + 1e-5


def test_names_are_of_the_units() -> None:
    plain, deeper = subject(shortcut="none"), subject(depth=14)
    (piece,) = work(plain, Similarities(batch_size=16, examples=16), jax.random.key(0), deeper)
    columns = piece.measure()
    for place in (0, 5, -1):
        assert columns["name"][place] == plain.model.units[columns["unit"][place]].name
        assert columns["other_name"][place] == deeper.model.units[columns["other_unit"][place]].name


def test_each_seed_alone_and_beside_the_next() -> None:
    one = subject(shortcut="none")
    twice = {name: np.concatenate([array, array]) for name, array in one.arrays.items()}
    two = replace(one, arrays=twice, seeds={4: 0, 7: 1}, kept={})
    found = matrices(two)
    assert list(found) == ["4", "7", "4 beside 7"]
    np.testing.assert_allclose(found["4 beside 7"], found["4"], atol=1e-5)
    assert list(matrices(two, across=False)) == ["4", "7"]
    assert list(matrices(two, two)) == ["4 beside 4", "7 beside 7"]


def test_seeds_of_one_number_are_partners() -> None:
    assert partners([0, 1, 2], [2, 1]) == [(1, 1), (2, 2)]
    assert partners([0, 1], [5, 6, 7]) == [(0, 5), (1, 6)]


def test_other_images_are_refused() -> None:
    one = subject()
    with pytest.raises(InputError, match="has other data"):
        matrices(one, replace(one, run=one.run | {"data": {"digest": "e" * 64}}))


def test_too_few_images_are_refused() -> None:
    one = subject()
    few = one.test._replace(images=one.test.images[:3], labels=one.test.labels[:3])
    with pytest.raises(InputError, match="there are 3 test examples"):
        matrices(replace(one, test=few))


def test_batches_are_equal() -> None:
    assert equal_batches(np.arange(360), 256).shape == (2, 180), "not one of 256, which left 104 out"
    np.testing.assert_array_equal(equal_batches(np.arange(13), 6), np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(equal_batches(np.arange(10), 100), [np.arange(10)])
    assert equal_batches(np.arange(7), 4).shape == (1, 7), "an estimate needs four"


@pytest.mark.parametrize("size", [16, 18])  # four devices do not divide 18
def test_whatever_the_devices(size: int) -> None:
    asked = {"batch_size": size, "examples": 2 * size}
    one, four = (matrices(subject(devices=devices, shortcut="none"), **asked)["0"] for devices in (1, 4))
    np.testing.assert_allclose(four, one, atol=1e-5)
