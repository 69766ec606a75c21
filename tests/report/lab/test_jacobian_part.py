"""What the report says of Jacobians whose singular values are known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from labtables import lab_table

from resjax.records import LabTable
from resjax.report.groups import pool
from resjax.report.lab import parts
from resjax.report.lab.found import Part

Make = Callable[..., Any]


def table(run: str, growth: float, units: int = 5) -> LabTable:
    """sigma_rms is growth^units at the start and 1 at the end; the seeds' differ by a tenth, the examples' not."""
    rows = []
    for seed in range(3):
        for moment in ("start", "end"):
            for example in range(2):
                for unit in range(units):
                    rms = growth ** (units - unit) * (0.9 + 0.1 * seed) if moment == "start" else 1.0
                    values = {"sigma_rms": rms, "sigma_max": 4 * rms, "participation": 0.25, "dimension": 64}
                    place = {"seed": seed, "moment": moment, "example": example, "unit": unit, "name": f"unit{unit}"}
                    rows.append(place | values | {"layers_behind": 2 * (units - unit)})
    return lab_table("jacobian", run, rows)


@pytest.fixture
def part(make: Make, sweep_of: Make) -> Part:
    """A plain net that explodes, and a residual one that keeps lengths."""
    plain, residual = make("plain", 20), make("residual", 20)
    lab = table(plain[0]["id"], 2.0), table(residual[0]["id"], 1.0)
    sweep = replace(sweep_of(plain, residual), lab=lab)
    (found,) = parts(pool(sweep), sweep)
    return found


def test_the_sentences(part: Part) -> None:
    plain, residual = part.sentences
    assert plain.startswith("plain-20: from the first unit's output to the last's, over 10 weight layers, before")
    assert "before training sigma_rms is 32 ± 3.2, the largest singular value 4 ± 0 times that" in plain
    assert "after sigma_rms is 1 ± 0, " in plain
    assert "before training sigma_rms is 1 ± 0.1" in residual
    assert residual.endswith("and the participation 0.25 ± 0 (n = 3); 2 examples, 64 directions.")


def test_the_figures(part: Part) -> None:
    assert [figure.name for figure in part.figures] == ["jacobian_rms", "jacobian_condition", "jacobian_participation"]
    data = part.figures[0].data.filter(arm="plain", row="start", layers_behind=10)
    assert data.select("value", "low", "high", "n").row(0) == pytest.approx((32, 28.8, 35.2, 3))
    assert set(part.figures[1].data["value"]) == {4.0}
