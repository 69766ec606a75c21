"""What the report says and draws of landscapes whose shape is known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from labtables import lab_table

from resjax.records import LabTable, Sweep
from resjax.report.groups import pool
from resjax.report.lab import parts
from resjax.report.lab.found import Part
from resjax.report.lab.surfaces import levels_of

Make = Callable[..., Any]
Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]
SIDE = np.linspace(-1, 1, 21)


def bowl(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    return 4 * (alpha**2 + beta**2)


def slices(run: str, loss: Loss, seeds: range = range(3), grid: bool = True) -> LabTable:
    rows = []
    for seed in seeds:
        for statistics in ("running", "batch"):
            facts = {"seed": seed, "statistics": statistics, "examples": 256, "error": 0.1}
            for alpha in SIDE:
                place = {"kind": "line", "plane": 0, "alpha": alpha, "beta": 0.0}
                rows.append(facts | place | {"loss": float(loss(alpha, np.array(0.0)))})
            for beta, alpha in np.stack(np.meshgrid(SIDE, SIDE), -1).reshape(-1, 2) if grid else ():
                place = {"kind": "grid", "plane": 0, "alpha": alpha, "beta": beta}
                rows.append(facts | place | {"loss": float(loss(alpha, beta))})
    made = lab_table("landscape", run, rows, settings={"points": 21})
    return replace(made, table=made.table.with_columns(pl.col("loss").fill_nan(None)))


@pytest.fixture
def part(make: Make, sweep_of: Make) -> Callable[..., Part]:
    """The report's part of a plain and a residual net with these losses."""

    def made(plain: Loss, residual: Loss, **settings: Any) -> Part:
        runs = make("plain", 20), make("residual", 20)
        lab = tuple(slices(run[0]["id"], loss, **settings) for run, loss in zip(runs, (plain, residual), strict=True))
        sweep: Sweep = replace(sweep_of(*runs), lab=lab)
        (found,) = parts(pool(sweep), sweep)
        return found

    return made


def data(part: Part, name: str) -> pl.DataFrame:
    return next(figure.data for figure in part.figures if figure.name == f"landscape_{name}")


def test_the_sentences(part: Callable[..., Part]) -> None:
    found = part(lambda a, b: 4 * b**2 + 1 - np.cos(4 * np.pi * a), bowl)
    assert len(found.sentences) == 6
    plain, _, residual, _, both, _ = found.sentences
    # Four hills of 2 nats on a line of height 2; at the rim and the solution it is 0.
    height = 1 - np.cos(4 * np.pi * SIDE)
    climbed = 4 * height.max()
    assert plain.startswith("plain-20, running statistics: on the way down a line the loss climbs 400.0 ± 0.0 %")
    assert f"({climbed:.2g} ± 0 nats, 4 ± 0 hills)" in plain
    assert "(n = 3 lines of 3 seeds, ± over seeds)" in plain
    assert both.startswith("What plain-20 climbs less what residual-20 does, of their heights, running statistics:")
    assert "along the lines +400.0 points, equal in every seed: no test, n = 3" in both
    assert "climbs 0.0 ± 0.0 % of its height (0 ± 0 nats, 0 ± 0 hills); it is not convex at 0 ± 0 %" in residual
    assert "the basin is 1.00 ± 0.00 wide" in residual, "4 x^2 is 1 at +-1/2"


def test_what_is_not_finite_is_counted(part: Callable[..., Part]) -> None:
    found = part(lambda a, b: np.where(a > 0.85, np.nan, bowl(a, b)), bowl)
    plain, _, residual = found.sentences[:3]
    lost = 2 * 3 * (1 + 21)  # two places of alpha, three seeds, a line and 21 rows
    assert plain.endswith(f"{lost} of {3 * (21 + 441)} losses are not finite.")
    assert "finite" not in residual
    assert "0.0 ± 0.0 % of its height" in plain


def test_contours_of_a_bowl_are_circles(part: Callable[..., Part]) -> None:
    lines = data(part(bowl, bowl), "contours")
    assert set(lines["seed"]) == {0}
    assert lines["row"].n_unique() == 4
    inside = lines.filter(pl.col("level") < 4)
    radius = (inside["alpha"] ** 2 + inside["beta"] ** 2).sqrt()
    np.testing.assert_allclose(radius, np.sqrt(inside["level"] / 4), atol=0.02)
    assert inside.group_by("row", "level").agg(pl.col("line").n_unique())["line"].to_list().count(1) > 4


def test_levels_are_few_and_inside() -> None:
    for high in (0.5, 3.0, 80.0, 1e6, 1e30):
        levels = levels_of(pl.DataFrame({"loss": [None, 0.004, high]}))
        assert 3 <= len(levels) <= 9
        assert 0.004 < min(levels) < max(levels) < high
        assert levels == sorted(levels)
    assert levels_of(pl.DataFrame({"loss": [None]}, schema={"loss": pl.Float64})) == []


def test_surfaces_have_one_scale(part: Callable[..., Part]) -> None:
    """Every wire of the grid once; at twice the loss the height is log(1 + 2 L), as no net has a scale of its own."""
    wires = data(part(bowl, lambda a, b: 2 * bowl(a, b)), "surfaces")
    assert wires.group_by("row").len()["len"].to_list() == [2 * 21 * 20] * 4
    front = wires.filter((pl.col("x") + 1.45).abs() < 1e-9)  # alpha = beta = -1: the corner
    heights = {arm: float(front.filter(arm=arm)["y"][0]) + 0.4 for arm in ("plain", "residual")}
    assert heights["plain"] / heights["residual"] == pytest.approx(np.log1p(8) / np.log1p(16))


def test_lines_without_a_plane(part: Callable[..., Part]) -> None:
    found = part(bowl, bowl, grid=False)
    names = [figure.name for figure in found.figures]
    assert names == ["landscape_loss", "landscape_error", "landscape_roughness"]
    assert "plane" not in found.sentences[0]
    values = data(found, "roughness")
    assert values.filter(pl.col("measure").str.contains("climbed"))["value"].to_list() == [0.0] * 12


def test_one_seed_has_its_spread_over_lines(part: Callable[..., Part]) -> None:
    found = part(bowl, bowl, seeds=range(1))
    assert "(n = 1 lines of 1 seed)" in found.sentences[0]


def test_a_plane_that_is_finite_along_one_row_has_no_contours(part: Callable[..., Part]) -> None:
    bare = part(bowl, lambda a, b: np.where(abs(b) < 0.01, bowl(a, b), np.nan))
    assert "landscape_contours" in [figure.name for figure in bare.figures], "the other net has some"
    only = part(*[lambda a, b: np.where(abs(b) < 0.01, bowl(a, b), np.nan)] * 2)
    assert "landscape_contours" not in [figure.name for figure in only.figures]
