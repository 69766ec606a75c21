"""The figures of gradients: against the layer at a few steps, and as a map of layer and step."""

import math
from typing import Any

import altair as alt
import polars as pl

from resjax.report import series
from resjax.report.charts import ROWS, Figure, arm_colour, finish, header, only, powers, width_of
from resjax.report.groups import END, Pool
from resjax.report.series import LAYERS, THEORY, UNITS, VARIANCES

PROBED = {
    VARIANCES: ("Forward variance by unit", "Var(h)", "unit"),
    UNITS: ("Activation gradient by unit", "|dL/dh|", "unit"),
    LAYERS: ("Weight gradient by layer", "|dL/dw|", "weight layer"),
}
NAMES = {UNITS: "gradient_by_unit", LAYERS: "gradient_by_layer", VARIANCES: "variance_by_unit"}
FLOW = (
    "Read from right to left, as the gradient flows: a line that climbs towards the input (left) explodes, one that "
    "falls vanishes; whether a level one is small as a whole is the level in the table above. "
)
FORWARD = "Over batch and space, a channel on its own, mean over channels: what batch norm divides by. "
OVERLAY = (
    " Dashed, at step 0: what mean-field theory expects, a gradient's line drawn through the last unit's measured one."
)


def gradients(pool: Pool, quantity: str) -> Figure | None:
    """A quantity against the layer on a log axis, one panel a step and depth, the arms over one another.

    With the theory's line at step 0, where there is one.
    """
    data = series.gradients(pool, quantity, ["0", END] if quantity == VARIANCES else None)
    if data.is_empty():
        return None
    title, _, what = PROBED[quantity]
    parts = [_gradient_panels(pool, data.filter(panel=panel), quantity, panel) for panel in pool.panels]
    zeros = series.left_out(pool, quantity)
    caption = (FORWARD if quantity == VARIANCES else FLOW) + (
        f"Columns are steps, rows depths; geometric mean over seeds, band from the least to the largest; 0 is the "
        f"{what} nearest the input, 1 the last; the depths of a norm share an axis."
    )
    if quantity == LAYERS:
        caption += " A weight gradient also follows its layer's width and norm: for the flow, trust the figure above."
    caption += f" {zeros} values of exactly zero cannot stand on a log axis and are left out." if zeros else ""
    caption += series.thinned(pool)
    caption += OVERLAY if data["theory"].count() else ""
    chart = alt.vconcat(*[part for part in parts if part is not None])
    return finish(chart, NAMES[quantity], title, caption, data, ("panel", "depth", "moment"))


def in_time(data: pl.DataFrame) -> list[str]:
    """The moments, what is expected first, the end last."""
    places = {THEORY: -1.0, END: math.inf}
    return sorted(set(data["moment"]), key=lambda moment: places[moment] if moment in places else int(moment))


def _gradient_panels(pool: Pool, data: pl.DataFrame, quantity: str, panel: str) -> Any | None:
    """One norm: a row of panels a depth."""
    if data.is_empty():
        return None
    shown = in_time(data)
    position = alt.X(
        "position:Q",
        title=f"{PROBED[quantity][2].split()[-1]}, input to output",
        axis=alt.Axis(values=[0, 0.5, 1]),
        scale=alt.Scale(domain=[0, 1], nice=False),
    )
    labels = powers(data)
    scale = alt.Scale(type="log", nice=bool(labels))
    y = alt.Y("value:Q", title=PROBED[quantity][1], scale=scale, axis=alt.Axis(**labels))
    base = alt.Chart().encode(x=position, color=arm_colour(pool.arms))
    tips = [alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("value", "low", "high")]
    tips += [alt.Tooltip("theory:Q", format=".3~g")] if data["theory"].count() else []
    names = ["arm:N", "depth:O", alt.Tooltip("moment:N", title="step"), "layer:O", "name:N"]
    band = base.mark_area(opacity=0.2, aria=False).encode(y=alt.Y("low:Q"), y2="high:Q")
    line = base.mark_line(strokeWidth=2, aria=False).encode(y=y)
    dots = base.mark_point(filled=True, size=9, opacity=1, aria=False).encode(y=y, tooltip=[*names, *tips, "n:Q"])
    theory = base.transform_filter("isValid(datum.theory)").mark_line(strokeWidth=1.6, strokeDash=[5, 3], aria=False)
    overlay = [theory.encode(y="theory:Q")] if data["theory"].count() else []
    layered = alt.layer(band, line, dots, *overlay).properties(width=width_of(len(shown), 300), height=104)
    heading = f"datum.value === '{END}' ? datum.value : 'step ' + datum.value"
    panels = layered.facet(
        data=ROWS,
        column=alt.Column("moment:N", header=header(labelExpr=heading), sort=shown),
        row=alt.Row("depth:O", header=header(labelExpr="'depth ' + datum.value", labelPadding=4)),
    )
    return panels.transform_filter(only("panel", panel)).properties(title=panel)


def heat_map(pool: Pool) -> Figure | None:
    """Layer against step, the colour is the weight gradient's norm."""
    data = series.heat_map(pool)
    if data.is_empty():
        return None
    parts = [_heat_panels(pool, data.filter(panel=panel), panel) for panel in pool.panels]
    chart = alt.vconcat(*[part for part in parts if part is not None]).resolve_scale(
        color="independent", stroke="independent"
    )
    caption = (
        "One row of cells is a weight layer (0 is nearest the input, at the top), one column a probed step; the colour "
        "is the norm of its gradient, geometric mean over seeds, on one log scale a norm. Change from top to bottom is "
        "change across depth, change from left to right is change in training."
    )
    if THEORY in data["moment"]:
        caption += " The first column is what theory expects of step 0, through the last unit's measured |dL/dh|."
    zeros = series.left_out(pool, LAYERS)
    caption += f" {zeros} values of exactly zero are left out." if zeros else ""
    caption += series.thinned(pool)
    grid, first = ("panel", "arm", "depth"), in_time(data)[0]
    return finish(chart, "gradient_heat_map", "Gradient by layer and step", caption, data, grid, moment=first)


def _heat_panels(pool: Pool, data: pl.DataFrame, panel: str) -> Any | None:
    """One norm: arms in rows, depths in columns."""
    if data.is_empty():
        return None
    order = in_time(data)
    depths = sorted(set(data["depth"]))
    labels = powers(data)
    scale = alt.Scale(type="log", scheme="viridis")
    colour = alt.Color("value:Q", title="|dL/dw|", scale=scale, legend=alt.Legend(**labels))
    tips = [alt.Tooltip("value:Q", format=".3~g"), "n:Q", alt.Tooltip("moment:N", title="step"), "layer:O", "name:N"]
    seam = alt.Stroke("value:Q", scale=scale, legend=None)  # or the paper shows between the cells
    cells = alt.Chart().mark_rect(aria=False, strokeWidth=1)
    cells = cells.encode(
        x=alt.X("moment:O", title="step", sort=order, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("layer:O", title="weight layer", axis=alt.Axis(labelOverlap="greedy", ticks=False)),
        color=colour,
        stroke=seam,
        tooltip=["arm:N", "depth:O", *tips],
    )
    panels = cells.properties(width=width_of(len(depths), 230, each=52), height=190).facet(
        data=ROWS,
        column=alt.Column("depth:O", header=header(labelExpr="'depth ' + datum.value")),
        row=alt.Row("arm:N", header=header(), sort=pool.arms),
    )
    return panels.transform_filter(only("panel", panel)).resolve_scale(y="independent").properties(title=panel)
