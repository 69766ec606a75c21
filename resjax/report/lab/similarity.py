"""How alike units' outputs are: maps of CKA within networks, between two seeds, and between two arms."""

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from resjax.report.charts import ROWS, Figure, finish, header, only, width_of
from resjax.report.groups import Group, arm_order
from resjax.report.lab.found import Found, Part
from resjax.report.lab.panels import against_first, depth_heading, number, over_seeds
from resjax.report.words import minus, p_value
from resjax.statistics import Comparison, compare

FORM = ".3f"
MOST_UNITS = 56  # of a map; deeper networks are thinned
WITHIN, SEEDS, ARMS = "within", "seeds", "arms"
NOTE = (
    "Linear CKA (Kornblith et al. 2019) of the outputs of two units on the same test images: 1 where they are alike up "
    "to a rotation, a shift and one scale, about 0 where they have nothing in common. What two trained nets that "
    "differ in their seed alone have is what there is to compare two arms with, roughly: two seeds begin with other "
    "values, two arms of one seed with the same ones where their shortcuts have no parameters."
)


def similarity(found: Found) -> Part:
    """The part of the report."""
    rows = kinds(found)
    figures = [heat_map(found, rows, *figure) for figure in FIGURES]
    sentences = [text for group in found.networks for text in neighbours(found, rows, group)]
    sentences += [text for pair in against_first(found) for text in compared(found, rows, *pair)]
    note = f"{NOTE} {found.made_with()}"
    return Part("similarity", "Similarity of units (CKA)", sentences, [f for f in figures if f], note)


def kinds(found: Found) -> pl.DataFrame:
    """The rows with `what` they compare, in a column `kind`: units of one net, of two seeds, of two arms, plain first.

    Networks of other depths, norms or settings beside each other are left out.
    """
    rows = found.table.rename({"cka": "value"})
    two = pl.col("beside_seed").is_not_null()
    same = pl.all_horizontal(pl.col(name) == pl.col(f"beside_{name}") for name in ("panel", "depth"))
    alone = rows.filter(~two).with_columns(kind=pl.lit(WITHIN), what="arm")
    one_run = two & pl.col("beside").is_null()
    seeds = rows.filter(one_run | (same & (pl.col("arm") == pl.col("beside_arm"))))
    seeds = seeds.with_columns(kind=pl.lit(SEEDS), what="arm")
    arms = rows.filter(same & (pl.col("arm") != pl.col("beside_arm")))
    paired = arms.filter(pl.col("seed") == pl.col("beside_seed"))
    arms = arms if paired.is_empty() else paired  # others share nothing but their place in a list
    parts = [arms.filter(arm=arm, beside_arm=other) for arm, other in arms.select("arm", "beside_arm").unique().rows()]
    turned = [part if arm_order(part["arm"][0]) < arm_order(part["beside_arm"][0]) else turn(part) for part in parts]
    named = [
        part.with_columns(kind=pl.lit(ARMS), what=pl.format("{} beside {}", "arm", "beside_arm")) for part in turned
    ]
    return pl.concat([alone, seeds, *named])


def turn(rows: pl.DataFrame) -> pl.DataFrame:
    """The other network's units first. `group` stays as it is."""
    pairs = [("arm", "beside_arm"), ("label", "beside_label"), ("unit", "other_unit"), ("name", "other_name")]
    return rows.with_columns(**{a: pl.col(b) for a, b in pairs}, **{b: pl.col(a) for a, b in pairs})


FIGURES = (
    (
        WITHIN,
        "similarity_within",
        "Similarity within a net",
        "CKA of every two units of a net, from the images on; the diagonal is 1. Large bright squares are units that "
        "change little of what passes; dark seams are where it changes.",
    ),
    (
        SEEDS,
        "similarity_of_seeds",
        "Similarity of two seeds",
        "CKA of every unit with every unit of the net of another seed: a bright diagonal means that units of one "
        "place learn alike whatever the seed.",
    ),
    (
        ARMS,
        "similarity_between",
        "Similarity between arms",
        "CKA of every unit of the first-named net (upwards) with every unit of the other (to the right), which have "
        "the same depth and, where they share it, the same seed.",
    ),
)


def heat_map(found: Found, rows: pl.DataFrame, kind: str, name: str, title: str, caption: str) -> Figure | None:
    """A map each of what is compared, in columns, and each depth, in rows; mean over seeds."""
    data = thinned(rows.filter(kind=kind))
    by = ["panel", "depth", "what", "unit", "name", "other_unit", "other_name"]
    data = over_seeds(data, by).drop("low", "high")
    if data.is_empty():
        return None
    parts = [panels(data.filter(panel=panel), panel) for panel in found.panels if panel in set(data["panel"])]
    more = f" Networks of more than {MOST_UNITS} units are thinned to about as many." if thin(rows) else ""
    caption = f"{caption} Means over seeds, on one scale of colours from 0 to 1.{more}"
    chart = alt.vconcat(*parts).resolve_scale(color="independent", stroke="independent")
    return finish(chart, name, title, caption, data, ("panel", "depth", "what"), unit=0, other_unit=0)


def thin(rows: pl.DataFrame) -> bool:
    """Whether there is a network of more units than a map shows."""
    return rows.filter(pl.max_horizontal("unit", "other_unit") >= MOST_UNITS).height > 0


def thinned(rows: pl.DataFrame) -> pl.DataFrame:
    """At most so many units of each network, about evenly."""
    for unit in ("unit", "other_unit"):
        step = (pl.col(unit).max().over("panel", "depth", "what") // MOST_UNITS) + 1
        rows = rows.filter(pl.col(unit) % step == 0)
    return rows


def panels(data: pl.DataFrame, panel: str) -> Any:
    """One norm: what is compared in columns, depths in rows."""
    columns = sorted(set(data["what"]), key=lambda what: [arm_order(arm) for arm in what.split(" beside ")])
    scale = alt.Scale(domain=[0, 1], scheme="viridis", clamp=True)
    axis = alt.Axis(labelOverlap="parity", labelSeparation=4, ticks=False, labelAngle=0)
    names = [alt.Tooltip("name:N", title="unit"), alt.Tooltip("other_name:N", title="other unit")]
    cells = (
        alt.Chart()
        .mark_rect(aria=False, strokeWidth=1)
        .encode(
            x=alt.X("other_unit:O", title="unit", axis=axis),
            y=alt.Y("unit:O", title="unit", axis=axis, sort="descending"),
            color=alt.Color("value:Q", title="CKA", scale=scale, legend=alt.Legend(values=[0, 0.2, 0.4, 0.6, 0.8, 1])),
            stroke=alt.Stroke("value:Q", scale=scale, legend=None),  # or the paper shows between the cells
            tooltip=["what:N", "depth:O", *names, alt.Tooltip("value:Q", title="CKA", format=".3f"), "n:Q"],
        )
    )
    side = width_of(max(len(columns), 2), 260, each=52)
    drawn = cells.properties(width=side, height=side).facet(
        data=ROWS,
        column=alt.Column("what:N", header=header(), sort=columns),
        row=alt.Row("depth:O", header=depth_heading()),
    )
    drawn = drawn.transform_filter(only("panel", panel))
    return drawn.resolve_scale(x="independent", y="independent").properties(title=panel)


def neighbours(found: Found, rows: pl.DataFrame, group: Group) -> list[str]:
    """How alike units are that follow each other, and where they are the least."""
    alone = rows.filter(kind=WITHIN, group=group.id).drop_nulls("value")
    pairs = alone.filter(pl.col("other_unit") == pl.col("unit") + 1)
    if pairs.is_empty():
        return []
    medians = pairs.group_by("seed").agg(pl.col("value").median())["value"]
    means = pairs.group_by("unit", "name", "other_name").agg(pl.col("value").mean()).sort("value", "unit")
    least, last = means.row(0, named=True), alone["unit"].max()
    ends = alone.filter(unit=0, other_unit=last)["value"]
    text = (
        f"{found.name(group)}: units that follow each other have a CKA of {number(medians, FORM)} at the median; least "
        f"alike are {least['name']} and {least['other_name']}, {least['value']:{FORM}}."
    )
    text += f" The first and the last unit have {number(ends, FORM)}." if len(ends) else ""
    return [f"{text} (n = {len(medians)})"]


def compared(found: Found, rows: pl.DataFrame, one: Group, other: Group) -> list[str]:
    """Which arm's units are more alike, over all pairs of a net; and how alike the arms are, unit by unit."""
    inside = rows.filter(pl.col("kind") == WITHIN, pl.col("unit") < pl.col("other_unit"))
    difference = compare(*(by_seed(inside.filter(group=group.id)) for group in (other, one)))
    text = (
        f"Over all pairs of its units, the mean CKA of {found.name(other)} less that of {found.name(one)} is "
        f"{amount(difference)}."
    )
    place = (pl.col("panel") == one.panel) & (pl.col("depth") == one.depth) & (pl.col("unit") == pl.col("other_unit"))
    across = rows.filter(place, pl.col("kind") == ARMS, pl.col("arm") == one.arm, pl.col("beside_arm") == other.arm)
    if places := list(by_seed(across).values()):
        text += f" Units of one place in the two have a CKA of {number(pl.Series(places), FORM)} on average (n = "
        text += f"{len(places)})"
        seeds = [list(by_seed(rows.filter(place, kind=SEEDS, group=group.id)).values()) for group in (one, other)]
        same = [
            f"{number(pl.Series(s), FORM)} of {found.name(g)}" for s, g in zip(seeds, (one, other), strict=True) if s
        ]
        text += f"; two seeds' have {' and '.join(same)}." if same else "."
    return [text]


def by_seed(rows: pl.DataFrame) -> dict[int, float]:
    """Mean CKA of each seed."""
    means = rows.drop_nulls("value").group_by("seed").agg(pl.col("value").mean()).sort("seed")
    return dict(means.iter_rows())


def amount(found: Comparison) -> str:
    """Such as: +0.12 [+0.08, +0.17], p = 0.004, n = 3."""
    if found.difference is None:
        return f"unknown, n = {found.n}"
    interval = found.low is not None and found.high is not None and found.p is not None
    bounds = f" [{found.low:+.2f}, {found.high:+.2f}], p {p_value(found.p or np.nan)}" if interval else ""
    return minus(f"{found.difference:+.2f}{bounds}, n = {found.n}")
