"""Against scikit-learn, and on labels that a linear function gives or that have nothing to do with the features."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from resjax.lab.ridge import GRID, Linear, Moments, chosen_ridge, fitted, readout

CLASSES = 4
chance = np.random.default_rng(0)


def moments(x: np.ndarray, y: np.ndarray) -> Moments:
    return Moments(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y)


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES)[labels]


def mixed(examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of unlike sizes, far from zero, and targets that they half tell."""
    x = chance.standard_normal((examples, 12)) * np.geomspace(0.1, 10, 12) + 5
    return x, one_hot((x[:, :CLASSES] / np.geomspace(0.1, 10, 12)[:CLASSES] + chance.standard_normal(4)).argmax(1))


def error(found: Linear, x: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean((x @ found.weight + found.bias).argmax(1) != labels))


def alpha(x: np.ndarray, ridge: float) -> float:
    """scikit-learn's, which is of the sum of squares, not their mean."""
    return len(x) * ridge * x.var(0).mean()


@pytest.mark.parametrize("ridge", [1e-5, 0.1, 10.0])
def test_against_scikit_learn(ridge: float) -> None:
    x, y = mixed(200)
    found = fitted(moments(x, y), ridge)
    expected = Ridge(alpha=alpha(x, ridge)).fit(x, y)
    np.testing.assert_allclose(found.weight.T, expected.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.bias, expected.intercept_, rtol=1e-6)


def test_the_ridge_is_the_one_that_errs_least_on_the_held_out() -> None:
    x, held = chance.standard_normal((60, 40)), slice(48, None)
    y = one_hot((x[:, :CLASSES] + 0.5 * chance.standard_normal((60, CLASSES))).argmax(1))
    fits = [Ridge(alpha=alpha(x[:48], ridge)).fit(x[:48], y[:48]) for ridge in GRID]
    best = GRID[int(np.argmin([np.mean((fit.predict(x[held]) - y[held]) ** 2) for fit in fits]))]
    assert GRID[0] < best < GRID[-1]
    parts = moments(x[:48], y[:48]), moments(x[held], y[held])
    assert chosen_ridge(*parts) == best
    found = readout(*parts)
    assert found.ridge == best
    np.testing.assert_allclose(found.weight, fitted(moments(x, y), best).weight, rtol=1e-8)


def test_labels_that_a_linear_function_gives() -> None:
    labels = chance.integers(CLASSES, size=300)
    x = one_hot(labels) @ chance.standard_normal((CLASSES, 20))
    assert (
        error(readout(moments(x[:200], one_hot(labels)[:200]), moments(x[200:], one_hot(labels)[200:])), x, labels) == 0
    )


def test_labels_that_have_nothing_to_do_with_the_features() -> None:
    x, labels = chance.standard_normal((6000, 10)), chance.integers(CLASSES, size=6000)
    found = readout(moments(x[:1600], one_hot(labels)[:1600]), moments(x[1600:2000], one_hot(labels)[1600:2000]))
    assert error(found, x[2000:], labels[2000:]) == pytest.approx(1 - 1 / CLASSES, abs=0.03)


def test_features_that_do_not_vary_say_the_commonest_class() -> None:
    y = one_hot(np.array([2, 2, 1]))
    found = fitted(moments(np.ones((3, 5)), y), 0.1)
    np.testing.assert_array_equal(found.weight, 0)
    np.testing.assert_allclose(found.bias, y.mean(0))


def test_features_that_are_not_finite_are_not_read() -> None:
    x = np.ones((3, 5))
    x[1, 2] = np.inf
    with np.errstate(invalid="ignore"):
        found = readout(moments(x, one_hot(np.array([2, 2, 1]))), moments(x, one_hot(np.array([0, 1, 1]))))
    assert np.isnan(found.weight).all()
