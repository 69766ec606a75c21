"""A plane of losses drawn two ways: its contour lines, and a surface of wires seen from above its front edge."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import altair as alt
import contourpy
import numpy as np
import polars as pl

from resjax.report.charts import LEGEND, Figure, finish, only, width_of
from resjax.report.lab.found import Found
from resjax.report.lab.panels import depth_panels
from resjax.report.lab.roughness import Numbers, square

LEVELS = 9  # at most
RECEDES, RISES = 0.45, 0.4  # a step of beta goes so far to the right and up
HEIGHT = 1.6  # of the highest point of a surface
SCHEME = alt.SchemeParams(name="viridis", extent=[0.05, 0.88])  # without what is hard to see on white or black
PLAIN = "datum.value < 10000 ? '' + datum.value : format(datum.value, '.0e')"
MARKS = (0, 1, 3, 10, 30, 100, 1e3, 1e4, 1e6, 1e9)  # of a legend
GRID = ("view", "row", "depth")
ROUND = ((1, 2, 5), (1, 3), (1,))


def contours(found: Found, table: pl.DataFrame, views: list[str]) -> Figure | None:
    """Contour lines on the plane of two random directions, at levels that all networks of a view share."""
    planes = table.filter(kind="grid")
    levels = {view: chosen for view in views if (chosen := levels_of(planes.filter(view=view)))}
    if not levels:
        return None

    def lines(view: str, places: Numbers, grid: Numbers) -> Iterator[dict[str, Any]]:
        maker = contourpy.contour_generator(places, places, np.ma.masked_invalid(grid), line_type="Separate")
        for level in levels[view]:
            for number, line in enumerate(maker.lines(level)):
                for order, (alpha, beta) in enumerate(np.asarray(line)):
                    yield {"level": level, "line": f"{level} {number}", "order": order, "alpha": alpha, "beta": beta}

    data = drawn(planes.filter(pl.col("view").is_in(list(levels))), lines)
    if data.is_empty():  # no cell of the grid has four finite losses
        return None
    reach = float(planes["alpha"].max())  # type: ignore[arg-type]
    sides: dict[str, Any] = {"scale": alt.Scale(domain=[-reach, reach], nice=False), "axis": alt.Axis(tickCount=5)}
    base = alt.Chart().encode(x=alt.X("alpha:Q", title="alpha", **sides), y=alt.Y("beta:Q", title="beta", **sides))
    solution = alt.Chart().mark_point(shape="cross", size=50, filled=True, color="#d55e00")
    solution = solution.transform_aggregate(n="count()", groupby=["row", "depth"])
    solution = solution.transform_calculate(zero="0").encode(x="zero:Q", y="zero:Q")

    def panel(view: str) -> Any:
        scale = alt.Scale(domain=levels[view], scheme=SCHEME)
        legend = alt.Legend(**LEGEND.to_dict(), labelExpr=PLAIN)
        colour = alt.Color("level:O", title="loss (nats)", legend=legend, scale=scale)
        curves = base.mark_line(strokeWidth=1.6, interpolate="linear")
        tips = ["arm:N", "level:O"]
        return alt.layer(curves.encode(color=colour, detail="line:N", order="order:Q", tooltip=tips), solution)

    chart = in_panels(found, data, {view: panel(view) for view in levels}, 210)
    caption = (
        "Contour lines of the loss on the plane of two random filter-normalised directions, around the solution at "
        f"the cross, at the same levels for all networks of one {what_is_shared(found)}; {whose(data)} Rings around "
        "other places than the cross are other valleys, or hills. No line where the loss is not finite."
    )
    return finish(chart, "landscape_contours", "Contours of the loss", caption, data, GRID)


def surfaces(found: Found, table: pl.DataFrame, views: list[str]) -> Figure | None:
    """The same as a surface of wires, log(1 + loss) high, at a scale that all networks of a view share."""
    planes = table.filter(kind="grid")
    tops = dict(planes.group_by("view").agg(pl.col("loss").max()).filter(pl.col("loss") > 0).iter_rows())
    if not tops:
        return None

    def wires(view: str, places: Numbers, grid: Numbers) -> Iterator[dict[str, Any]]:
        alpha, beta = np.meshgrid(places / places[-1], places / places[-1])
        x, y = alpha + RECEDES * beta, RISES * beta + HEIGHT * np.log1p(grid) / math.log1p(tops[view])
        for one, other in segments(len(places)):
            loss = (grid[one] + grid[other]) / 2
            if math.isfinite(loss):
                yield {"x": x[one], "y": y[one], "x2": x[other], "y2": y[other], "loss": loss}

    data = drawn(planes.filter(pl.col("view").is_in(list(tops))), wires)
    if data.is_empty():
        return None

    def panel(view: str) -> Any:
        shown = [mark for mark in MARKS if mark <= tops[view]]
        scale = alt.Scale(type="symlog", constant=1, scheme=SCHEME, domain=[0, tops[view]])
        legend = alt.Legend(values=shown, labelExpr=PLAIN)
        return (
            alt.Chart()
            .mark_rule(strokeWidth=1.3, aria=False)
            .encode(
                x=alt.X("x:Q", axis=None, scale=alt.Scale(nice=False)),
                y=alt.Y("y:Q", axis=None, scale=alt.Scale(nice=False, zero=False)),
                x2="x2:Q",
                y2="y2:Q",
                color=alt.Color("loss:Q", title="loss (nats)", scale=scale, legend=legend),
            )
        )

    there = set(data["view"])
    chart = in_panels(found, data, {view: panel(view) for view in views if view in there}, 300)
    caption = (
        "The same plane as a surface: alpha goes to the right, beta to the back, and the height is log(1 + loss), at "
        f"one scale for all networks of one {what_is_shared(found)}; {whose(data)} Wires are left out where the loss "
        "is not finite."
    )
    return finish(chart, "landscape_surfaces", "The loss as a surface", caption, data, GRID)


def segments(side: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Neighbours on a grid, (beta, alpha), from the back to the front."""
    for back in reversed(range(side)):
        yield from (((back, place), (back, place + 1)) for place in range(side - 1))
        yield from (((back, place), (back - 1, place)) for place in range(side) if back)


def drawn(planes: pl.DataFrame, shapes: Callable[[str, Numbers, Numbers], Iterable[dict[str, Any]]]) -> pl.DataFrame:
    """What `shapes(view, places, grid)` gives of the first seed's plane of every network, in rows of panels."""
    found = list[dict[str, Any]]()
    for key, rows in planes.group_by("view", "arm", "depth", maintain_order=True):
        names = dict(zip(("view", "arm", "depth"), key, strict=True))
        first = rows.filter(seed=rows["seed"].min())
        front = names | {"row": f"{names['arm']}, {names['view']}", "seed": first["seed"][0]}
        found += [front | shape for shape in shapes(names["view"], *square(first))]
    return pl.DataFrame(found, infer_schema_length=None)


def in_panels(found: Found, data: pl.DataFrame, panels: dict[str, Any], most: int) -> Any:
    """Block on block the views, with scales of their own; in each a row an arm, a column a depth.

    panels: by view. most: pixels, wide and high.
    """
    width = width_of(len(found.depths), most)

    def block(view: str, panel: Any) -> Any:
        there = set(data["row"])
        rows = [name for arm in found.arms if (name := f"{arm}, {view}") in there]
        sized = panel.properties(width=width, height=min(width, 230))
        facets = depth_panels(sized, "row", rows)
        return facets.transform_filter(only("view", view))

    blocks = [block(view, panel) for view, panel in panels.items()]
    return alt.vconcat(*blocks).resolve_scale(color="independent")


def what_is_shared(found: Found) -> str:
    """What the networks of a block of panels have in common."""
    return "panel and kind of statistics" if len(found.panels) > 1 else "kind of statistics"


def whose(data: pl.DataFrame) -> str:
    """Which seeds are drawn."""
    seeds = sorted(set(data["seed"]))
    return f"seed {seeds[0]}." if len(seeds) == 1 else "the first seed of each network."


def levels_of(planes: pl.DataFrame) -> list[float]:
    """At most LEVELS round numbers between the least and the largest loss, about evenly in its logarithm."""
    values = planes.filter(pl.col("loss") > 0)["loss"]
    if not values.count():
        return []
    low, high = (float(value) for value in (values.min(), values.max()))  # type: ignore[arg-type]
    powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    for digits in ROUND:
        there = [value for power in powers for digit in digits if low < (value := float(f"{digit}e{power}")) < high]
        if len(there) <= LEVELS:
            return there
    return there[:: -(-len(there) // LEVELS)]
