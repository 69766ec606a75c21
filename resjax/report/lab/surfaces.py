"""A plane of losses drawn two ways: its contour lines, and a surface of wires seen from above its front edge."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import altair as alt
import contourpy
import numpy as np
import polars as pl

from resjax.report.charts import LEGEND, ROWS, Figure, by_setting, finish, width_of
from resjax.report.lab.found import Found
from resjax.report.lab.panels import depth_heading
from resjax.report.lab.roughness import Numbers, square

LEVELS = 9  # at most
RECEDES, RISES, HEIGHT = (
    0.45,
    0.4,
    1.6,
)  # a step of beta goes so far to the right and up; the highest point of a surface
SCHEME = alt.SchemeParams(name="viridis", extent=[0.05, 0.88])  # without what is hard to see on white or black
PLAIN = "datum.value < 10000 ? '' + datum.value : format(datum.value, '.0e')"
ROUND = ((1, 2, 5), (1, 3), (1,))


def contours(found: Found, table: pl.DataFrame, views: list[str]) -> Figure | None:
    """Contour lines on the plane of two random directions, at the same levels for every network."""
    planes = table.filter(kind="grid")
    if not (levels := levels_of(planes)):
        return None

    def lines(places: Numbers, grid: Numbers) -> Iterator[dict[str, Any]]:
        maker = contourpy.contour_generator(places, places, np.ma.masked_invalid(grid), line_type="Separate")
        for level in levels:
            for number, line in enumerate(maker.lines(level)):
                for order, (alpha, beta) in enumerate(np.asarray(line)):
                    yield {"level": level, "line": f"{level} {number}", "order": order, "alpha": alpha, "beta": beta}

    data = drawn(planes, lines)
    colour = alt.Color("level:O", title="loss (nats)", legend=LEGEND, scale=alt.Scale(domain=levels, scheme=SCHEME))
    reach = float(planes["alpha"].max())  # type: ignore[arg-type]
    sides: dict[str, Any] = {"scale": alt.Scale(domain=[-reach, reach], nice=False), "axis": alt.Axis(tickCount=5)}
    base = alt.Chart().encode(x=alt.X("alpha:Q", title="alpha", **sides), y=alt.Y("beta:Q", title="beta", **sides))
    curves = base.mark_line(strokeWidth=1.6, interpolate="linear").encode(
        color=colour, detail="line:N", order="order:Q", tooltip=["arm:N", "level:O"]
    )
    solution = alt.Chart().mark_point(shape="cross", size=50, filled=True, color="#d55e00")
    solution = solution.transform_aggregate(n="count()", groupby=["row", "depth"])
    solution = solution.transform_calculate(zero="0").encode(x="zero:Q", y="zero:Q")
    chart = in_panels(found, data, views, alt.layer(curves, solution), 210)
    caption = (
        "Contour lines of the loss on the plane of two random filter-normalised directions, around the solution at "
        f"the cross: levels {', '.join(f'{level:g}' for level in levels)} nats, the same in every panel; {whose(data)} "
        "Rings around other places than the cross are other valleys, or hills. No line where the loss is not finite."
    )
    return finish(chart, "landscape_contours", "Contours of the loss", caption, data, ("row", "depth"))


def surfaces(found: Found, table: pl.DataFrame, views: list[str]) -> Figure | None:
    """The same as a surface of wires, log(1 + loss) high, at one scale for every network."""
    planes = table.filter(kind="grid")
    most = planes.select(pl.col("loss").max()).item()
    if not most:
        return None

    def wires(places: Numbers, grid: Numbers) -> Iterator[dict[str, Any]]:
        alpha, beta = np.meshgrid(places, places)
        reach = places[-1]
        x, y = alpha / reach + RECEDES * beta / reach, RISES * beta / reach + HEIGHT * np.log1p(grid) / math.log1p(most)
        for one, other in segments(len(places)):
            loss = (grid[one] + grid[other]) / 2
            if math.isfinite(loss):
                yield {"x": x[one], "y": y[one], "x2": x[other], "y2": y[other], "loss": loss}

    data = drawn(planes, wires)
    if data.is_empty():
        return None
    scale = alt.Scale(type="symlog", constant=1, scheme=SCHEME)
    marks = [place for place in (0, 1, 3, 10, 30, 100, 1000, 10000, 1e6, 1e9) if place <= most]
    colour = alt.Color("loss:Q", title="loss (nats)", scale=scale, legend=alt.Legend(values=marks, labelExpr=PLAIN))
    base = alt.Chart().mark_rule(strokeWidth=1.3)
    panel = base.encode(
        x=alt.X("x:Q", axis=None, scale=alt.Scale(nice=False)),
        y=alt.Y("y:Q", axis=None, scale=alt.Scale(nice=False, zero=False)),
        x2="x2:Q",
        y2="y2:Q",
        color=colour,
    )
    chart = in_panels(found, data, views, panel, 300)
    caption = (
        "The same plane as a surface: alpha goes to the right, beta to the back, and the height is log(1 + loss), at "
        f"one scale for all panels; {whose(data)} Wires are left out where the loss is not finite."
    )
    return finish(chart, "landscape_surfaces", "The loss as a surface", caption, data, ("row", "depth"))


def segments(side: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Neighbours on a grid, (beta, alpha), from the back to the front."""
    for back in reversed(range(side)):
        yield from (((back, place), (back, place + 1)) for place in range(side - 1))
        yield from (((back, place), (back - 1, place)) for place in range(side) if back)


def drawn(planes: pl.DataFrame, shapes: Callable[[Numbers, Numbers], Iterable[dict[str, Any]]]) -> pl.DataFrame:
    """What `shapes(places, grid)` gives of the first seed's plane of every network, in rows of panels."""
    found = list[dict[str, Any]]()
    for key, rows in planes.group_by("view", "arm", "depth", maintain_order=True):
        names = dict(zip(("view", "arm", "depth"), key, strict=True))
        first = rows.filter(seed=rows["seed"].min())
        front = names | {"row": f"{names['arm']}, {names['view']}", "seed": first["seed"][0]}
        found += [front | shape for shape in shapes(*square(first))]
    return pl.DataFrame(found, infer_schema_length=None)


def in_panels(found: Found, data: pl.DataFrame, views: list[str], panel: Any, most: int) -> Any:
    """A row an arm and a view, a column a depth. most: pixels, wide and high."""
    there = set(data["row"])
    rows = [name for view in views for arm in found.arms if (name := f"{arm}, {view}") in there]
    width = width_of(len(found.depths), most)
    return panel.properties(width=width, height=min(width, 230)).facet(
        data=ROWS,
        column=alt.Column("depth:O", header=depth_heading()),
        row=alt.Row("row:N", header=by_setting(), sort=rows),
    )


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
