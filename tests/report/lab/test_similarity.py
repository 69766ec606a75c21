"""What is said and drawn of made-up tables of CKA."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import polars as pl
import pytest
from labtables import lab_table

from resjax.records import LabTable, Sweep
from resjax.report.groups import pool
from resjax.report.lab import parts
from resjax.report.lab.found import Part
from resjax.report.lab.similarity import MOST_UNITS, thinned

Make = Callable[..., tuple[dict[str, Any], pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]
Seeds = list[tuple[int, int | None]]
UNITS = 4


def table(run: str, cka: Callable[[int, int, int], float], seeds: Seeds, beside: str | None = None) -> LabTable:
    """cka: of (seed, unit, other unit)."""
    rows = [
        {"seed": seed, "beside_seed": another, "unit": i, "name": f"a{i}", "other_unit": j, "other_name": f"b{j}"}
        | {"cka": cka(seed, i, j)}
        for (seed, another), i, j in product(seeds, range(UNITS), range(UNITS))
    ]
    return lab_table("similarity", run, rows, beside, settings={"examples": 64})


@pytest.fixture
def part(make: Make, sweep_of: Join) -> Part:
    """Plain and residual, three seeds each; the residual net was looked at first."""
    plain, residual = make("plain"), make("residual")
    p, r = plain[0]["id"], residual[0]["id"]
    alone, next_ones, equal = ([(n, other(n)) for n in range(3)] for other in (lambda n: None, lambda n: n + 1, int))

    def falling(by: float) -> Callable[[int, int, int], float]:
        return lambda seed, i, j: 1 - by * abs(i - j) - 0.01 * seed * (i != j)

    tables = (
        table(p, falling(0.3), alone),
        table(p, lambda seed, i, j: 0.8 if i == j else 0.5, next_ones[:2]),
        table(r, falling(0.1), alone),
        table(r, lambda seed, i, j: 0.7 if i == j else i / 10, equal, beside=p),
    )
    sweep = replace(sweep_of(plain, residual), lab=tables)
    (found,) = parts(pool(sweep), sweep)
    return found


def test_sentences_have_the_tables_numbers(part: Part) -> None:
    plain, residual, both = part.sentences
    assert plain == (
        "plain-20: units that follow each other have a CKA of 0.690 ± 0.010 at the median; least alike are a0 and b1, "
        "0.690. The first and the last unit have 0.090 ± 0.010. (n = 3)"
    )
    assert "0.890 ± 0.010 at the median" in residual
    # Six pairs of units: 3 x 0.1, 2 x 0.2, 1 x 0.3 less than 1, beside thrice that; every seed's difference is equal.
    assert "the mean CKA of residual-20 less that of plain-20 is +0.33, n = 3." in both
    assert "Units of one place in the two have a CKA of 0.700 ± 0.000 on average" in both
    assert both.endswith("; two seeds' have 0.800 ± 0.000 of plain-20.")


def test_a_map_is_the_mean_over_seeds(part: Part) -> None:
    within, seeds, between = part.figures
    assert within.name == "similarity_within"
    cell = within.data.filter(what="plain", unit=0, other_unit=2)
    assert cell["value"].to_list() == pytest.approx([1 - 0.6 - 0.01])
    assert cell["n"].to_list() == [3]
    assert set(seeds.data["what"]) == {"plain"}
    assert between.data["what"].unique().to_list() == ["plain beside residual"]


def test_plain_stands_upwards_whichever_run_was_first(part: Part) -> None:
    """The table has residual units first, whose number is in it."""
    between = part.figures[2].data
    assert between.filter(unit=1, other_unit=3)["value"].to_list() == [0.3]
    assert between.filter(unit=3, other_unit=1)["name"].to_list() == ["b3"]


def test_other_depths_and_runs_that_are_not_in_the_report_have_no_map(make: Make, sweep_of: Join) -> None:
    one, deeper = make("plain"), make("residual", 56)
    pairs = [(0, 0)]
    tables = [table(one[0]["id"], lambda seed, i, j: 0.5, pairs, beside) for beside in (deeper[0]["id"], "0" * 64)]
    sweep = replace(sweep_of(one, deeper), lab=tuple(tables))
    (found,) = parts(pool(sweep), sweep)
    assert found.figures == []
    assert found.sentences == []


def test_maps_of_deep_nets_are_thinned() -> None:
    units = pl.DataFrame([(i, j) for i, j in product(range(300), repeat=2)], ["unit", "other_unit"], orient="row")
    shown = thinned(units.with_columns(panel=pl.lit("p"), depth=602, what=pl.lit("plain")))
    count = shown["unit"].n_unique()
    assert MOST_UNITS / 2 < count <= MOST_UNITS
    assert shown.height == count**2
