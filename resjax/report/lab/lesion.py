"""Deleted and exchanged units: error against the unit, the number deleted, the disorder."""

import altair as alt
import polars as pl

from resjax.report.charts import Figure, arm_colour, finish, width_of
from resjax.report.groups import Group
from resjax.report.lab.found import Found, Part
from resjax.report.lab.panels import depth_panels, line_with_bars, number, over_seeds, percent, whole_numbers

NOTE = (
    "A deleted unit gives what comes by its shortcut, or, where it has none, its input (every stride-th pixel, with "
    "zero channels, where the shape changes); nothing is trained anew (Veit et al. 2016). A unit counts as one that "
    "breaks the net where its deletion brings the error more than half of the way to that of a guess. Of nets whose "
    "own error is more than half of a guess's that is not said: there is little to break."
)


def lesion(found: Found) -> Part:
    """The part of the report."""
    figures = [by_unit(found), by_count(found), by_disorder(found)]
    sentences = [sentence for group in found.networks for sentence in sentences_of(found, group)]
    note = f"{NOTE} {found.made_with()}"
    return Part("lesion", "Lesions: units deleted or exchanged", sentences, [f for f in figures if f], note)


def breaks(found: Found, group: Group) -> pl.DataFrame:
    """Of each seed and deleted unit the error, that of the intact net, and whether the deletion breaks the net."""
    rows, chance = found.of(group), found.chance(group)
    intact = rows.filter(kind="intact").select("seed", intact="error")
    ones = rows.filter(kind="one").join(intact, on="seed")
    if chance is None:
        return ones.with_columns(breaks=pl.lit(None, pl.Boolean))
    halfway, learnt = (pl.col("intact") + chance) / 2, pl.col("intact") < chance / 2
    return ones.with_columns(breaks=pl.when(learnt).then(pl.col("error") > halfway))


def sentences_of(found: Found, group: Group) -> list[str]:
    """What deleting one unit does, over the seeds, and what exchanging two does."""
    ones = breaks(found, group)
    if ones.is_empty():
        return []
    n, units = ones["seed"].n_unique(), ones["unit"].n_unique()
    medians = ones.group_by("seed", maintain_order=True).agg(
        pl.col("error").median(),
        pl.col("breaks").sum(),
        pl.col("intact").first(),
        learnt=pl.col("breaks").is_not_null().any(),
    )
    means = ones.group_by("unit", "name").agg(pl.col("error").mean()).sort("error", "unit")
    worst = means.row(-1, named=True)
    text = (
        f"{found.name(group)}: with one of its {units} units deleted the test error is {percent(medians['error'])} at "
        f"the median, and {percent(medians['intact'])} intact; the worst is {worst['name']}, "
        f"{100 * worst['error']:.1f} %."
    )
    if found.chance(group) is None:
        pass  # how many classes there are is not known, and so not what a guess gets wrong
    elif not ones["breaks"].count():
        text += " It has not learnt enough to be broken."
    else:
        learnt = medians.filter(pl.col("learnt"))["breaks"]
        text += f" {number(learnt)} of {units} deletions break the net"
        changing = ones.filter(pl.col("breaks") & pl.col("changes_shape")).height
        of_these = ones.filter("breaks").height
        text += f", {changing} of these {of_these} where the shape changes." if of_these else "."
        text += f" {n - len(learnt)} of {n} seeds have not learnt enough to be broken." if len(learnt) < n else ""
    return [f"{text} (n = {n})"]


def by_unit(found: Found) -> Figure | None:
    """Error with each unit deleted."""
    rows = found.table.filter(kind="one").with_columns(value=100 * pl.col("error"))
    data = over_seeds(rows, ["panel", "depth", "arm", "unit", "name", "changes_shape"])
    intact = over_seeds(
        found.table.filter(kind="intact").with_columns(value=100 * pl.col("error")), ["panel", "depth", "arm"]
    ).rename({"value": "intact"})
    data = data.join(intact.select("panel", "depth", "arm", "intact"), on=["panel", "depth", "arm"], how="left")
    base = alt.Chart().encode(
        x=alt.X("unit:Q", title="deleted unit", axis=whole_numbers()),
        color=arm_colour(found.arms),
    )
    y = alt.Y("value:Q", title="test error (%)", scale=alt.Scale(domain=[0, 100]))
    shape = alt.Shape(
        "changes_shape:N",
        title="changes the shape",
        scale=alt.Scale(domain=[False, True], range=["circle", "diamond"]),
        legend=alt.Legend(symbolType="circle"),
    )
    tips = ["arm:N", "name:N", *(alt.Tooltip(f"{c}:Q", format=".3~g") for c in ("value", "low", "high")), "n:Q"]
    dots = base.mark_point(filled=True, size=44, opacity=1).encode(y=y, shape=shape, tooltip=tips)
    panel = alt.layer(
        alt.Chart()
        .mark_rule(strokeDash=[4, 3], strokeWidth=1)
        .encode(y="mean(intact):Q", color=arm_colour(found.arms)),
        base.mark_line(strokeWidth=1.2).encode(y=y),
        base.mark_rule(strokeWidth=1.2).encode(y=alt.Y("low:Q"), y2="high:Q"),
        dots,
    ).properties(width=width_of(len(found.depths), 440), height=220)
    chart = depth_panels(panel, "panel", found.panels)
    caption = (
        "Test error with one unit deleted, against the unit, from the images on; dashed: the intact net. Diamonds are "
        "units that change the shape. Means over the seeds, bars from least to largest (Veit et al. 2016, fig. 3)."
    )
    chart = chart.resolve_scale(x="independent")
    return finish(chart, "lesion_by_unit", "Error with one unit deleted", caption, data, ("panel", "depth"))


def by_count(found: Found) -> Figure | None:
    """Error against the number of deleted units."""
    several = found.table.filter(pl.col("kind").is_in(["intact", "one", "many"]))
    caption = (
        "Test error against the number of units deleted at once, at random: the mean over seeds and random choices, "
        "bars from the 10th to the 90th percentile (Veit et al. 2016, fig. 5a); one: every unit once."
    )
    return spread_of_draws(
        found, several, "count", "units deleted", "lesion_by_count", "Units deleted together", caption
    )


def by_disorder(found: Found) -> Figure | None:
    """Error against Kendall's tau of the new order."""
    intact = found.table.filter(kind="intact").with_columns(tau=pl.lit(1.0))
    rows = pl.concat([intact, found.table.filter(kind="exchanged")])
    rows = rows.with_columns(tau=(pl.col("tau") * 20).floor() / 20)
    caption = (
        "Test error against Kendall's rank correlation of the new order of the units with the old one, in steps of "
        "0.05, rounded down: 1 is the order of training. Equal units change places; the mean over seeds and draws, "
        "bars from the 10th to the 90th percentile (Veit et al. 2016, fig. 5b)."
    )
    return spread_of_draws(found, rows, "tau", "Kendall's tau", "lesion_by_disorder", "Units exchanged", caption)


def spread_of_draws(
    found: Found, rows: pl.DataFrame, x: str, title: str, name: str, heading: str, caption: str
) -> Figure | None:
    """Error against x, a panel a depth."""
    if rows[x].n_unique() < 2:
        return None
    error = 100 * pl.col("error")
    by = ["panel", "depth", "arm", x]
    data = rows.group_by(by).agg(
        error.mean().alias("value"),
        error.quantile(0.1).alias("low"),
        error.quantile(0.9).alias("high"),
        pl.len().alias("n"),
    )
    data = data.sort(by)
    base = alt.Chart().encode(
        x=alt.X(
            f"{x}:Q",
            title=title,
            scale=alt.Scale(zero=x == "count", reverse=x == "tau"),
            axis=whole_numbers() if x == "count" else alt.Axis(),
        ),
        color=arm_colour(found.arms),
    )
    y = alt.Y("value:Q", title="test error (%)", scale=alt.Scale(domain=[0, 100]))
    tips = ["arm:N", "depth:O", *(alt.Tooltip(f"{c}:Q", format=".3~g") for c in (x, "value", "low", "high")), "n:Q"]
    panel = line_with_bars(base, y, tips).properties(width=width_of(len(found.depths), 440), height=200)
    chart = depth_panels(panel, "panel", found.panels)
    chart = chart.resolve_scale(x="independent")
    return finish(chart, name, heading, caption, data, ("panel", "depth"))
