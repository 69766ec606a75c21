"""Figures of a reproduction: ours beside the paper's numbers, and the iterations to a loss by depth."""

from typing import Any

import altair as alt
import polars as pl

from resjax.report import degradation
from resjax.report.charts import ROWS, Figure, arm_colour, by_setting, finish, powers, width_of
from resjax.report.measures import measure
from resjax.report.paper import Paper
from resjax.report.published import BesidePaper
from resjax.report.theme import GREY

ROW_HEIGHT = 22  # pixels
# A figure each, so that errors by different views stand on no common axis: what it is called, its name's end.
MOST = 6  # differences that a caption tells
FIRST = ("data.name", "train.steps", "train.batch_size", "model.width")  # of all, if they differ
BESIDE = {"test_error": ("test error", ""), "test_error_10crop": ("test error, mean of ten crops", "_10crop")}
SCHEMA = {
    "row": pl.String,
    "what": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "seed": pl.Int64,
}


def paper_figures(made: Paper) -> list[Figure]:
    """Those for which there are data."""
    beside = [beside_paper(made, quantity) for quantity in BESIDE]
    return [figure for figure in (*beside, iterations(made)) if figure is not None]


def beside_paper(made: Paper, quantity: str = "test_error") -> Figure | None:
    """Every row's seeds and mean, and what the paper printed, in one quantity."""
    rows = [row for one in made.published if one.reference.quantity == quantity for row in numbers(made, one)]
    data = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    if not data.filter(pl.col("what") == "ours").height:
        return None
    order = list(dict.fromkeys(data["row"].to_list()))
    name, suffix = BESIDE[quantity]
    x = alt.X("value:Q", title=f"{name} (%)", scale=alt.Scale(zero=False))
    y = alt.Y("row:N", title=None, sort=order)
    base = alt.Chart(ROWS).encode(y=y)
    tips = [
        "row:N",
        "what:N",
        "seed:O",
        *(alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("value", "low", "high")),
    ]
    ours, mean, theirs = (base.transform_filter(f"datum.what === '{what}'") for what in ("ours", "mean", "paper"))
    band = theirs.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=7, opacity=0.35, color=GREY)
    band = band.encode(x=alt.X("low:Q", title=f"{name} (%)"), x2="high:Q", tooltip=tips)
    mark = theirs.transform_filter("isValid(datum.value)").mark_point(
        shape="square", size=90, color=GREY, strokeWidth=2
    )
    dots = ours.mark_point(size=24, opacity=0.8).encode(x=x, tooltip=tips)
    bars = mean.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.6).encode(x="low:Q", x2="high:Q")
    diamonds = mean.mark_point(filled=True, shape="diamond", size=80, opacity=1).encode(x=x, tooltip=tips)
    chart = alt.layer(band, mark.encode(x=x, tooltip=tips), bars, dots, diamonds)
    chart = chart.properties(width=560, height=max(60, ROW_HEIGHT * len(order)))
    caption = (
        "Dots are our seeds, diamonds their means with 95 % intervals; squares are the paper's numbers, grey bands "
        "what was read off a figure or a printed mean ± std. "
    )
    caption += "They are not comparable here: " + "; ".join(different(made)) + "." if different(made) else ""
    return finish(chart, f"beside_paper{suffix}", f"Ours beside the paper's, {name}", caption, data)


def different(made: Paper) -> list[str]:
    """What keeps these runs from being the paper's."""
    elsewhere = made.asked.item.elsewhere
    changed = sorted(made.asked.changed, key=lambda change: not change.startswith(FIRST))
    rest = [f"and {len(changed) - MOST} more, said above"] if len(changed) > MOST else []
    return [*([f"the paper's are of {elsewhere}"] if elsewhere else []), *changed[:MOST], *rest]


def numbers(made: Paper, one: BesidePaper) -> list[tuple[Any, ...]]:
    """One row's seeds, mean and published number, in percent."""
    row, reference = one.reference.row, one.reference
    group = made.found.groups.get(row)
    values = measure(made.found.pool, group, reference.quantity) if group else {}
    found: list[tuple[Any, ...]] = [(row, "ours", 100 * value, None, None, seed) for seed, value in values.items()]
    if one.ours.mean is not None:
        found.append((row, "mean", one.ours.mean, one.ours.low, one.ours.high, None))
    band = reference.band
    if band is None and reference.std is not None and reference.value is not None:
        band = (reference.value - reference.std, reference.value + reference.std)
    low, high = band or (None, None)
    return [*found, (row, "paper", reference.value, low, high, None)]


def iterations(made: Paper) -> Figure | None:
    """Iterations to the stated loss against depth, an arm a line, on a log axis."""
    data = degradation.by_depth(made.degradation)
    loss = made.asked.preset.loss
    if loss is None or data["depth"].n_unique() < 2:
        return None
    depths = sorted(set(data["depth"]))
    x = alt.X(
        "depth:Q", title="depth (weight layers)", scale=alt.Scale(zero=False, padding=14), axis=alt.Axis(values=depths)
    )
    y = alt.Y(
        "value:Q",
        title=f"iterations to a training loss of {loss:g} nats",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(**powers(data)),
    )
    base = alt.Chart().encode(x=x, color=arm_colour(made.found.pool.arms))
    tips = ["arm:N", "depth:O", *(alt.Tooltip(f"{name}:Q", format=",.0f") for name in ("value", "low", "high")), "n:Q"]
    bars = base.transform_filter("isValid(datum.low) && datum.low > 0").mark_rule(strokeWidth=1.5)
    points = base.mark_point(filled=True, size=50, opacity=1).encode(y=y, tooltip=tips)
    layers = alt.layer(bars.encode(y="low:Q", y2="high:Q"), base.mark_line(strokeWidth=2).encode(y=y), points)
    panels = made.found.pool.panels
    chart = layers.properties(width=width_of(len(panels), 420), height=240).facet(
        data=ROWS, column=alt.Column("panel:N", header=by_setting(), sort=panels)
    )
    caption = (
        "A straight line on this axis is exponential growth with depth. Geometric means over the seeds that got there, "
        "with 95 % intervals; a depth that no seed brought to the loss has no point."
    )
    return finish(chart, "iterations_to_loss", "Iterations to a training loss, by depth", caption, data)
