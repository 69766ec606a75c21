import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ScheduleConfig
from resjax.training.schedules import base_rate, learning_rate, still_warming, track_error


def rates(config: ScheduleConfig, steps: int, at: list[int]) -> list[float]:
    return [float(base_rate(config, jnp.asarray(step), steps)) for step in at]


def test_the_step_schedule_is_the_papers_at_64k_iterations() -> None:
    realised = rates(ScheduleConfig(), 64_000, [0, 31_999, 32_000, 47_999, 48_000, 63_999])
    np.testing.assert_allclose(realised, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)


def test_cosine_starts_at_the_rate_and_ends_at_nothing() -> None:
    realised = rates(ScheduleConfig(name="cosine", learning_rate=0.4), 100, [0, 25, 50, 100])
    np.testing.assert_allclose(realised, [0.4, 0.2 * (1 + np.sqrt(0.5)), 0.2, 0], atol=1e-7)


def test_constant_does_not_change() -> None:
    assert rates(ScheduleConfig(name="constant", learning_rate=0.3), 10, [0, 9]) == pytest.approx([0.3, 0.3])


def realised_with_warmup(config: ScheduleConfig, errors: list[float]) -> list[float]:
    """The learning rate of every step, the batches' training errors being as given."""
    warming, running, realised = jnp.asarray(True), jnp.asarray(1.0), []
    for step, error in enumerate(errors):
        realised.append(float(learning_rate(config, jnp.asarray(step), len(errors), warming)))
        running = track_error(running, jnp.asarray(error))
        warming = still_warming(config, jnp.asarray(step), warming, running)
    return realised


def test_the_warm_up_ends_when_the_running_error_is_below_80_percent_and_never_comes_back() -> None:
    config = ScheduleConfig(name="constant", learning_rate=0.1, warmup_learning_rate=0.01)
    # The running error starts at 1 and follows 0.5 with decay 0.9: 0.95, 0.905, 0.8645, 0.828, 0.795 after five.
    realised = realised_with_warmup(config, [0.5] * 8 + [1.0] * 30)
    np.testing.assert_allclose(realised, [0.01] * 5 + [0.1] * 33, rtol=1e-6)


def test_a_warm_up_that_learns_nothing_ends_at_its_cap() -> None:
    config = ScheduleConfig(name="constant", learning_rate=0.1, warmup_learning_rate=0.01, warmup_max_steps=7)
    np.testing.assert_allclose(realised_with_warmup(config, [0.9] * 12), [0.01] * 7 + [0.1] * 5, rtol=1e-6)


def test_a_warm_up_of_a_stated_length_ends_whatever_is_learnt() -> None:
    """He et al. 2016: 400 iterations."""
    config = ScheduleConfig(warmup_learning_rate=0.01, warmup_error=0, warmup_max_steps=7)
    realised = realised_with_warmup(config, [0.0] * 100)
    np.testing.assert_allclose(realised[:9], [0.01] * 7 + [0.1] * 2, rtol=1e-6)


def test_the_schedule_runs_on_during_the_warm_up() -> None:
    config = ScheduleConfig(warmup_learning_rate=0.02, warmup_max_steps=6)
    np.testing.assert_allclose(
        realised_with_warmup(config, [0.9] * 10), [0.02] * 6 + [0.01] * 1 + [0.01] + [0.001] * 2, rtol=1e-6
    )
