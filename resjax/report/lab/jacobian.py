"""Singular values of dh_L / dh_l against the layers between, before training and after."""

from typing import Any

import altair as alt
import polars as pl

from resjax.report.charts import Figure, arm_colour, finish, powers, width_of
from resjax.report.groups import Group
from resjax.report.lab.found import Found, Part
from resjax.report.lab.panels import depth_panels, in_rows, number, over_seeds, whole_numbers

NOTE = (
    "J = dh_L/dh_l: how a change of unit l's output moves the last unit's, of one example, with running statistics. "
    "sigma_rms^2 is the mean squared singular value over the directions of h_L, and 1 where lengths are kept on "
    "average. Participation is mean(sigma^2)^2 / mean(sigma^4): 1 where all singular values are equal, one over the "
    "number of directions where one is alone. What relu stops at the last output counts as singular values of 0."
)
# The quantity's axis, and what it is of a row of the table.
QUANTITIES = {
    "rms": ("sigma_rms of dh_L/dh_l", pl.col("sigma_rms")),
    "condition": ("sigma_max / sigma_rms", pl.col("sigma_max") / pl.col("sigma_rms")),
    "participation": ("participation", pl.col("participation")),
}
CAPTIONS = {
    "rms": (
        "Root mean square singular value of the map from a unit's output to the last unit's, against the weight layers "
        "between. A level line at 1 is isometry; a straight rise is an explosion by a constant factor a layer, a "
        "straight fall a decay."
    ),
    "condition": (
        "The largest singular value over the root mean square one: how much further the most stretched direction goes "
        "than the average one. 1 is an isometry on all directions."
    ),
    "participation": (
        "What part of the directions the squared singular values are spread over. Near one over the number of entries "
        "of the last output the units between pass on one direction."
    ),
}
TITLES = {
    "rms": "Isometry against depth",
    "condition": "Conditioning against depth",
    "participation": "Directions that are passed on",
}


def jacobian(found: Found) -> Part:
    """The part of the report."""
    figures = [against_layers(found, quantity) for quantity in QUANTITIES]
    sentences = [told for group in found.networks if (told := sentence(found, group)) is not None]
    heading = "Jacobians: what the units behind a unit do to a small change"
    return Part("jacobian", heading, sentences, [f for f in figures if f], f"{NOTE} {found.made_with()}")


def of_seeds(table: pl.DataFrame) -> pl.DataFrame:
    """Every quantity of each seed and unit: the mean over its examples."""
    by = ["panel", "depth", "arm", "moment", "seed", "unit", "name", "layers_behind", "dimension"]
    there = [name for name in by if name in table.columns]
    means = table.select(*there, *(value.alias(name) for name, (_, value) in QUANTITIES.items()))
    return means.group_by(there, maintain_order=True).agg(pl.all().mean())


def sentence(found: Found, group: Group) -> str | None:
    """The map from the first unit's output to the last's."""
    rows = of_seeds(found.of(group).filter(unit=0))
    known = rows.filter(pl.col("rms").is_not_null())
    if known.is_empty():
        return None
    words = {"start": "before training", "end": "after"}
    parts = []
    for moment, word in words.items():
        of = known.filter(moment=moment)
        if not of.is_empty():
            parts.append(
                f"{word} sigma_rms is {number(of['rms'])}, the largest singular value {number(of['condition'])} times "
                f"that, and the participation {number(of['participation'])} (n = {of['seed'].n_unique()})"
            )
    examples = found.of(group)["example"].n_unique()
    return (
        f"{found.name(group)}: from the first unit's output to the last's, over {rows['layers_behind'][0]} weight "
        f"layers, {'; '.join(parts)}; {examples} examples, {rows['dimension'][0]} directions."
    )


def against_layers(found: Found, quantity: str) -> Figure | None:
    """One quantity, a panel a depth, start above end."""
    title, _ = QUANTITIES[quantity]
    rows = in_rows(found, of_seeds(found.table).with_columns(value=pl.col(quantity)))
    data = over_seeds(rows, ["row", "depth", "arm", "layers_behind", "name"])
    if data.is_empty():
        return None
    labels: dict[str, Any] = powers(data)
    axis, scale = whole_numbers(), alt.Scale(zero=False, nice=False, padding=8)
    x = alt.X("layers_behind:Q", title="weight layers from h_l to h_L", axis=axis, scale=scale)
    y = alt.Y("value:Q", title=title, scale=alt.Scale(type="log", nice=bool(labels)), axis=alt.Axis(**labels))
    base = alt.Chart().encode(x=x, color=arm_colour(found.arms))
    tips = ["arm:N", "name:N", *(alt.Tooltip(f"{c}:Q", format=".3~g") for c in ("value", "low", "high")), "n:Q"]
    panel = alt.layer(
        base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(strokeWidth=1.8).encode(y=y),
        base.mark_point(filled=True, size=24, opacity=1).encode(y=y, tooltip=tips),
    ).properties(width=width_of(len(found.depths), 440), height=180)
    chart = depth_panels(panel, "row", rows["row"]).resolve_scale(x="independent")
    caption = f"{CAPTIONS[quantity]} Means over examples and seeds, bands from the least to the largest seed."
    return finish(chart, f"jacobian_{quantity}", TITLES[quantity], caption, data, ("row", "depth"))
