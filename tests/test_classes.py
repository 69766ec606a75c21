"""The rule on made-up profiles: each word, and what must come out undecided."""

import math

import numpy as np
import pytest

from resjax.classes import DIVERGED, EXPLODING, HEALTHY, UNDECIDED, VANISHING, classify
from resjax.fits import growth
from resjax.statistics import estimate

DEPTHS = np.arange(1, 56, 2)
STAGES = np.repeat([0, 1, 2, 3], [1, 9, 9, 9])
SEEDS = 5


def profile(rate: float, seed: int, noise: float = 0.05, shape: np.ndarray | float = 0.0) -> np.ndarray:
    """ln |dL/dh| of one seed: a rate a layer towards the input, a shape besides, and noise from unit to unit."""
    return -math.log(rate) * DEPTHS + shape + noise * np.random.default_rng(seed).standard_normal(len(DEPTHS))


def state(profiles: list[np.ndarray], level: list[float] | None = None, lost: float = 0.0) -> str:
    fits = [growth(DEPTHS, logs, STAGES) for logs in profiles]
    return classify(
        estimate(logs[0] - logs[-1] for logs in profiles),
        estimate(math.log(fit.rate) for fit in fits if fit),
        estimate(math.log(fit.range) for fit in fits if fit),
        estimate(level or []),
        lost,
    )


def seeds(rate: float, **settings: object) -> list[np.ndarray]:
    return [profile(rate, seed, **settings) for seed in range(SEEDS)]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(1.2112, EXPLODING), (1.0, HEALTHY), (1.03, HEALTHY), (0.7071, VANISHING), (1.0 / 1.2, VANISHING)],
)
def test_a_steady_rate(rate: float, expected: str) -> None:
    """1.03 a layer is 5 over 54 layers."""
    assert state(seeds(rate)) == expected


def test_a_rate_that_just_reaches_the_threshold_is_undecided() -> None:
    threshold = 100 ** (1 / 54)
    assert state([profile(threshold * near, 0, noise=0) for near in (0.99, 0.995, 1, 1.005, 1.01)]) == UNDECIDED


def test_one_seed_is_undecided() -> None:
    assert state(seeds(1.2112)[:1]) == state(seeds(1.0)[:1]) == UNDECIDED


def test_seeds_that_disagree_are_undecided() -> None:
    assert state([profile(rate, 0) for rate in (1.25, 1.0, 0.8, 1.2, 0.9)]) == UNDECIDED


def test_noise_beyond_measure_is_undecided() -> None:
    assert state(seeds(1.0, noise=8.0)) == UNDECIDED


def test_a_jump_without_a_trend_is_undecided() -> None:
    """A thousand between stem and first stage, and nothing besides: no layer's doing."""
    assert state(seeds(1.0, shape=np.where(STAGES == 0, math.log(1000), 0.0))) == UNDECIDED


def test_a_hump_between_two_equal_ends_is_undecided() -> None:
    assert state(seeds(1.0, shape=6 * np.sin(np.pi * np.arange(len(DEPTHS)) / (len(DEPTHS) - 1)))) == UNDECIDED


def test_a_jump_at_every_border_does_not_hide_the_trend() -> None:
    assert state(seeds(1.2112, shape=np.array([0.0, 1.0, 2.0, 3.0])[STAGES])) == EXPLODING


@pytest.mark.parametrize(
    ("level", "expected"), [(1e-4, VANISHING), (1e4, EXPLODING), (1.0, HEALTHY), (100.0, UNDECIDED)]
)
def test_the_level_alone(level: float, expected: str) -> None:
    """Gradients alike in every layer, and all tiny beside a shallower net's."""
    assert state(seeds(1.0), [math.log(level) + 0.1 * seed for seed in range(-2, 3)]) == expected


def test_ratio_and_level_that_say_opposite_things_are_undecided() -> None:
    assert state(seeds(1.2112), [math.log(1e-4)] * SEEDS) == UNDECIDED


def test_half_of_the_seeds_lost() -> None:
    assert state(seeds(1.0), lost=0.5) == state([], lost=1.0) == DIVERGED
    assert state(seeds(1.0), lost=0.4) == HEALTHY


def test_where_stages_are_too_short_the_ratio_stands_alone() -> None:
    nothing = estimate([])
    ratio = estimate([math.log(1e4), math.log(1.1e4)])
    assert classify(ratio, nothing, ratio, nothing) == EXPLODING
    assert classify(nothing, nothing, nothing, nothing) == UNDECIDED
