"""What the lab's figures and sentences have in common: panels by depth and by network, spread over seeds."""

from collections.abc import Iterable
from typing import Any

import altair as alt
import polars as pl

from resjax.report.charts import ROWS, by_setting, header
from resjax.report.groups import Group
from resjax.report.lab.found import Found


def whole_numbers() -> alt.Axis:
    """An axis of counts: what lies between two has no label."""
    return alt.Axis(tickMinStep=1, labelExpr="datum.value % 1 ? '' : format(datum.value, 'd')", grid=False)


def depth_heading() -> Any:
    """A panel's heading."""
    return header(labelExpr="datum.value + ' layers'")


def depth_panels(panel: Any, row: str, order: Iterable[str]) -> Any:
    """A column of panels for each depth, a row of them for each value of the column `row`, in this order."""
    return _panels(panel, alt.Column("depth:O", header=depth_heading()), row, order)


def network_panels(panel: Any, labels: Iterable[str], row: str, order: Iterable[str]) -> Any:
    """A column of panels for each network, by its `label`, a row of them for each value of the column `row`."""
    return _panels(panel, alt.Column("label:N", header=header(), sort=list(labels)), row, order)


def _panels(panel: Any, column: Any, row: str, order: Iterable[str]) -> Any:
    rows = alt.Row(f"{row}:N", header=by_setting(), sort=list(dict.fromkeys(order)))
    return panel.facet(data=ROWS, column=column, row=rows)


def labels_in(found: Found, data: pl.DataFrame) -> list[str]:
    """The labels of the networks that the data has rows of, in the groups' order."""
    there = set(data["label"])
    return list(dict.fromkeys(group.label for group in found.networks if group.label in there))


def line_with_bars(base: Any, y: Any, tips: list[Any]) -> Any:
    """Means as a line with points, and what they are means of as bars from `low` to `high`."""
    return alt.layer(
        base.mark_line(strokeWidth=1.6).encode(y=y),
        base.mark_rule(strokeWidth=1.2).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(filled=True, size=34, opacity=1).encode(y=y, tooltip=tips),
    )


def over_seeds(rows: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Mean, least and largest `value` of all rows that agree in `by`, with n; sorted."""
    value = pl.col("value")
    known = rows.filter(value.is_not_null()).group_by(by, maintain_order=True)
    return known.agg(value.mean(), value.min().alias("low"), value.max().alias("high"), pl.len().alias("n")).sort(by)


def moments(rows: pl.DataFrame) -> list[str]:
    """Start and end, those there are."""
    return [moment for moment in ("start", "end") if moment in set(rows["moment"])]


def in_rows(found: Found, rows: pl.DataFrame) -> pl.DataFrame:
    """With the heading of a row of panels in `row`: the moment, and the norm and settings of several; sorted by it."""
    order = [(panel, moment) for panel in found.panels for moment in ("start", "end")]
    places = pl.DataFrame(order, schema=["panel", "moment"], orient="row").with_row_index("place")
    several = pl.lit(", ") + pl.col("panel") if len(found.panels) > 1 else pl.lit("")
    known = rows.join(places, on=["panel", "moment"]).sort("place", maintain_order=True)
    return known.with_columns(row=pl.col("moment") + several).drop("place")


def against_first(found: Found) -> list[tuple[Group, Group]]:
    """Plain, or whatever arm is first, and each other network of the same depth, norm and settings."""
    pairs = [(one, other) for one in found.networks for other in found.networks if other.arm != one.arm]
    return [(a, b) for a, b in pairs if a.arm == found.arms[0] and (a.depth, a.panel) == (b.depth, b.panel)]


def percent(values: pl.Series) -> str:
    """A mean over seeds in percent, with the sample standard deviation where there are several."""
    return f"{number(100 * values, '.1f')} %"


def number(values: pl.Series, form: str = ".3g") -> str:
    """A mean over seeds, with the sample standard deviation where there are several."""
    found = values.cast(pl.Float64).to_numpy()
    spread = f" ± {found.std(ddof=1):{form}}" if len(found) > 1 else ""
    return f"{found.mean():{form}}{spread}"
