"""Lines through made-up profiles, whose growth is known."""

import math

import numpy as np
import pytest

from resjax.fits import growth, line

DEPTHS = np.arange(1, 56, 2)
STAGES = np.repeat([0, 1, 2, 3], [1, 9, 9, 9])


@pytest.mark.parametrize("rate", [1.2112, 1.0, 0.7071])
def test_the_rate_is_a_layers_whatever_jumps_at_the_borders(rate: float) -> None:
    logs = -np.log(rate) * DEPTHS + np.array([5.0, 0.3, -2.0, 1.0])[STAGES]
    found = growth(DEPTHS, logs, STAGES)
    assert found is not None
    assert found.rate == pytest.approx(rate)
    assert found.scale == pytest.approx(1 / abs(math.log(rate)) if rate != 1 else math.inf, rel=1e-6)
    assert found.law == "exponential"


@pytest.mark.parametrize("exponent", [-0.7335, 0.5])
def test_a_power_law_is_told_from_an_exponential(exponent: float) -> None:
    found = growth(DEPTHS, exponent * np.log(DEPTHS) + np.array([1.0, 0.0, 3.0, 2.0])[STAGES], STAGES)
    assert found is not None
    assert found.exponent == pytest.approx(exponent)
    assert found.law == "power"


def test_the_range_is_largest_over_smallest() -> None:
    logs = np.zeros(len(DEPTHS))
    logs[10], logs[20] = math.log(6), -math.log(4)
    found = growth(DEPTHS, logs, STAGES)
    assert found is not None
    assert found.range == pytest.approx(24)


def test_against_a_regression_with_a_column_a_stage() -> None:
    random = np.random.default_rng(0)
    y = random.standard_normal(len(DEPTHS))
    design = np.column_stack([DEPTHS, *(stage == STAGES for stage in range(4))]).astype(float)
    coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
    found = line(DEPTHS, y, STAGES)
    assert found is not None
    assert found.slope == pytest.approx(coefficients[0])
    assert found.left == pytest.approx(np.sqrt(np.mean((y - design @ coefficients) ** 2)))


@pytest.mark.parametrize("stages", [[], [0], [0, 1, 2, 3], [0, 1, 1, 2, 3]])
def test_too_few_points_give_no_line(stages: list[int]) -> None:
    """As many as there are stages, or one more: a line through two points is no fit."""
    assert growth(list(range(1, len(stages) + 1)), [0.0] * len(stages), stages) is None
