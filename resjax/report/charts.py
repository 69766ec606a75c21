"""What the figures have in common: their form, their colours, their axes."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from resjax.report.series import significant

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
WIDTH = 960  # pixels shared by a figure's columns
CATEGORIES = 8  # as many as the theme has colours
ROWS = alt.NamedData(name="rows")  # added by `finish`: altair would check every value of inline data
LEGEND = alt.Legend(symbolType="stroke", symbolOpacity=1, symbolSize=220)
HOVER = "hover"
LABELS = 7  # on a log axis
POWER = "datum.value == 1 ? '1' : '1e' + round(log(datum.value) / LN10)"


@dataclass(frozen=True)
class Figure:
    """A figure: its file's name, what to call it, how to read it, its specification and the data behind it."""

    name: str
    title: str
    caption: str
    spec: dict[str, Any]
    data: pl.DataFrame


def finish(
    chart: Any, name: str, title: str, caption: str, data: pl.DataFrame, grid: Sequence[str] = (), **empty: Any
) -> Figure:
    """A figure of a chart; colours and type come from the theme alone. grid and empty: see `every_cell`."""
    spec = chart.to_dict(validate=False)  # which takes longer than all else; tests do it
    spec.pop("config", None)
    rows = significant(every_cell(data, *grid, **empty) if grid else data)
    inside: dict[str, Any] = {"description": f"{title}. {caption}", "datasets": {"rows": rows}}
    if grid:  # for the page's filters, which take rows away
        inside["usermeta"] = {"grid": list(grid), "empty": empty}
    return Figure(name, title, caption, spec | inside, data)


def hover(base: Any, **encoding: Any) -> Any:
    """Points that only tell their values: under a pointer a line knows its first point alone.

    `still` takes them away where there is no pointer.
    """
    return base.mark_point(filled=True, size=70, opacity=0, aria=False).encode(**encoding).properties(description=HOVER)


def still(spec: Any) -> Any:
    """The specification without `hover`, for pictures."""
    if isinstance(spec, list):
        return [still(part) for part in spec if not (isinstance(part, dict) and part.get("description") == HOVER)]
    if isinstance(spec, dict):
        return {key: part if key == "datasets" else still(part) for key, part in spec.items()}
    return spec


def every_cell(data: pl.DataFrame, *grid: str, **empty: Any) -> pl.DataFrame:
    """With an empty row for each panel that a grid of rows and columns lacks, without which Vega moves the panels that
    come after it one place up, under headings that are not theirs.

    grid: the columns of what is a grid of its own, if any, then those of its rows and columns. empty: what other
    columns say in an empty row, where nothing would be a category of its own. A filter of the values would take the
    empty rows away again, as Vega-Lite filters before it makes panels.
    """
    *within, row, column = grid
    rows, columns = data.select(*within, row).unique(), data.select(*within, column).unique()
    cells = rows.join(columns, on=within) if within else rows.join(columns, how="cross")
    missing = cells.join(data, on=[*within, row, column], how="anti").sort(*within, row, column)
    return pl.concat(
        [data, missing.with_columns(**{name: pl.lit(is_) for name, is_ in empty.items()})], how="diagonal_relaxed"
    )


def only(column: str, value: str) -> str:
    """A filter's expression."""
    return f"datum.{column} === {json.dumps(value, allow_nan=False)}"


def width_of(columns: int, most: int, each: int = 14) -> int:
    """Pixels of one of so many panels side by side; each: what stands between two."""
    return max(120, min(most, WIDTH // max(columns, 1) - each))


def header(**settings: Any) -> Any:
    """A panel's heading, without the column's name."""
    return alt.Header(title=None, **settings)


def by_setting(**settings: Any) -> Any:
    """The heading of a row or column of panels that names a norm and its settings, one a line."""
    return header(labelExpr="split(datum.value, ', ')", **settings)


def arm_colour(arms: Sequence[str]) -> Any:
    """One colour an arm, in this order."""
    return alt.Color("arm:N", title="arm", legend=LEGEND, scale=alt.Scale(domain=list(arms)))


def depth_colour(depths: list[int]) -> Any:
    """One colour a depth; a ramp where there are more depths than colours."""
    scale: dict[str, Any] = {} if len(depths) <= CATEGORIES else {"scheme": "viridis"}
    return alt.Color("depth:N", title="depth (weight layers)", legend=LEGEND, scale=alt.Scale(domain=depths, **scale))


def powers(data: pl.DataFrame) -> dict[str, Any]:
    """Ticks at powers of ten only, for an axis or a legend, where positive values span enough of them."""
    values = data.filter(pl.col("value") > 0)["value"].to_list()
    if not values or max(values) < 30 * min(values):
        return {}
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return {"values": [10.0**power for power in range(low, high + 1, -(-(high - low) // LABELS))], "labelExpr": POWER}
