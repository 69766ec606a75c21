"""Paths of the gradient: what one path of each length carries, and how much all of them do."""

import math
from collections.abc import Iterator

import altair as alt
import numpy as np
import polars as pl

from resjax.lengths import between, log_paths, shares, spread
from resjax.report.charts import LEGEND, Figure, arm_colour, finish, width_of
from resjax.report.groups import Group
from resjax.report.lab.found import NETWORK, Found, Part
from resjax.report.lab.panels import (
    depth_panels,
    in_rows,
    labels_in,
    line_with_bars,
    moments,
    network_panels,
    number,
    over_seeds,
    whole_numbers,
)

NET = ("group", "panel", "depth", "arm", "label")
SHARES = {name: NETWORK[name] for name in NET} | {
    "seed": pl.Int64,
    "moment": pl.String,
    "kind": pl.String,
    "branches": pl.Int64,
    "length": pl.Int64,
    "share": pl.Float64,
    "sampled": pl.Boolean,  # false: what one path carries there is taken from the lengths beside it
}
NUMBER, ADDED, SUM = "number of paths", "number times one path", "sum of the paths"
NOTE = (
    "Every unit with a shortcut lets the gradient back by its branch or its shortcut; the length of a path is the "
    "number of units that it passes by the branch. One path: the norm of the gradient of each example's loss in the "
    "stem's output through that path alone, a mean over examples and random paths (Veit et al. 2016, section 4.2). "
    "Times the number of paths it is what all paths of a length would carry if they all pointed one way; the sum of "
    "the paths is what they do carry, cancellations included, without sampling, to float32's rounding. At lengths "
    "that were not sampled (lengths=) what one path carries is drawn on straight lines of its logarithm."
)


def paths(found: Found) -> Part:
    """The part of the report."""
    found_shares = shared(found)
    figures = [one_path(found), by_length(found, found_shares)]
    sentences = [sentence for group in found.networks for sentence in sentences_of(found, found_shares, group)]
    heading = "Paths: the lengths through which the gradient comes"
    return Part("paths", heading, sentences, [f for f in figures if f], f"{NOTE} {found.made_with()}")


def shared(found: Found) -> pl.DataFrame:
    """Of every net with a choice, seed, moment and length the share of each `kind`; where the gradient is a number."""
    rows = found.table.filter(pl.col("choices") > 0)
    parts = [_shares(part) for _, part in rows.group_by(*NET, "seed", "moment", maintain_order=True)]
    return pl.concat([pl.DataFrame(schema=SHARES), *parts]).filter(pl.col("share").is_not_nan())


def _shares(rows: pl.DataFrame) -> pl.DataFrame:
    """One seed's, at one moment."""
    n = int(rows["choices"][0])
    fixed = rows.select((pl.col("length") - pl.col("branches")).max()).item()
    means = rows.filter(kind="path").group_by("branches").agg(pl.col("grad_norm").mean()).sort("branches")
    one = between(means["branches"].to_numpy(), means["grad_norm"].cast(pl.Float64).to_numpy(), n)
    with np.errstate(divide="ignore"):
        summed = np.log(rows.filter(kind="total").sort("branches")["grad_norm"].fill_null(0).to_numpy())
    logs = {NUMBER: log_paths(n), ADDED: log_paths(n) + one, SUM: summed}
    k = np.arange(n + 1)
    told = [
        pl.DataFrame({"kind": kind, "branches": k, "length": k + fixed, "share": shares(logs[kind])}).with_columns(
            sampled=pl.col("branches").is_in(means["branches"].to_list()) if kind == ADDED else pl.lit(True)
        )
        for kind in logs
    ]
    return rows.select(*NET, "seed", "moment").head(1).join(pl.concat(told), how="cross").cast(pl.Schema(SHARES))


def sentences_of(found: Found, shared: pl.DataFrame, group: Group) -> Iterator[str]:
    """Of each moment: the lengths that carry the gradient, and how fast a path's gradient falls with its length."""
    rows, name = found.of(group), found.name(group)
    if not rows["choices"].max():
        length = rows.filter(kind="path").select(pl.col("length").max()).item()
        yield f"{name}: no unit has a shortcut, so the gradient has one path, through the branches of {length} units."
        return
    for moment in moments(rows):
        here, measured = shared.filter(group=group.id, moment=moment), rows.filter(moment=moment)
        if here.filter(kind=SUM).is_empty():
            yield f"{name}, {moment}: the gradient is zero or no number."
            continue
        branches = here.select(pl.col("branches").max()).item()
        first = here.filter(kind=NUMBER, seed=here["seed"][0])  # the same for all
        there_are, added, summed = map(told, (first, here.filter(kind=ADDED), here.filter(kind=SUM)))
        yield (
            f"{name}, {moment}: the paths pass {there_are} of the {branches} branches; weighted by what one path of "
            f"their length carries, {added}; by the sum of the paths of each length, {summed}.{falling(measured)} "
            f"The lengths' sums have norms that add up to {number(over_whole(measured), '.1f')} times that of the "
            f"whole gradient. (n = {here['seed'].n_unique()})"
        )


def told(rows: pl.DataFrame) -> str:
    """Mean over seeds of the mean length, and of the lengths that 5 % and 95 % reach."""
    each = [spread(part.sort("branches")["share"].to_numpy()) for _, part in rows.group_by("seed", maintain_order=True)]
    mean = number(pl.Series([one.mean for one in each]), ".1f")
    low, high = (round(float(np.mean(ends)), 1) for ends in ([one.low for one in each], [one.high for one in each]))
    return f"{mean} (90 %: {low:g} to {high:g})"


def falling(rows: pl.DataFrame) -> str:
    """In words e^b, b the slope of ln |gradient of one path| against its branches; lengths weigh by their paths."""
    found = []
    means = (
        rows.filter(kind="path").group_by("seed", "branches").agg(pl.col("grad_norm").mean(), pl.col("choices").first())
    )
    for _, part in means.filter(pl.col("grad_norm") > 0).sort("seed", "branches").group_by("seed", maintain_order=True):
        k, logs = part["branches"].to_numpy(), np.log(part["grad_norm"].to_numpy())
        if len(k) > 1:
            weights = np.sqrt(shares(log_paths(int(part["choices"][0])))[k])
            found.append(math.exp(np.polyfit(k, logs, 1, w=weights)[0]))
    if not found:
        return " The branches carry nothing."
    return f" A branch more changes what one path carries by a factor of {number(pl.Series(found), '.2f')}."


def over_whole(rows: pl.DataFrame) -> pl.Series:
    """Of each seed sum_k |G_k| / |G|: 1 where no length cancels another."""
    sums = rows.filter(kind="total").group_by("seed").agg(pl.col("grad_norm").sum())
    whole = rows.filter(kind="full").select("seed", whole="grad_norm")
    return sums.join(whole, on="seed").sort("seed").select(pl.col("grad_norm") / pl.col("whole")).to_series()


def one_path(found: Found) -> Figure | None:
    """What one path carries, against its length."""
    rows = in_rows(found, found.table.filter(kind="path"))
    by = ["row", "depth", "arm", "length"]
    each = rows.group_by([*by, "seed"]).agg(pl.col("grad_norm").mean().alias("value"))
    data = over_seeds(each, by).filter(pl.col("value") > 0)
    if data.is_empty():
        return None
    base = alt.Chart().encode(
        x=alt.X("length:Q", title="length (branches passed)", axis=whole_numbers()),
        color=arm_colour(found.arms),
    )
    y = alt.Y(
        "value:Q",
        title="|dL/dh| by one path",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format=".0e", tickCount=5, grid=False),
    )
    tips = ["arm:N", *(alt.Tooltip(f"{c}:Q", format=".3~g") for c in ("length", "value", "low", "high")), "n:Q"]
    panel = line_with_bars(base, y, tips).properties(width=width_of(len(found.depths), 440, each=70), height=200)
    chart = depth_panels(panel, "row", rows["row"]).resolve_scale(x="independent", y="independent")
    caption = (
        "The gradient's norm in the stem's output by one path, against the path's length (the branches that it passes, "
        "those of units without a shortcut, too), a log axis: means over "
        "examples and random paths, then over the seeds, bars from least to largest (Veit et al. 2016, fig. 6). A "
        "plain net has one path."
    )
    return finish(chart, "paths_gradient", "What one path carries", caption, data, ("row", "depth"))


def by_length(found: Found, shared: pl.DataFrame) -> Figure | None:
    """The shares of each length."""
    rows = in_rows(found, shared).with_columns(value=100 * pl.col("share"))
    data = over_seeds(rows, ["row", "label", "kind", "branches", "sampled"])
    if data.is_empty():
        return None
    labels = labels_in(found, data)
    kinds = [NUMBER, ADDED, SUM]
    base = alt.Chart().encode(
        x=alt.X("branches:Q", title="branches passed", axis=whole_numbers()),
        color=alt.Color("kind:N", title="share of", legend=LEGEND, scale=alt.Scale(domain=kinds)),
    )
    y = alt.Y("value:Q", title="share (%)")
    tips = ["kind:N", *(alt.Tooltip(f"{c}:Q", format=".3~g") for c in ("branches", "value", "low", "high")), "n:Q"]
    panel = alt.layer(
        base.mark_line(strokeWidth=1.8).encode(y=y),
        base.mark_rule(strokeWidth=1.2).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(filled=True, size=26).encode(
            y=y, tooltip=tips, opacity=alt.condition("datum.sampled", alt.value(1), alt.value(0))
        ),
    ).properties(width=width_of(len(labels), 440), height=200)
    chart = network_panels(panel, labels, "row", rows["row"]).resolve_scale(x="independent")
    caption = (
        "How the gradient is shared among paths by the branches that they pass, of units with a shortcut. Number of "
        "paths: how many there are; number times one path: times what one carries (Veit et al. 2016, fig. 6), which is "
        "jagged where few are drawn, with a dot where it was sampled; sum of the paths: the norm of their sum. Where "
        "the last two lie to the left of the first, the gradient comes by short paths. Means over the seeds, bars from "
        "least to largest."
    )
    return finish(chart, "paths_by_length", "The gradient by path length", caption, data, ("row", "label"), kind=NUMBER)
