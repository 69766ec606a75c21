"""The rule on the cases it was made for, and on those that must come out undecided."""

from collections.abc import Callable

import polars as pl
import pytest

from resjax.classes import DIVERGED, EXPLODING, HEALTHY, UNDECIDED, VANISHING
from resjax.records import Sweep
from resjax.report.groups import END, pool
from resjax.report.health import Health, assess, factors, moments

Make = Callable[..., tuple[dict, pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]


def of(found: list[Health], arm: str, depth: int, moment: str) -> Health:
    return next(h for h in found if (h.group.arm, h.group.depth, h.moment) == (arm, depth, moment))


def test_what_digits_showed(full: Sweep) -> None:
    found = {(h.group.arm, h.group.norm, h.group.depth, h.moment): h.state for h in assess(pool(full))}
    assert found["plain", "batch", 56, "0"] == EXPLODING
    assert found["plain", "batch", 20, "0"] == HEALTHY
    assert found["plain", "batch", 56, "10"] == found["residual", "batch", 56, "0"] == HEALTHY
    assert found["plain", "none", 56, "0"] == found["plain", "none", 56, END] == VANISHING
    assert found["residual", "none", 56, "0"] == EXPLODING
    assert found["residual", "none", 56, END] == found["residual", "none", 56, "10"] == DIVERGED


def test_the_ratio_is_first_over_last(make: Make, sweep_of: Join) -> None:
    found = assess(pool(sweep_of(make("plain", 56, ends=(365.0, 0.45)))))
    assert factors(of(found, "plain", 56, "0").ratio)[0] == pytest.approx(365 / 0.45)


def test_gradients_equally_tiny_in_every_layer_are_vanishing(make: Make, sweep_of: Join) -> None:
    shallow = make("plain", 20, "none", ends=(1, 1), weights=(0.3, 0.1), level=0.8)
    deep = make("plain", 56, "none", ends=(1, 1), weights=(8e-6, 3e-6), level=0.88)
    item = of(assess(pool(sweep_of(shallow, deep))), "plain", 56, "0")
    assert item.state == VANISHING
    assert factors(item.ratio)[0] == pytest.approx(1)
    assert item.level.n
    assert factors(item.level)[0] == pytest.approx((8e-6 * 3e-6 / 0.03) ** 0.5, rel=0.5)


def test_a_net_that_has_learned_has_not_vanished(make: Make, sweep_of: Join) -> None:
    """Its gradients are a thousandth, and so is its loss."""
    shallow, deep = make("plain", 20, level=0.9), make("plain", 56, level=0.0, weights={300: (1e-3, 1e-3)})
    run, metrics, layers = deep
    late = pl.col("step") >= 200
    metrics = metrics.with_columns(train_loss=pl.when(late).then(1e-3).otherwise(pl.col("train_loss")))
    assert of(assess(pool(sweep_of(shallow, (run, metrics, layers)))), "plain", 56, END).state == HEALTHY


@pytest.mark.parametrize("change", [{"seeds": range(1)}, {"spread": 0.0, "seeds": range(1)}])
def test_one_seed_is_undecided(make: Make, sweep_of: Join, change: dict) -> None:
    found = assess(pool(sweep_of(make("plain", 56, ends=(800, 1), **change))))
    assert {item.state for item in found} == {UNDECIDED}


def test_seeds_that_disagree_are_undecided(make: Make, sweep_of: Join) -> None:
    parts = [make("plain", 56, seeds=range(i, i + 1), ends=ends) for i, ends in enumerate([(800, 1), (1, 1), (5, 1)])]
    assert of(assess(pool(sweep_of(*parts))), "plain", 56, "0").state == UNDECIDED


def test_a_ratio_at_the_threshold_is_undecided(make: Make, sweep_of: Join) -> None:
    parts = [make("plain", 56, seeds=range(i, i + 1), ends=(r, 1)) for i, r in enumerate([90.0, 100.0, 110.0])]
    assert of(assess(pool(sweep_of(*parts))), "plain", 56, "0").state == UNDECIDED


def test_ratio_and_level_that_say_opposite_things_are_undecided(make: Make, sweep_of: Join) -> None:
    shallow, deep = make("plain", 20, level=0.9), make("plain", 56, ends=(500, 1), weights=(1e-4, 1e-4), level=0.9)
    assert of(assess(pool(sweep_of(shallow, deep))), "plain", 56, "0").state == UNDECIDED


def test_zero_and_infinite_gradients(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make("plain", 20)
    zero = layers.with_columns(act_grad_norm=pl.when(layer=0).then(0.0).otherwise(pl.col("act_grad_norm")))
    assert of(assess(pool(sweep_of((run, metrics, zero)))), "plain", 20, "0").state == VANISHING
    lost = layers.with_columns(act_grad_norm=pl.lit(None, pl.Float64))
    assert assess(pool(sweep_of((run, metrics, lost)))) == []


@pytest.mark.parametrize(("passing", "state"), [(1.0, HEALTHY), (0.0, VANISHING)])
def test_a_branch_that_is_switched_off_has_not_vanished(make: Make, sweep_of: Join, passing: float, state: str) -> None:
    """A weight's gradient is zero: by ReZero's factor where one passes the unit, by underflow where none does."""

    def off(made: tuple[dict, pl.DataFrame, pl.DataFrame]) -> tuple[dict, pl.DataFrame, pl.DataFrame]:
        run, metrics, layers = made
        weight, unit = pl.col("kind") == "conv", (pl.col("kind") == "unit") & (pl.col("layer") > 0)
        inner = weight & (pl.col("layer") > 0) & (pl.col("layer") < pl.col("layer").filter(unit).max())
        name = pl.when(inner).then(pl.format("unit{}.conv1", pl.col("layer"))).otherwise(pl.col("name"))
        gone = pl.when(inner).then(0.0).otherwise(pl.col("grad_norm"))
        passes = pl.when(unit).then(pl.col("act_grad_norm") * passing).otherwise(pl.col("act_grad_norm"))
        last = pl.when(kind="unit", layer=pl.col("layer").filter(unit).max()).then(pl.col("act_grad_norm"))
        passes = last.otherwise(passes)
        return run, metrics, layers.with_columns(name=name, grad_norm=gone, act_grad_norm=passes)

    sweep = sweep_of(off(make("residual", 20, "none")), off(make("residual", 56, "none")))
    item = of(assess(pool(sweep)), "residual", 56, "0")
    assert item.state == state
    assert item.level.n
    assert item.level.n == 3


def test_what_is_not_finite_on_the_way_is_no_health(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make("plain", 20)
    burst = pl.when(kind="unit", layer=3).then(float("inf")).otherwise(pl.col("act_grad_norm"))
    found = assess(pool(sweep_of((run, metrics, layers.with_columns(act_grad_norm=burst)))))
    assert {item.state for item in found} == {UNDECIDED}


def test_where_every_seed_of_a_sweep_diverged_the_end_says_so(make: Make, sweep_of: Join) -> None:
    found = assess(pool(sweep_of(make("plain", 20, outcomes=dict.fromkeys(range(3), 5)))))
    assert found[-1].moment == END
    assert found[-1].state == DIVERGED


def test_no_layers(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make()
    pooled = pool(sweep_of((run, metrics, layers.clear())))
    assert (moments(pooled), assess(pooled)) == ([], [])


def test_many_steps_are_thinned_to_powers_of_ten(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make(seeds=range(1))
    start = layers.filter(step=0)
    more = [start.with_columns(step=pl.lit(step, pl.Int64)) for step in range(2, 60)]
    assert moments(pool(sweep_of((run, metrics, pl.concat([layers, *more]))))) == ["0", "1", "10", "100", END]
