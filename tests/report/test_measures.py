"""What is compared, on made records whose numbers are known."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from reproduced import iterations

from resjax.papers.item import QUANTITIES
from resjax.report.degradation import by_depth, degradation
from resjax.report.groups import pool
from resjax.report.measures import KINDS, measure, scaled
from resjax.report.paper_words import growth, onset

Make = Callable[..., Any]


def test_the_best_step_is_chosen_on_the_test_set_and_the_selected_one_is_not(make: Make, sweep_of: Make) -> None:
    run, metrics, layers = make(seeds=range(1))
    rows = [
        {"run": run["id"], "step": step, "seed": 0, "test_error": test, "validation_error": held_out}
        for step, test, held_out in ((100, 0.30, 0.2), (200, 0.10, 0.3), (300, 0.25, 0.2))
    ]
    kept = metrics.filter(pl.col("test_error").is_null())
    made = run, pl.concat([kept, pl.DataFrame(rows, schema=metrics.schema)]), layers
    pooled = pool(sweep_of(made))
    (group,) = pooled.groups
    assert measure(pooled, group, "best_test_error") == {0: 0.10}
    assert measure(pooled, group, "selected_test_error") == {0: 0.30}
    assert measure(pooled, group, "test_error") == {0: 0.25}


def test_iterations_to_a_loss_are_of_a_running_mean(make: Make, sweep_of: Make) -> None:
    pooled = pool(sweep_of(iterations(make(seeds=range(3)), {0: 100, 1: 200, 2: 10**6})))
    (group,) = pooled.groups
    window = group.steps // 50
    found = measure(pooled, group, "iterations_to_loss", 1.0)
    # The mean of six is at 1 when four of them are 0.5: (2 * 2 + 4 * 0.5) / 6.
    assert window == 6
    assert found == {0: 104.0, 1: 204.0}
    assert measure(pooled, group, "iterations_to_loss") == {}
    assert scaled(found, "iterations_to_loss") == {0: math.log(104), 1: math.log(204)}


def test_steadiness_is_the_distance_of_the_ratio_from_one(make: Make, sweep_of: Make) -> None:
    up = make("plain", ends={0: (math.e**3, 1.0)}, spread=0.0)
    down = make("residual", ends={0: (1.0, math.e**3)}, spread=0.0)
    pooled = pool(sweep_of(up, down))
    for group in pooled.groups:
        assert list(measure(pooled, group, "gradient_unsteadiness@0").values()) == pytest.approx([3.0] * 3)
        assert list(measure(pooled, group, "gradient_unsteadiness@end").values()) == pytest.approx([0.0] * 3)


def test_responses_are_means_over_the_convolutions(make: Make, sweep_of: Make) -> None:
    pooled = pool(sweep_of(make(depth=4)))
    (group,) = pooled.groups
    expected = (2 + 1.5 + 4 / 3) / 3
    assert list(measure(pooled, group, "response_std").values()) == pytest.approx([expected] * 3)


def test_every_quantity_has_its_kind() -> None:
    assert set(KINDS) == set(QUANTITIES)


def test_what_diverged_has_no_number(make: Make, sweep_of: Make) -> None:
    pooled = pool(sweep_of(iterations(make(seeds=range(3), outcomes={1: 200}), {0: 5, 1: 5, 2: 5})))
    (group,) = pooled.groups
    assert set(measure(pooled, group, "iterations_to_loss", 1.0)) == {0, 2}


def test_degradation_has_its_onset_and_its_growth(make: Make, sweep_of: Make) -> None:
    level = {8: 0.02, 20: 0.02, 32: 0.2, 44: 0.4}
    made = []
    for depth in level:
        steps = {seed: round(10 * 1.5 ** (depth / 10)) + 0 * seed for seed in range(3)}
        made.append(iterations(make("plain", depth, level=level[depth]), steps))
        flat = dict.fromkeys(range(3), 40)
        made.append(iterations(make("residual", depth), flat))
    plain, residual = degradation(pool(sweep_of(*made)), loss=1.0)
    assert (plain.arm, plain.onset, residual.onset) == ("plain", 32, None)
    assert plain.steps[0].gap is None
    gaps = [step.gap.comparison.difference for step in plain.steps[1:] if step.gap]
    assert gaps == pytest.approx([0.0, 0.18, 0.38], abs=0.02)
    assert plain.factors[0] == pytest.approx(1.5, rel=0.1)
    assert plain.law == "exponential"
    assert residual.factors[0] == pytest.approx(1.0)
    assert [step.reached for step in plain.steps] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("law", "said"), [("exponential", ", closer to an exponential"), ("power", ", closer to a power law"), (None, "")]
)
def test_the_law_is_told_where_there_is_a_growth(law: str | None, said: str, make: Make, sweep_of: Make) -> None:
    draw = np.random.default_rng(0).normal
    means = {"exponential": lambda d: 4 + 0.06 * d, "power": lambda d: 1.5 * math.log(d) + 1, None: lambda d: 5}
    made = []
    for depth in (8, 20, 32, 44):
        at = {seed: round(math.exp(means[law](depth) + draw(0, 0.02))) for seed in range(3)}
        made.append(iterations(make("plain", depth, train__steps=2000, train__log_every=1), at))
    (plain,) = degradation(pool(sweep_of(*made)), loss=1.99)
    assert plain.law == law
    assert f"for 10 layers{said}, n = 3" in growth(plain, 1.99)


def test_a_depth_that_never_gets_there_is_counted(make: Make, sweep_of: Make) -> None:
    made = [
        iterations(make("plain", 20), dict.fromkeys(range(3), 30)),
        iterations(make("plain", 56), {0: 90, 1: 10**6, 2: 10**6}),
    ]
    (plain,) = degradation(pool(sweep_of(*made)), loss=1.0)
    assert [step.reached for step in plain.steps] == [3, 1]
    assert plain.growth.n == 1
    assert plain.law is None


def test_an_onset_tells_what_diverged(make: Make, sweep_of: Make) -> None:
    """A depth whose seeds diverged has no error to be worse, and is no less worse for that."""
    lost = sweep_of(make("residual", 20), make("residual", 56, outcomes={0: 3, 2: 3}))
    (found,) = degradation(pool(lost))
    assert onset(found).endswith(", 2 of 3 seeds diverged at depth 56")
    (well,) = degradation(pool(sweep_of(make("residual", 20), make("residual", 56))))
    assert "diverged" not in onset(well)


def test_on_a_log_axis_the_mean_is_geometric(make: Make, sweep_of: Make) -> None:
    at = {20: {0: 10, 1: 1000}, 56: {0: 100, 1: 100}}
    runs = [iterations(make("plain", depth, seeds=range(2), train__steps=2000), by) for depth, by in at.items()]
    pooled = pool(sweep_of(*runs))
    shallow, deep = by_depth(degradation(pooled, loss=1.0)).sort("depth").iter_rows(named=True)
    first, second = measure(pooled, pooled.groups[0], "iterations_to_loss", 1.0).values()
    assert second > 20 * first
    assert shallow["value"] == pytest.approx(math.sqrt(first * second))
    assert shallow["low"] > 0
    assert deep["low"] == pytest.approx(deep["high"])
