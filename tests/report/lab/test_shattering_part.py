"""The report's fits, from likenesses that follow a law."""

import numpy as np
import pytest

from resjax.report.lab.shattering import NOISE, law

LAYERS = np.arange(1, 40, 2)


def test_an_exponential_decay() -> None:
    found = law(LAYERS, 0.9**LAYERS)
    assert found is not None
    assert found.rate == pytest.approx(0.9)
    assert not found.is_power
    assert found.points == sum(0.9**LAYERS > NOISE) < len(LAYERS)


def test_a_power() -> None:
    found = law(LAYERS, LAYERS**-0.5)
    assert found is not None
    assert found.exponent == pytest.approx(-0.5)
    assert found.is_power


def test_noise_has_no_law() -> None:
    """Two layers above it, and all others below: nothing to fit."""
    assert law(LAYERS, np.where(LAYERS < 4, 0.5, -0.02)) is None
