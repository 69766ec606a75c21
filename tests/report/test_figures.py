import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
import vl_convert

from resjax.papers.loading import items
from resjax.records import Sweep
from resjax.report import series, theme
from resjax.report.charts import VEGA_LITE, every_cell
from resjax.report.figures import figures
from resjax.report.groups import pool

Make = Callable[..., tuple[dict, pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]
NAMES = [
    "training_curves",
    "final_by_depth",
    "gradient_by_unit",
    "rate_by_step",
    "ratio_by_depth",
    "gradient_by_layer",
    "gradient_heat_map",
    "variance_by_unit",
    "response_std",
]


def draw(sweep: Sweep) -> list[str]:
    """Their names, once Vega has drawn each."""
    found = figures(pool(sweep))
    for figure in found:
        assert "<svg" in vl_convert.vegalite_to_svg(json.dumps(figure.spec), vl_version=VEGA_LITE)
        assert "config" not in figure.spec
    return [figure.name for figure in found]


def test_one_run_of_one_seed(make: Make, sweep_of: Join) -> None:
    assert draw(sweep_of(make(seeds=range(1)))) == NAMES


def test_no_layers(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make()
    assert draw(sweep_of((run, metrics, layers.clear()))) == NAMES[:2]


def test_all_seeds_diverged_before_anything(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make(seeds=range(2), outcomes={0: 0, 1: 0})
    assert draw(sweep_of((run, metrics, layers.clear()))) == NAMES[:2]


def test_mlps_of_many_depths(make: Make, sweep_of: Join) -> None:
    runs = [make("plain", depth, "none", range(1), model__name="mlp") for depth in range(4, 24, 2)]
    dense = [
        (r, m, x.with_columns(kind=pl.col("kind").replace("conv", "dense"), stage=pl.lit(0, pl.Int64)))
        for r, m, x in runs
    ]
    assert draw(sweep_of(*dense)) == NAMES


def test_nothing_is_drawn_of_nothing(sweep_of: Join) -> None:
    assert draw(sweep_of()) == []


def test_zeros_are_left_out_of_log_axes_and_told(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make()
    zero = layers.with_columns(grad_norm=pl.when(layer=0, kind="conv").then(0.0).otherwise(pl.col("grad_norm")))
    found = {figure.name: figure for figure in figures(pool(sweep_of((run, metrics, zero))))}
    assert found["gradient_by_layer"].data["value"].min() > 0
    assert "15 values of exactly zero" in found["gradient_by_layer"].caption
    assert "zero" not in found["gradient_by_unit"].caption


def test_training_curves_are_means_over_seeds_in_percent(make: Make, sweep_of: Join) -> None:
    sweep = sweep_of(make(level=0.2))
    curve = series.training_curves(pool(sweep)).filter(error="training")
    first = sweep.metrics.filter(pl.col("step") < 3)["train_error"]
    assert curve.height == series.POINTS
    assert curve["value"][0] == pytest.approx(100 * first.mean())
    assert curve["step"][0] == 1


def test_gradients_are_geometric_means(make: Make, sweep_of: Join) -> None:
    sweep = sweep_of(make(spread=1.0))
    found = series.gradients(pool(sweep), "act_grad_norm").filter(moment="0", layer=0)
    values = sweep.layers.filter(step=0, layer=0, kind="unit")["act_grad_norm"]
    assert found["value"].item() == pytest.approx(values.product() ** (1 / 3))
    assert (found["low"].item(), found["high"].item()) == pytest.approx((values.min(), values.max()))


def test_deep_networks_are_thinned(make: Make, sweep_of: Join) -> None:
    pooled = pool(sweep_of(make("residual", 1202, seeds=range(1))))
    found = series.gradients(pooled, "grad_norm").filter(moment="0")
    assert found.height <= series.MOST_LAYERS + 2
    assert found["position"].max() == 1
    assert "thinned" in {figure.name: figure for figure in figures(pooled)}["gradient_heat_map"].caption


def grids(spec: Any) -> Iterator[tuple[str, str]]:
    """The fields of rows and columns of every grid of panels in a specification."""
    if isinstance(spec, list):
        for part in spec:
            yield from grids(part)
    elif isinstance(spec, dict):
        facet = spec.get("facet", {})
        if {"row", "column"} <= set(facet):
            yield facet["row"]["field"], facet["column"]["field"]
        for key, part in spec.items():
            if key != "datasets":
                yield from grids(part)


def test_a_grid_of_panels_has_each_of_them(make: Make, sweep_of: Join) -> None:
    """Vega sets panels one behind the other: where one had no row, the next would stand under its heading."""
    sparse = sweep_of(make("plain", 20, "none"), make("plain", 32), make("residual", 20), make("residual", 56))
    seen = set()
    for figure in figures(pool(sparse)):
        rows = figure.spec["datasets"]["rows"]
        for row, column in grids(figure.spec):
            seen.add(figure.name)
            parts = [rows] if row == "panel" else [[r for r in rows if r["panel"] == p] for p in panels_of(rows)]
            for part in parts:
                both = {(r[row], r[column]) for r in part}
                assert len(both) == len({r for r, _ in both}) * len({c for _, c in both}), figure.name
    assert seen == {"training_curves", "gradient_by_unit", "gradient_by_layer", "gradient_heat_map", "variance_by_unit"}


def test_no_filter_of_values_comes_before_the_panels(make: Make, sweep_of: Join) -> None:
    """It would take the empty rows away again: Vega-Lite moves the filter of a panel of one mark in front of them."""
    sparse = sweep_of(make("plain", 32), make("residual", 20), make("residual", 56))
    looked = 0
    for figure in figures(pool(sparse)):
        vega = vl_convert.vegalite_to_vega(json.dumps(figure.spec), vl_version=VEGA_LITE)
        sources = {data["name"]: data for data in vega["data"]}
        for name in faceted(vega["marks"]):
            filters, at = [], sources.get(name)
            while at is not None:
                filters += [step["expr"] for step in at.get("transform", []) if step["type"] == "filter"]
                at = sources.get(at.get("source", ""))
            assert not any(re.search(r'datum(\.|\[")value', found) for found in filters), (figure.name, filters)
            looked += 1
    assert looked > 9


def faceted(marks: list[dict[str, Any]]) -> Iterator[str]:
    """The data sets that are dealt out to panels."""
    for mark in marks:
        if "facet" in mark.get("from", {}):
            yield mark["from"]["facet"]["data"]
        yield from faceted(mark.get("marks", []))


def panels_of(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["panel"] for row in rows))


def test_an_empty_panel_draws_nothing() -> None:
    data = pl.DataFrame({"panel": ["a", "b"], "arm": ["plain", "rezero"], "value": [1.0, 2.0]})
    found = every_cell(data, "panel", "arm")
    assert found.rows() == [*data.rows(), ("a", "rezero", None), ("b", "plain", None)]
    within = data.with_columns(depth=pl.Series([20, 56]))
    assert every_cell(within, "panel", "arm", "depth").rows() == within.rows()


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK])
def test_no_two_arms_of_an_item_share_a_colour(colours: tuple[str, ...]) -> None:
    """He et al. 2016, table 1, has the most arms."""
    assert len(set(colours)) == len(colours) >= len(items()["he2016/table1"].rows) == 11
