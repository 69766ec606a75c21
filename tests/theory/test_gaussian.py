"""Closed forms against draws, and quadrature against both."""

import numpy as np
import pytest

from resjax.theory.gaussian import ACTIVATIONS, moments

DRAWS = 2_000_000


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("q", "c"), [(1.0, 0.0), (2.0, 0.6), (0.3, -0.4)])
def test_moments_are_means_over_draws(name: str, q: float, c: float) -> None:
    z, w = np.random.default_rng(0).standard_normal((2, DRAWS))
    u, v = np.sqrt(q) * z, np.sqrt(q) * (c * z + np.sqrt(1 - c**2) * w)
    g, found = ACTIVATIONS[name], moments(name, q, c * q)
    f, h, df, dh = g.f(u), g.f(v), g.df(u), g.df(v)
    drawn = [f.mean(), np.mean(f**2), np.mean(f * h), np.mean(df**2), np.mean(df * dh)]
    told = [found.mean, found.q, found.p, found.slope, found.slope_pair]
    np.testing.assert_allclose(told, drawn, atol=5e-3)


@pytest.mark.parametrize("name", ["tanh", "gelu"])
def test_a_derivative_is_one(name: str) -> None:
    u = np.linspace(-4, 4, 41)
    g = ACTIVATIONS[name]
    np.testing.assert_allclose(g.df(u), (g.f(u + 1e-6) - g.f(u - 1e-6)) / 2e-6, atol=1e-8)


def test_equal_examples_are_one() -> None:
    for name in ACTIVATIONS:
        found = moments(name, 1.7, 1.7)
        assert found.p == pytest.approx(found.q)
        assert found.slope_pair == pytest.approx(found.slope)


@pytest.mark.parametrize("name", ["tanh", "gelu"])
@pytest.mark.parametrize("q", [30.0, 100.0, 1e4])
def test_wide_pre_activations(name: str, q: float) -> None:
    """Where the function turns within a hundredth of a deviation: against an even grid of two million values."""
    z = np.linspace(-12, 12, 2_000_001)
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()
    g, found = ACTIVATIONS[name], moments(name, q, q)
    f, df = g.f(np.sqrt(q) * z), g.df(np.sqrt(q) * z)
    np.testing.assert_allclose(
        [found.mean, found.q, found.slope], [weight @ f, weight @ f**2, weight @ df**2], rtol=1e-3, atol=1e-12
    )
