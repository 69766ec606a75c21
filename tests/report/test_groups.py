import math
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest

from resjax.records import Sweep
from resjax.report.groups import pool

Make = Callable[..., tuple[dict, pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]


def test_runs_that_differ_in_seeds_are_pooled_and_a_seed_counts_once(make: Make, sweep_of: Join) -> None:
    pooled = pool(sweep_of(make(seeds=range(3)), make(seeds=range(2, 5))))
    (group,) = pooled.groups
    assert [seed.number for seed in group.seeds] == [0, 1, 2, 3, 4]
    assert pooled.metrics.filter(seed=2, step=0).height == 1


def test_of_a_seed_that_was_trained_twice_the_run_that_was_looked_at_counts(make: Make, sweep_of: Join) -> None:
    looked_at, metrics, layers = make(seeds=range(2))
    without = looked_at | {"id": "0"}  # first by its id
    for runs in ([(without, metrics, layers.clear()), (looked_at, metrics, layers)],
                 [(looked_at, metrics, layers), (without, metrics, layers.clear())]):  # fmt: skip
        pooled = pool(sweep_of(*runs))
        assert [seed.number for seed in pooled.groups[0].seeds] == [0, 1]
        assert pooled.layers["seed"].unique().sort().to_list() == [0, 1]


def test_only_runs_that_are_done_count(make: Make, sweep_of: Join) -> None:
    left, cut = make(depth=20), make(depth=32)
    cut[0]["status"] = "failed"
    assert [group.depth for group in pool(sweep_of(left, cut)).groups] == [20]


def test_final_training_values_are_means_of_the_last_tenth(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make(seeds=range(1))
    pooled = pool(sweep_of((run, metrics, layers)))
    tail = metrics.filter((pl.col("step") >= 270) & pl.col("train_error").is_not_null())
    assert tail.height == 30
    assert pooled.groups[0].final("train_error") == {0: pytest.approx(tail["train_error"].mean())}
    last = metrics.filter(step=300)["test_error"].item()
    assert pooled.groups[0].final("gap")[0] == pytest.approx(last - tail["train_error"].mean())


def test_a_logged_row_too_few_still_gives_a_final_value(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make(seeds=range(1))
    few = metrics.filter(pl.col("step").is_in([0, 100, 200, 300]))
    found = pool(sweep_of((run, few, layers))).groups[0].final("train_loss")
    assert found == {0: few.filter(step=200)["train_loss"].item()}


def test_diverged_seeds_have_no_final_values(make: Make, sweep_of: Join) -> None:
    group = pool(sweep_of(make(outcomes={1: 7}))).groups[0]
    assert [seed.number for seed in group.diverged] == [1]
    assert sorted(group.final("train_loss")) == [0, 2]


def test_places_name_only_what_differs(make: Make, sweep_of: Join) -> None:
    one, same = make("plain"), make("residual")
    assert {g.place for g in pool(sweep_of(one, same)).groups} == {""}
    rates = [make(schedule__learning_rate=rate) for rate in (0.1, 0.01)]
    assert [g.place for g in pool(sweep_of(*rates)).groups] == ["learning_rate=0.01", "learning_rate=0.1"]
    mlp = pool(sweep_of(one, make(model__name="mlp")))
    assert [g.place for g in mlp.groups] == ["mlp", "resnet"]
    assert [g.setting for g in mlp.groups] == ["", ""]


def test_probing_more_often_is_no_other_setting(make: Make, sweep_of: Join) -> None:
    found = pool(sweep_of(make("plain"), make("residual", probes__every=5))).groups
    assert found[0].context == found[1].context


def test_a_run_in_slices_and_one_from_before_are_compared_with_any_other(make: Make, sweep_of: Join) -> None:
    before, sliced, exact = make("plain"), make("residual", train__max_minutes=8.0), make("plain", train__tf32=False)
    for name in ("tf32", "max_minutes"):
        del before[0]["config"]["train"][name]
    found = pool(sweep_of(before, sliced)).groups
    assert found[0].context == found[1].context
    assert [group.place for group in pool(sweep_of(before, exact)).groups] == ["tf32=false", "tf32=true"]


def test_runs_from_before_there_was_a_validation_set_are_compared_with_later_ones(make: Make, sweep_of: Join) -> None:
    before, after, apart = make("plain"), make("residual"), make("residual", data__validation_examples=100)
    del before[0]["config"]["data"]["validation_examples"]
    found = pool(sweep_of(before, after)).groups
    assert found[0].context == found[1].context
    places = [group.place for group in pool(sweep_of(before, apart)).groups]
    assert places == ["validation_examples=null", "validation_examples=100"]
    old = sweep_of(before)
    without = replace(old, metrics=old.metrics.drop("validation_loss", "validation_error"))
    assert pool(without).groups == pool(old).groups


def test_how_a_set_is_read_tells_runs_apart(make: Make, sweep_of: Join) -> None:
    """Its kind, and whether it is streamed: settings at their usual value are no part of the canonical form."""
    ours, theirs = make(data__name="mnist"), make(data__name="mnist", data__kind="tfds")
    assert [group.place for group in pool(sweep_of(ours, theirs)).groups] == ["kind=resjax", "kind=tfds"]
    streamed = make(data__name="mnist", data__kind="tfds", data__streamed=True)
    assert [group.place for group in pool(sweep_of(theirs, streamed)).groups] == ["streamed=false", "streamed=true"]


def test_values_that_are_not_finite_are_null(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make()
    bad = layers.with_columns(grad_norm=pl.lit(math.inf), act_grad_norm=pl.lit(math.nan))
    assert pool(sweep_of((run, metrics, bad))).layers["grad_norm"].null_count() == bad.height
