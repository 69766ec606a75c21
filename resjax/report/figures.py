"""The figures of a report, each one Vega-Lite specification over the data of `series`."""

from collections.abc import Callable
from typing import Any, Literal

import altair as alt
import polars as pl

from resjax.report import series
from resjax.report.atlas import rate_by_step, ratio_by_depth, response_std
from resjax.report.charts import (
    ROWS,
    Figure,
    arm_colour,
    by_setting,
    depth_colour,
    finish,
    header,
    hover,
    only,
    powers,
    width_of,
)
from resjax.report.gradients import gradients, heat_map
from resjax.report.groups import Pool
from resjax.report.health import Health, assess
from resjax.report.series import LAYERS, UNITS, VARIANCES

Maker = Callable[[Pool], Figure | None]
ROOM = {"row": 26, "column": 14}  # pixels between panels, for the crosses above them
FINALS: dict[str, tuple[str, Literal["linear", "log"]]] = {
    "train_loss": ("final training loss (nats)", "log"),
    "train_error": ("final training error (%)", "linear"),
    "test_error": ("test error at the last step (%)", "linear"),
}


def figures(pool: Pool, health: list[Health] | None = None) -> list[Figure]:
    """Those for which there are data. health: where it has been assessed already."""
    return [*curves(pool), *atlas(pool, assess(pool) if health is None else health)]


def curves(pool: Pool) -> list[Figure]:
    """Of losses and errors."""
    return made(pool, (training_curves, final_by_depth))


def atlas(pool: Pool, seen: list[Health]) -> list[Figure]:
    """Of gradients, variances and responses; seen: what the gradients do."""
    makers: tuple[Maker, ...] = (
        lambda p: gradients(p, UNITS),
        rate_by_step,
        lambda p: ratio_by_depth(p, seen),
        lambda p: gradients(p, LAYERS),
        heat_map,
        lambda p: gradients(p, VARIANCES),
        response_std,
    )
    return made(pool, makers)


def made(pool: Pool, makers: tuple[Maker, ...]) -> list[Figure]:
    """Those that find data."""
    return [figure for maker in makers if (figure := maker(pool)) is not None]


def training_curves(pool: Pool) -> Figure | None:
    """Training and test error against the step, as figure 6 of He et al. 2015."""
    data, lost = series.training_curves(pool), series.divergences(pool)
    if data.is_empty() and lost.is_empty():
        return None
    depths = sorted({group.depth for group in pool.groups})
    both = pl.concat([data, lost.with_columns(error=pl.lit("diverged"))], how="diagonal_relaxed")
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="step (parameter updates)", axis=alt.Axis(format="~s", tickCount=6)),
        color=depth_colour(depths),
    )
    error = alt.Y("value:Q", title="error (%)")
    tips = ["arm:N", "depth:O", "error:N", *(alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("step", "value"))]
    tips += [
        alt.Tooltip(f"{name}:Q", format=".4~g", title=title) for name, title in (("low", "least"), ("high", "most"))
    ]
    known = base.transform_filter("datum.error !== 'diverged'")
    kinds = ["test", "training"]
    lines = known.mark_line(interpolate="linear").encode(
        y=error,
        strokeDash=alt.StrokeDash("error:N", title="error", scale=alt.Scale(domain=kinds, range=[[1, 0], [4, 3]])),
        strokeWidth=alt.StrokeWidth("error:N", title="error", scale=alt.Scale(domain=kinds, range=[2.6, 1.3])),
    )
    points = hover(base.transform_filter("datum.error === 'training'"), y=error, tooltip=[*tips, "n:Q"])
    band = known.mark_area(opacity=0.15).encode(y=alt.Y("low:Q"), y2="high:Q", detail="error:N")
    tested = base.transform_filter("datum.error === 'test'")
    dots = tested.mark_point(filled=True, size=34, opacity=1).encode(y=error, tooltip=[*tips, "n:Q"])
    bars = tested.mark_rule(strokeWidth=1.3).encode(y=alt.Y("low:Q"), y2="high:Q")
    crosses = base.transform_filter("datum.error === 'diverged'").mark_point(
        shape="cross", angle=45, size=70, filled=True
    )
    crosses = crosses.encode(
        y=alt.value(-8), tooltip=["arm:N", "depth:O", "seed:O", alt.Tooltip("step:Q", title="diverged")]
    )
    panel = alt.layer(band, lines, points, bars, dots, crosses).properties(
        width=width_of(len(pool.arms), 440), height=230
    )
    chart = panel.facet(
        data=ROWS,
        column=alt.Column("arm:N", header=header(), sort=pool.arms),
        row=alt.Row("panel:N", header=by_setting(), sort=pool.panels),
    )
    chart = chart.properties(spacing=ROOM)
    caption = (
        "Compare the order of the colours between the panels: where a deeper net's dashed line lies above a shallower "
        "one's, it fits the training data worse. Dashed and thin: training error of the batches, a mean over stretches "
        "of a hundredth of the steps; solid with dots: test error where it was evaluated; means over the seeds that "
        "finished, bands and bars from the least to the largest seed; a cross above a panel is a seed that diverged."
    )
    return finish(chart, "training_curves", "Error against step", caption, both, ("panel", "arm"))


def final_by_depth(pool: Pool) -> Figure | None:
    """Final loss and errors against the depth, every seed a dot."""
    data = series.final_by_depth(pool)
    if data.is_empty():
        return None
    shown = [quantity for quantity in FINALS if data.filter(quantity=quantity)["value"].count()] or ["train_error"]
    parts = [_final_panels(pool, data.filter(quantity=q), q, len(shown), q == shown[0]) for q in shown]
    caption = (
        "Degradation is a training error that rises with depth. Dots are seeds, lines join their means, bars are one "
        "standard deviation to each side; a cross above the panel is a seed that diverged and is in no mean. Training "
        "values are means over the last tenth of the steps; the loss has a log axis, on which a bar ends at a tenth "
        "of the mean and a loss of zero has no dot."
    )
    return finish(alt.hconcat(*parts), "final_by_depth", "Final loss and error against depth", caption, data)


def _final_panels(pool: Pool, data: pl.DataFrame, quantity: str, columns: int, first: bool) -> Any:
    """One quantity, a row of panels for each norm."""
    title, kind = FINALS[quantity]
    depths = sorted(set(data["depth"]))
    axis = alt.Axis(values=depths, format="d", grid=False)
    x = alt.X("depth:Q", title="depth (weight layers)", axis=axis, scale=alt.Scale(zero=False, padding=14))
    labels: dict[str, Any] = powers(data) if kind == "log" else {}
    y = alt.Y("value:Q", title=title, scale=alt.Scale(type=kind, zero=kind == "linear"), axis=alt.Axis(**labels))
    base = alt.Chart().encode(x=x, color=arm_colour(pool.arms))
    known = base.transform_filter("isValid(datum.value)")
    stats = known.transform_aggregate(
        mean="mean(value)", std="stdev(value)", n="count()", groupby=["panel", "arm", "depth"]
    ).transform_calculate(
        value="datum.mean",
        low="datum.n > 1 ? datum.mean - datum.std : datum.mean",
        high="datum.n > 1 ? datum.mean + datum.std : datum.mean",
    )
    if kind == "log":
        stats = stats.transform_calculate(low="max(datum.low, datum.mean / 10)")
    line = stats.mark_line(strokeWidth=2).encode(y=y)
    bars = stats.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q"), y2="high:Q")
    numbers = [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("mean", "std")]
    means = stats.mark_point(filled=True, shape="diamond", size=60, opacity=1)
    means = means.encode(y=y, tooltip=["arm:N", "depth:O", *numbers, "n:Q"])
    dots = known.mark_point(size=26, opacity=0.75, xOffset=5)
    dots = dots.encode(y=y, tooltip=["arm:N", "depth:O", "seed:O", alt.Tooltip("value:Q", format=".4~g")])
    lost = base.transform_filter("datum.diverged").mark_point(shape="cross", angle=45, size=70, filled=True)
    lost = lost.encode(y=alt.value(-8), tooltip=["arm:N", "depth:O", "seed:O"])
    panel = alt.layer(bars, line, dots, means, lost).properties(width=width_of(columns, 270), height=190)
    row = alt.Row("panel:N", header=by_setting(labels=first), sort=pool.panels)
    rows = panel.facet(data=ROWS, row=row).transform_filter(only("quantity", quantity))
    if kind == "log":  # no filter: a row that lost all its values would let the next one stand beside its heading
        rows = rows.transform_calculate(value="datum.value > 0 ? datum.value : null")
    return rows.resolve_scale(y="independent").properties(spacing=ROOM)
