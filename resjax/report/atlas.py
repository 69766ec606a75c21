"""The figures of the gradient atlas that look across steps and depths, and the responses of trained nets."""

from typing import Any

import altair as alt
import polars as pl

from resjax.classes import RATIO
from resjax.report import trends
from resjax.report.charts import ROWS, Figure, arm_colour, depth_colour, finish, header, hover, only, powers, width_of
from resjax.report.gradients import in_time
from resjax.report.groups import END, Pool
from resjax.report.health import Health
from resjax.report.theme import GREY

LOG = alt.Scale(type="log", nice=False)
THEORY = " Diamonds: what mean-field theory expects of step 0."
INTERVAL = "geometric mean over seeds with its 95 % interval"


def rate_by_step(pool: Pool) -> Figure | None:
    """The growth rate against the step: a panel a norm and arm, the depths in colours."""
    data = trends.rates(pool)
    if data.is_empty():
        return None
    axis = alt.Axis(values=_decades(data), format="~s", labelOverlap="greedy")
    x = alt.X("step:Q", title="step", scale=alt.Scale(type="symlog", constant=1), axis=axis)
    base = alt.Chart().encode(x=x, color=depth_colour(sorted(set(data["depth"]))))
    y = alt.Y("value:Q", title="growth a weight layer", scale=alt.Scale(zero=False))
    tips = [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("value", "low", "high", "theory")]
    names = ["arm:N", "depth:O", "moment:N", "n:Q"]
    marks = [*_measured(base, y, [*names, *tips]), *_expected(base, data, [*names, *tips]), _rule(1.0)]
    panel = alt.layer(*marks).properties(width=width_of(len(pool.arms), 440), height=190)
    chart = _by_norm(pool, panel, alt.Column("arm:N", header=header(), sort=pool.arms))
    caption = (
        f"|dL/dh| from one weight layer to the one before, a straight line through the logarithms within each stage; "
        f"above 1 (grey) gradients grow towards the input, below they shrink; {INTERVAL}. An explosion at step 0 that "
        f"training undoes is a line that comes down to 1."
    )
    caption += THEORY if data["theory"].count() else ""
    return finish(chart, "rate_by_step", "Growth rate against step", caption, data)


def ratio_by_depth(pool: Pool, health: list[Health]) -> Figure | None:
    """First over last against the depth: a panel a norm and step, the arms in colours."""
    data = trends.ratios(health)
    if data.is_empty():
        return None
    depths, shown = sorted(set(data["depth"])), in_time(data)
    axis = alt.Axis(values=depths, format="d", grid=False)
    x = alt.X("depth:Q", title="depth (weight layers)", axis=axis, scale=alt.Scale(zero=False, padding=14))
    y = alt.Y("value:Q", title="|dL/dh|, first / last", scale=LOG, axis=alt.Axis(**powers(data)))
    base = alt.Chart().encode(x=x, color=arm_colour(pool.arms))
    tips = [alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("value", "low", "high", "theory")]
    names = ["arm:N", "depth:O", alt.Tooltip("moment:N", title="step"), "n:Q"]
    limits = [_rule(RATIO), _rule(1 / RATIO)]
    marks = [*_measured(base, y, [*names, *tips]), *_expected(base, data, [*names, *tips]), *limits]
    panel = alt.layer(*marks).properties(width=width_of(len(shown), 300), height=150)
    heading = f"datum.value === '{END}' ? datum.value : 'step ' + datum.value"
    chart = _by_norm(pool, panel, alt.Column("moment:N", header=header(labelExpr=heading), sort=shown))
    caption = (
        f"The norm of the gradient at the unit nearest the input over that at the last; {INTERVAL}; grey lines are the "
        f"rule's thresholds, {RATIO:g} and 1/{RATIO:g}."
    )
    caption += THEORY if data["theory"].count() else ""
    return finish(chart, "ratio_by_depth", "First over last gradient against depth", caption, data)


def response_std(pool: Pool) -> Figure | None:
    """The responses of trained nets by layer, in order and sorted: a row a norm, the arms in colours."""
    data = trends.responses(pool)
    if data.is_empty():
        return None
    long = pl.concat(
        [
            data.with_columns(place=pl.col("layer_depth").cast(pl.Int64), order=pl.lit("in forward order")),
            data.with_columns(place=pl.col("rank").cast(pl.Int64), order=pl.lit("sorted by size")),
        ]
    ).drop("layer_depth", "rank")
    base = alt.Chart().encode(
        x=alt.X("place:Q", title="weight layer", axis=alt.Axis(tickMinStep=1)),
        color=arm_colour(pool.arms),
        detail="depth:N",
        strokeDash=alt.StrokeDash("depth:O", title="depth", legend=alt.Legend(symbolType="stroke")),
    )
    y = alt.Y("value:Q", title="std of the response", scale=LOG, axis=alt.Axis(**powers(data)))
    tips = [alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("value", "low", "high")]
    line = base.mark_line(strokeWidth=1.6).encode(y=y)
    points = hover(base, y=y, tooltip=["arm:N", "depth:O", "name:N", *tips, "n:Q"])
    panel = alt.layer(line, points).properties(width=width_of(2, 440), height=190)
    chart = _by_norm(pool, panel, alt.Column("order:N", header=header()))
    caption = (
        "Standard deviation, over batch, space and channels, of each weight layer's output behind its norm, before the "
        "activation or the addition, of the nets at the end of training; geometric mean over seeds (He et al. 2015, "
        "fig. 7, where residual nets lie below plain ones, and deeper ones lower still)."
    )
    return finish(chart, "response_std", "Responses of the trained nets", caption, long)


def _by_norm(pool: Pool, panel: Any, column: Any) -> Any:
    """A row of panels a norm, each row with an axis of its own."""
    rows = [
        panel.facet(data=ROWS, column=column).transform_filter(only("panel", name)).properties(title=name)
        for name in pool.panels
    ]
    return alt.vconcat(*rows)


def _measured(base: Any, y: Any, tips: list[Any]) -> list[Any]:
    """A line through means, with bars for intervals."""
    line = base.mark_line(strokeWidth=2).encode(y=y)
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.4).encode(y="low:Q", y2="high:Q")
    return [bars, line, base.mark_point(filled=True, size=34, opacity=1).encode(y=y, tooltip=tips)]


def _expected(base: Any, data: pl.DataFrame, tips: list[Any]) -> list[Any]:
    """A diamond for what theory says, where it does."""
    if not data["theory"].count():
        return []
    known = base.transform_filter("isValid(datum.theory)")
    return [
        known.mark_point(shape="diamond", size=110, strokeWidth=1.8, filled=False).encode(y="theory:Q", tooltip=tips)
    ]


def _rule(value: float) -> Any:
    """A thin horizontal line."""
    return alt.Chart().mark_rule(strokeWidth=1, color=GREY, strokeDash=[2, 2]).encode(y=alt.datum(value))


def _decades(data: pl.DataFrame) -> list[int]:
    """Ticks of a step axis: 0 and the powers of ten that are there."""
    largest = max(data["step"].to_list())
    return [0, *(10**power for power in range(9) if 10**power <= max(largest, 1))]
