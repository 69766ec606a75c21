"""What is said and drawn of made-up read-outs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from labtables import lab_table

from resjax.records import LabTable, Sweep
from resjax.report.groups import pool
from resjax.report.lab import parts
from resjax.report.lab.found import Part

Make = Callable[..., tuple[dict[str, Any], pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]
DEPTHS = [1, 5, 9, 13, 17]  # weight layers to each unit, of 20


def table(run: str, error: Callable[[int, int], float], seeds: int) -> LabTable:
    """error: of (seed, unit); twice that at the start. The images' is 0.4, the network's 0.1."""
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        for moment, factor in (("start", 2), ("end", 1)):
            front = {"seed": seed, "moment": moment}
            rows += [front | {"name": "images", "layer_depth": 0, "test_error": 0.4}]
            rows += [front | {"name": "network", "layer_depth": 20, "test_error": 0.1}]
            rows += [
                front
                | {"unit": unit, "name": f"u{unit}", "layer_depth": depth, "test_error": factor * error(seed, unit)}
                for unit, depth in enumerate(DEPTHS)
            ]
    return lab_table("readout", run, rows, settings={"pixels": 4})


def part_of(make: Make, sweep_of: Join, plain: list[float], residual: list[float], seeds: int = 3) -> Part:
    """Of errors by unit, to which a seed adds a thousandth."""
    runs = make("plain", seeds=range(seeds)), make("residual", seeds=range(seeds))
    scale = {"plain": 2, "residual": 1}
    tables = [
        table(run[0]["id"], lambda seed, unit, e=errors, a=arm: e[unit] + scale[a] * seed / 1000, seeds)
        for run, errors, arm in zip(runs, (plain, residual), scale, strict=True)
    ]
    sweep = replace(sweep_of(*runs), lab=tuple(tables))
    (found,) = parts(pool(sweep), sweep)
    return found


def test_sentences_have_the_tables_numbers(make: Make, sweep_of: Join) -> None:
    errors = [0.3, 0.25, 0.2, 0.205, 0.21], [0.3, 0.2, 0.1, 0.05, 0.2]
    plain, residual, both, start = part_of(make, sweep_of, *errors).sentences
    assert plain == (
        "plain-20: a linear read-out of the images has a test error of 40.0 ± 0.0 %, that of the best unit, u2, "
        "20.2 %, that of the last unit 21.2 ± 0.2 %, and the network 10.0 ± 0.0 %; from 40 ± 0 % of the units on it "
        "stays within 2 points of the last. At the start it errs on 60.4 ± 0.4 % at the first unit and on 42.4 ± 0.4 % "
        "at the last. (n = 3)"
    )
    assert "that of the best unit, u3, 5.1 %" in residual
    assert "from 80 ± 0 % of the units on" in residual
    assert both.startswith("Half-way, u2, the read-out of plain-20 errs on 20.2 ± 0.2 %, that of residual-20 on 10.1")
    assert "+10.1 points" in both
    assert both.endswith("n = 3; plain-20 errs more.")
    assert start.startswith("At the start, at the last unit, u4, the read-out of plain-20 errs on 42.4 ± 0.4 %, that")
    assert "+2.2 points" in start


def test_equal_errors_are_no_difference_and_one_seed_no_test(make: Make, sweep_of: Join) -> None:
    same = [0.3, 0.2, 0.2, 0.2, 0.2]
    assert part_of(make, sweep_of, same, same, seeds=3).sentences[2].endswith("no difference is shown.")
    assert part_of(make, sweep_of, same, [0.1] * 5, seeds=1).sentences[2].endswith("n = 1; one pair, no test.")


def test_the_figure_is_against_the_share_of_weight_layers(make: Make, sweep_of: Join) -> None:
    found = part_of(make, sweep_of, [0.3, 0.25, 0.2, 0.2, 0.2], [0.3, 0.2, 0.1, 0.1, 0.1])
    assert [figure.name for figure in found.figures] == ["readout_by_unit"]  # there is no training error in the table
    data = found.figures[0].data
    ends = data.filter(arm="plain", moment="end").sort("position")
    assert ends["position"].to_list() == pytest.approx([0, 0.05, 0.25, 0.45, 0.65, 0.85, 1])
    assert ends["value"].to_list() == pytest.approx([40, 30.2, 25.2, 20.2, 20.2, 20.2, 10])
    assert ends["high"][1] == pytest.approx(30.4)
