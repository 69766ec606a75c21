"""Which of the lab's tables are compared."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from labtables import lab_table

from resjax.records import LabTable, Sweep
from resjax.report.groups import pool
from resjax.report.lab import parts
from resjax.report.lab.found import Found, found

Make = Callable[..., Any]


def lesions(run: str, seeds: range, broken: int, ended: str = "2026-01-01", **settings: Any) -> LabTable:
    """A net of ten units with an error of 0.1, of which `broken` deletions leave a guess and the others 0.2."""
    rows = []
    nothing = {"unit": None, "name": None, "changes_shape": None, "draw": None, "tau": None, "loss": 1.0}
    for seed in seeds:
        rows.append(nothing | {"seed": seed, "kind": "intact", "count": 0, "error": 0.1})
        for unit in range(1, 11):
            facts = {"unit": unit, "name": f"unit{unit}", "changes_shape": unit == 1, "count": 1}
            rows.append(nothing | {"seed": seed, "kind": "one", "error": 0.9 if unit <= broken else 0.2} | facts)
        rows += [nothing | {"seed": seed, "kind": "many", "count": 5, "draw": d, "error": 0.5 + d / 10} for d in (0, 1)]
        facts = {"kind": "exchanged", "count": 1, "draw": 0, "tau": 0.9}
        rows.append(nothing | {"seed": seed, "error": 0.3} | facts)
    return lab_table("lesion", run, rows, settings={"examples": 60} | settings, ended=ended)


@pytest.fixture
def sweep(make: Make, sweep_of: Make) -> Sweep:
    """Plain nets, of which every deletion breaks, and residual ones, of which one does."""
    plain, residual = make("plain", 20), make("residual", 20)
    lab = (lesions(plain[0]["id"], range(3), 10), lesions(residual[0]["id"], range(3), 1))
    return replace(sweep_of(plain, residual), lab=lab)


def of(sweep: Sweep) -> Found:
    there = found(pool(sweep), sweep, "lesion")
    assert there is not None
    return there


def test_tables_with_the_same_settings_are_one(sweep: Sweep) -> None:
    there = of(sweep)
    assert there.arms == ["plain", "residual"]
    assert there.depths == [20]
    assert there.left_out == 0
    assert len(there.table) == 2 * 3 * 14


def test_other_settings_are_left_out_and_said(sweep: Sweep) -> None:
    one = lesions(sweep.lab[0].run, range(3), 0, "2026-02-02", draws=5)
    more = replace(sweep, lab=(*sweep.lab, one))
    assert len(of(more).table) == len(of(sweep).table)
    assert "1 tables made with other settings" in of(more).made_with()


def test_where_as_many_have_others_the_last_made_are_taken(sweep: Sweep) -> None:
    later = tuple(lesions(one.run, range(3), 5, "2026-02-02", draws=5) for one in sweep.lab)
    assert of(replace(sweep, lab=(*sweep.lab, *later))).settings["draws"] == 5
    assert of(replace(sweep, lab=(*later, *sweep.lab))).settings["draws"] == 5


def test_a_seed_of_two_runs_is_counted_once(make: Make, sweep_of: Make) -> None:
    one, again = make("plain", 20, seeds=range(3)), make("plain", 20, seeds=range(2, 5))
    lab = (lesions(one[0]["id"], range(3), 10), lesions(again[0]["id"], range(2, 5), 10))
    table = of(replace(sweep_of(one, again), lab=lab)).table
    counts = table.filter(kind="intact").group_by("seed").len()
    assert sorted(counts.iter_rows()) == [(seed, 1) for seed in range(5)]


def test_the_sentences_of_lesions(sweep: Sweep) -> None:
    (part,) = parts(pool(sweep), sweep)
    plain, residual = part.sentences
    assert plain.startswith("plain-20: with one of its 10 units deleted the test error is 90.0 ± 0.0 % at the median")
    assert "10 ± 0 of 10 deletions break the net" in plain
    assert "1 ± 0 of 10 deletions break the net, 3 of these 3 where the shape changes. (n = 3)" in residual
    assert [figure.name for figure in part.figures] == ["lesion_by_unit", "lesion_by_count", "lesion_by_disorder"]


def test_a_net_that_guesses_is_not_broken(make: Make, sweep_of: Make) -> None:
    """Intact at 0.9, and 0.905 with a unit less: noise, and no lesion."""
    run = make("plain", 20)
    table = lesions(run[0]["id"], range(3), 0)
    guess = table.table.with_columns(error=pl.when(pl.col("kind") == "intact").then(0.9).otherwise(0.905))
    sweep = replace(sweep_of(run), lab=(replace(table, table=guess),))
    (part,) = parts(pool(sweep), sweep)
    assert "It has not learnt enough to be broken." in part.sentences[0]
    assert "break the net" not in part.sentences[0]


def test_seeds_that_have_not_learnt_are_not_counted(make: Make, sweep_of: Make) -> None:
    """All of one seed's deletions break it; the other two guess."""
    run = make("plain", 20)
    table = lesions(run[0]["id"], range(3), 10)
    guess = table.table.with_columns(error=pl.when(pl.col("seed") > 0).then(0.9).otherwise("error"))
    sweep = replace(sweep_of(run), lab=(replace(table, table=guess),))
    (part,) = parts(pool(sweep), sweep)
    assert "10 of 10 deletions break the net" in part.sentences[0]
    assert "2 of 3 seeds have not learnt enough to be broken. (n = 3)" in part.sentences[0]


def test_tables_of_a_net_that_was_trained_anew_are_left_out_and_said(sweep: Sweep) -> None:
    plain, residual = sweep.lab
    old = replace(residual, about=residual.about | {"checkpoint": ["another"]})
    there = of(replace(sweep, lab=(plain, old)))
    assert there.arms == ["plain"]
    assert "1 tables are left out whose nets have been trained anew since." in there.made_with()


def test_a_net_that_is_being_trained_anew_is_no_partner(make: Make, sweep_of: Make) -> None:
    """The pair's table is in the other run's folder, and stays there."""
    plain, residual = make("plain", 20), make("residual", 20)
    row = {"seed": 0, "beside_seed": 0, "unit": 1, "name": "a", "other_unit": 1, "other_name": "b", "cka": 0.5}
    pair = lab_table("similarity", plain[0]["id"], [row], residual[0]["id"])
    again = {key: value for key, value in residual[0].items() if key != "digest"} | {"status": "running"}
    for other, there in ((residual[0], True), (again, False)):
        sweep = replace(sweep_of(plain, (other, *residual[1:])), lab=(pair,))
        assert (found(pool(sweep), sweep, "similarity") is not None) == there


def test_a_partners_seed_that_another_run_has_is_left_out(make: Make, sweep_of: Make) -> None:
    """Of a seed that two runs trained one is taken, beside others, too."""
    one, twice = make("plain", 20, seeds=range(3)), make("plain", 20, seeds=range(2, 5))
    residual = make("residual", 20, seeds=range(5))
    row = {"unit": 1, "name": "a", "other_unit": 1, "other_name": "b", "cka": 0.5}
    pairs = [
        lab_table("similarity", residual[0]["id"], [row | {"seed": n, "beside_seed": n} for n in seeds], beside)
        for beside, seeds in ((one[0]["id"], range(3)), (twice[0]["id"], range(2, 5)))
    ]
    sweep = replace(sweep_of(one, twice, residual), lab=tuple(pairs))
    there = found(pool(sweep), sweep, "similarity")
    assert there is not None
    assert sorted(there.table["beside_seed"]) == [0, 1, 2, 3, 4]


def test_other_code_is_said(sweep: Sweep) -> None:
    plain, residual = sweep.lab
    other = replace(residual, about=residual.about | {"code_sha256": "other"})
    assert "2 versions of the code" in of(replace(sweep, lab=(plain, other))).made_with()
    assert "versions" not in of(sweep).made_with()


def test_how_many_examples_there_are_is_said(sweep: Sweep) -> None:
    sizes = {"examples": {"train": 1437, "test": 360}}
    lab = tuple(replace(one, about=one.about | sizes) for one in sweep.lab)
    assert "digits has 1437 training and 360 test examples." in of(replace(sweep, lab=lab)).made_with()


def test_a_start_that_nobody_knows_is_said(make: Make, sweep_of: Make) -> None:
    run, metrics, layers = make("plain", 20, seeds=range(1))
    row = {"seed": 0, "moment": "start", "unit": 1, "name": "u", "layer_depth": 1, "features": 4, "ridge": 1.0}
    table = lab_table("readout", run["id"], [row | {"train_error": 0.5, "test_error": 0.5}])
    for more, said in (({}, False), ({"imported": {"file": "net.npz", "sha256": "0" * 64}}, True)):
        sweep = replace(sweep_of((run | more, metrics, layers)), lab=(table,))
        there = found(pool(sweep), sweep, "readout")
        assert there is not None
        assert ("nobody knows the start" in there.made_with()) == said


def test_panels_say_no_more_than_tells_them_apart(make: Make, sweep_of: Make) -> None:
    mean = {"data__name": "cifar10", "data__mean": [0.5, 0.5, 0.5], "data__std": [0.2, 0.2, 0.2]}
    one, other = make("plain", 20), make("plain", 20, **mean)
    lab = tuple(lesions(run[0]["id"], range(3), 1) for run in (one, other))
    there = of(replace(sweep_of(one, other), lab=lab))
    assert there.panels == ["batch norm, cifar10", "batch norm, digits"]
    twice = make("plain", 20), make("plain", 20, schedule__learning_rate=0.5)
    lab = tuple(lesions(run[0]["id"], range(3), 1) for run in twice)
    assert of(replace(sweep_of(*twice), lab=lab)).panels == [
        "batch norm, learning_rate=0.1",
        "batch norm, learning_rate=0.5",
    ]


def test_where_there_is_nothing_nothing_is_said(make: Make, sweep_of: Make) -> None:
    sweep = sweep_of(make("plain", 20))
    assert parts(pool(sweep), sweep) == []
    strange = replace(sweep, lab=(lesions("another run", range(3), 1),))
    assert parts(pool(strange), strange) == [], "a table of a run that is not reported"
