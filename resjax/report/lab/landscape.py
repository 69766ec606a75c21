"""The loss around the solution: along lines, on a plane, and how rough it is."""

from typing import Any

import altair as alt
import polars as pl

from resjax.report.charts import ROWS, Figure, arm_colour, by_setting, finish, header, only, width_of
from resjax.report.groups import Group
from resjax.report.lab.found import Found, Part
from resjax.report.lab.panels import against_first, depth_heading, number, percent
from resjax.report.lab.roughness import of_grids, of_lines
from resjax.report.lab.surfaces import PLAIN, contours, surfaces
from resjax.report.words import amount
from resjax.statistics import compare

WORDS = {"running": "running statistics", "batch": "batch statistics", "none": "no batch norm"}
LINE = ["view", "depth", "arm", "seed", "plane"]
STEEP = 30.0  # nats
MEASURES = {"climb": "climbed (% of the height)", "bent": "not convex (% of a line)", "width": "basin's width (alpha)"}
NOTE = (
    "At a step of 1 every filter has moved along a random direction as far as it is long (Li et al. 2018); biases and "
    "norms stay. Running statistics: batch norm keeps those of the solution while the weights move; batch statistics: "
    "each batch's own, as in training. Climbed is what the loss rises on the way from both rims of a slice to its "
    "lowest point, as a fraction of its height, most minus least: 0 where there is one valley. A hill is a maximum "
    "that stands out by a hundredth of the height. Not convex: points whose second difference is negative. The basin "
    "is where the loss is below the solution's + 1 nat. All of these depend on the spacing of the points."
)


def landscape(found: Found) -> Part:
    """The part of the report."""
    table = viewed(found)
    views = views_of(found, table)
    figures = [
        along(found, table, "loss", "loss (nats)"),
        along(found, table, "error", "training error (%)"),
        rough(found, table),
        contours(found, table, views),
        surfaces(found, table, views),
    ]
    sentences = [
        sentence
        for group in found.networks
        for view in views
        if (sentence := told(found.name(group), table.filter(group=group.id, view=view)))
    ]
    sentences += [
        sentence
        for one, other in against_first(found)
        for view in views
        if (sentence := compared(found, one, other, table.filter(view=view)))
    ]
    heading = "The loss around the solution"
    return Part("landscape", heading, sentences, [f for f in figures if f], f"{NOTE} {found.made_with()}")


def viewed(found: Found) -> pl.DataFrame:
    """The table with the column `view`: the statistics, and the norm and settings where there are several."""
    names = pl.col("statistics").replace_strict(WORDS)
    several = len(found.panels) > 1
    view = pl.concat_str(pl.col("panel"), names, separator=", ") if several else names
    return found.table.with_columns(view=view)


def views_of(found: Found, table: pl.DataFrame) -> list[str]:
    """The views, running statistics first, as in the paper."""
    known = table.select("panel", "statistics", "view").unique().rows()
    order = {panel: number for number, panel in enumerate(found.panels)}
    statistics = list(WORDS)
    return [view for _, _, view in sorted(known, key=lambda row: (order[row[0]], statistics.index(row[1])))]


def told(name: str, rows: pl.DataFrame) -> str | None:
    """How rough one network's slices are."""
    if rows.is_empty():
        return None
    lines, grids = of_lines(rows, LINE), of_grids(rows, LINE)
    parts = [f"{name}, {WORDS[rows['statistics'][0]]}:"]
    if len(lines):
        parts.append(f"{of_slices(lines)}.")
    if len(grids) and grids["climb"].count():
        seeds = by_seed(grids)
        parts.append(
            f"Along the rows and columns of the plane it climbs {percent(seeds['climb'])}, over "
            f"{number(seeds['hills'], '.2g')} hills (n = {len(seeds)})."
        )
    if lost := rows["loss"].null_count():
        parts.append(f"{lost} of {len(rows)} losses are not finite.")
    return " ".join(parts)


def compared(found: Found, one: Group, other: Group, rows: pl.DataFrame) -> str | None:
    """By how much one arm climbs more than the other, of the same depth: along the lines, and along the plane."""
    parts = []
    for where, slices in (("lines", of_lines), ("plane", of_grids)):
        climbs = [slices(rows.filter(group=group.id), LINE) for group in (one, other)]
        if all(len(each) and each["climb"].count() for each in climbs):
            tested = compare(*(dict(by_seed(each).select("seed", "climb").iter_rows()) for each in climbs))
            parts.append(f"along the {where} {amount(tested, 'climb')}")
    if not parts:
        return None
    statistics = WORDS[rows["statistics"][0]]
    pair = f"What {found.name(one)} climbs less what {found.name(other)} does"
    return f"{pair}, of their heights, {statistics}: {'; '.join(parts)}."


def by_seed(slices: pl.DataFrame) -> pl.DataFrame:
    """Means over the slices of each seed that have a measure."""
    known = slices.filter(pl.col("climb").is_not_null())
    return known.group_by("seed").agg(pl.col("climb", "nats", "hills", "bent", "width").mean()).sort("seed")


def of_slices(lines: pl.DataFrame) -> str:
    """The measures of a network's lines: means over its seeds, or lines where there is one seed."""
    known = lines.filter(pl.col("climb").is_not_null())
    if known.is_empty():
        return "no line has three finite losses around the solution"
    seeds = known["seed"].n_unique()
    units = by_seed(known) if seeds > 1 else known
    within = ", ± over seeds" if seeds > 1 else ", ± over lines" if len(known) > 1 else ""
    rims = known["open"].sum()
    least = f", at least: {rims} of the basins reach a rim" if rims else ""
    return (
        f"on the way down a line the loss climbs {number(100 * units['climb'], '.1f')} % of its height "
        f"({number(units['nats'], '.2g')} nats, {number(units['hills'], '.2g')} hills); it is not convex at "
        f"{number(100 * units['bent'], '.0f')} % of a line; the basin is {number(units['width'], '.2f')} wide{least} "
        f"(n = {len(known)} lines of {seeds} seed{'s' if seeds > 1 else ''}{within})"
    )


def along(found: Found, table: pl.DataFrame, quantity: str, title: str) -> Figure | None:
    """A quantity along the lines, every line thin, their median thick; each view with an axis of its own."""
    scale = 100 if quantity == "error" else 1
    rows = table.filter(kind="line").with_columns(value=pl.col(quantity) * scale)
    if not rows["value"].count():
        return None
    rows = rows.with_columns(line=pl.format("{} {}", "seed", "plane"))
    data = rows.select("view", "depth", "arm", "seed", "line", "alpha", "value").sort("view", "depth", "arm", "line")
    tips = ["arm:N", "seed:N", *(alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("alpha", "value"))]
    base = alt.Chart().encode(
        x=alt.X("alpha:Q", title="alpha", axis=alt.Axis(tickCount=5)), color=arm_colour(found.arms)
    )
    median = base.transform_aggregate(
        median="median(value)", known="valid(value)", n="count()", groupby=["view", "depth", "arm", "alpha"]
    ).transform_filter("datum.known == datum.n")

    def panels(view: str) -> alt.FacetChart:
        shape = vertical(rows.filter(view=view), quantity)
        panel = alt.layer(
            base.mark_line(strokeWidth=0.8, opacity=0.45).encode(
                y=alt.Y("value:Q", title=title, **shape), detail="line:N", tooltip=tips
            ),
            median.mark_line(strokeWidth=2.4).encode(y=alt.Y("median:Q", title=title)),
        ).properties(width=width_of(len(found.depths), 440), height=200)
        row, column = alt.Row("view:N", header=by_setting()), alt.Column("depth:O", header=depth_heading())
        return panel.facet(data=ROWS, column=column, row=row).transform_filter(only("view", view))

    how = " Where an axis begins 0, 1, 3, 10 it is as log(1 + loss)." if quantity == "loss" else ""
    caption = (
        f"{title.capitalize()} against the step alpha along random filter-normalised directions from the solution at "
        f"0: thin, every line of every seed; thick, their median, where all are finite.{how}"
    )
    chart = alt.vconcat(*map(panels, views_of(found, table)))
    heading = f"{quantity.capitalize()} along random lines"
    return finish(chart, f"landscape_{quantity}", heading, caption, data, ("view", "depth"))


def vertical(rows: pl.DataFrame, quantity: str) -> dict[str, Any]:
    """The scale and the axis; of a loss that goes higher than a linear one would show well, as log(1 + loss)."""
    if quantity == "error":
        return {"scale": alt.Scale(domain=[0, 100])}
    top = float(rows["value"].max() or 0)  # type: ignore[arg-type]
    if top <= STEEP:
        return {}
    places = [digit * 10.0**power for power in range(40) for digit in (1, 3)]
    shown = [place for place in places if place <= top]
    values = [0, *shown[:: 1 + len(shown) // 9]]
    axis = alt.Axis(values=values, tickCount=len(values), labelExpr=PLAIN)  # without the count Vega takes some away
    return {"scale": alt.Scale(type="symlog", constant=1), "axis": axis}


def rough(found: Found, table: pl.DataFrame) -> Figure | None:
    """The measures against depth, every line a dot."""
    lines = of_lines(table, LINE)
    if lines.is_empty() or not lines["climb"].count():
        return None
    lines = lines.with_columns(pl.col("climb", "bent") * 100)
    data = lines.unpivot(list(MEASURES), index=LINE, variable_name="measure")
    data = data.filter(pl.col("value").is_not_null()).with_columns(pl.col("measure").replace_strict(MEASURES))
    axis = alt.Axis(values=found.depths, format="d", grid=False)
    x = alt.X("depth:Q", title="depth (weight layers)", axis=axis, scale=alt.Scale(zero=False, padding=20))
    base = alt.Chart().encode(x=x, color=arm_colour(found.arms))
    y = alt.Y("value:Q", title=None)
    means = base.transform_aggregate(value="mean(value)", groupby=["view", "measure", "depth", "arm"])
    dots = base.mark_point(size=26, opacity=0.6).encode(y=y, tooltip=["arm:N", "depth:O", "seed:O", "value:Q"])
    top = alt.Chart().transform_aggregate(value="max(value)", groupby=["view", "measure"])
    least = f"{only('measure', MEASURES['width'])} ? 0 : 1"  # percent: so that rounding does not look like something
    top = top.transform_calculate(value=f"max(datum.value, {least})")
    top = top.mark_point(opacity=0).encode(y=y)
    panel = alt.layer(dots, means.mark_line(strokeWidth=2).encode(y=y), top).properties(width=250, height=160)
    chart = panel.facet(
        data=ROWS,
        column=alt.Column("measure:N", header=header(), sort=list(MEASURES.values())),
        row=alt.Row("view:N", header=by_setting(), sort=views_of(found, table)),
    ).resolve_scale(y="independent")
    caption = (
        "How rough the slices are, a dot a slice, lines join the means: what the loss climbs on the way down from the "
        "rims (0 for a bowl), where it is not convex, and how wide the basin is in which it is less than 1 nat above "
        "the solution's."
    )
    return finish(chart, "landscape_roughness", "Roughness of the lines", caption, data, ("view", "measure"))
