"""The factor of a gradient's square through batch norm and an activation: what was published, and draws."""

import numpy as np
import pytest

from resjax.theory.batchnorm import LARGE, normalised
from resjax.theory.gaussian import ACTIVATIONS


def rate(name: str, batch: int) -> float:
    """|dL/dx|^2 a layer towards the input, in a plain net."""
    found = normalised(name, batch)
    return found.slope / (found.q - found.p)


def test_relu_in_large_batches() -> None:
    """pi / (pi - 1) (Yang et al. 2019, arXiv:1902.08129), 1.2112 in the norm."""
    assert rate("relu", LARGE) == pytest.approx(np.pi / (np.pi - 1), abs=1e-12)
    assert rate("relu", 2000) == pytest.approx(np.pi / (np.pi - 1), rel=2e-3)


@pytest.mark.parametrize("batch", [8, 32, 128])
def test_linear_nets_explode_by_the_published_factor(batch: int) -> None:
    """(B - 2) / (B - 3) (Yang et al. 2019, section on linear networks)."""
    assert rate("linear", batch) == pytest.approx((batch - 2) / (batch - 3), rel=1e-9)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("batch", [8, 16])
def test_against_draws(name: str, batch: int) -> None:
    """Pre-activations of a batch, its norm and activation, and a gradient without a mean, all drawn."""
    random, g, found = np.random.default_rng(0), ACTIVATIONS[name], normalised(name, batch)
    x, grad = (v - v.mean(1, keepdims=True) for v in random.standard_normal((2, 300_000, batch)))
    size = np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    y = x / size
    passed = g.df(y) * grad
    back = (passed - passed.mean(1, keepdims=True) - y * np.mean(y * passed, axis=1, keepdims=True)) / size
    assert found.slope == pytest.approx(np.sum(back**2, axis=1).mean() / (batch - 1), rel=0.02)
    f = g.f(y)
    told = [found.mean, found.q, found.p]
    np.testing.assert_allclose(told, [f.mean(), np.mean(f**2), np.mean(f[:, 0] * f[:, 1])], atol=5e-3)


def test_the_smallest_batches_have_no_finite_factor_and_are_taken_for_four() -> None:
    assert normalised("relu", 2) == normalised("relu", 4)
