"""What the report says of Hessians whose spectra are known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from labtables import lab_table

from resjax.records import LAB_TABLES, LabTable
from resjax.report.groups import pool
from resjax.report.lab import parts
from resjax.report.lab.found import Part
from resjax.report.lab.hessian import broadened, with_ratio

Make = Callable[..., Any]


def table(run: str, largest: float, ratio: float) -> LabTable:
    """lambda_max of one start is `largest`, of another less; away from the net |min / max| is `ratio`."""
    rows = []
    for seed in range(3):
        here = {"seed": seed, "moment": "end", "loss": 0.1, "parameters": 100}
        for probe, share in enumerate((1.0, 0.9)):
            extremes = {"lambda_max": share * largest, "lambda_min": -share}
            rows.append(here | extremes | {"kind": "spectrum", "probe": probe})
            nodes = ((-1.0, 0.1), (0.0, 0.8), (largest, 0.1))
            rows += [here | {"kind": "node", "probe": probe, "node": n, "weight": w, "residual": 0.0} for n, w in nodes]
        for alpha in (-1.0, 0.0, 1.0):
            for beta in (-1.0, 0.0, 1.0):
                least = 1.0 if alpha == beta == 0 else -ratio * 50
                place = {"kind": "map", "alpha": alpha, "beta": beta}
                rows.append(here | place | {"lambda_max": 50.0, "lambda_min": least, "lambda_min_residual": 2.0})
    settings = {"grid": 3, "grid_steps": 6, "reach": 1.0}
    return lab_table("hessian", run, rows, settings=settings)


@pytest.fixture
def part(make: Make, sweep_of: Make) -> Part:
    """A sharp plain net among hills, and a flat residual one in a bowl."""
    plain, residual = make("plain", 20), make("residual", 20)
    lab = table(plain[0]["id"], 1000.0, 0.8), table(residual[0]["id"], 10.0, -0.1)
    sweep = replace(sweep_of(plain, residual), lab=lab)
    (found,) = parts(pool(sweep), sweep)
    return found


def test_the_sentences(part: Part) -> None:
    plain, residual = part.sentences
    assert plain.startswith("plain-20: at the solution lambda_max is 1e+03 ± 0 and lambda_min -1 ± 0, at a loss of 0.1")
    assert (
        "up to 1 times the filters' norms, |lambda_min / lambda_max| is 0.80 ± 0.00 at the median by 6 Lanczos steps, "
        "which leave a residual of 0.04 times lambda_max (n = 3)" in plain
    )
    assert "|lambda_min / lambda_max| is 0.00 ± 0.00" in residual, "no negative eigenvalue is no ratio below 0"


def test_where_nothing_is_positive_there_is_no_ratio() -> None:
    rows = [{"kind": "map", "lambda_max": top, "lambda_min": -1.0, "lambda_min_residual": 0.0} for top in (0.0, -0.5)]
    assert with_ratio(pl.DataFrame(rows, schema=LAB_TABLES["hessian"]))["value"].to_list() == [None, None]


def test_the_figures(part: Part) -> None:
    assert [figure.name for figure in part.figures] == ["hessian_sharpness", "hessian_density", "hessian_ratio"]
    sharp, dense, ratio = (figure.data for figure in part.figures)
    assert dict(sharp.select("arm", "value").iter_rows()) == {"plain": 1000, "residual": 10}
    assert ratio.filter(arm="plain", alpha=0.0, beta=0.0)["value"].to_list() == [0]
    assert ratio.filter(arm="plain", alpha=1.0, beta=0.0)["value"].to_list() == pytest.approx([0.8])
    assert dense.filter(arm="residual")["eigenvalue"].max() > 10


def test_a_density_keeps_the_weight() -> None:
    places = np.linspace(-20, 20, 4001)
    curve = broadened(np.array([-30.0, 0.0, 1e4]), np.array([0.2, 0.5, 0.3]), places)
    assert curve.sum() * 0.01 == pytest.approx(1)
    assert curve[places < -2].sum() * 0.01 == pytest.approx(0.2, abs=1e-6)
