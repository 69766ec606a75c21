"""What a linear read-out of each unit's output gets wrong, against how deep the unit is."""

import altair as alt
import numpy as np
import polars as pl

from resjax.report.charts import Figure, arm_colour, finish, width_of
from resjax.report.groups import Group
from resjax.report.lab.found import Found, Part
from resjax.report.lab.panels import against_first, depth_panels, number, over_seeds, percent
from resjax.report.words import amount
from resjax.statistics import compare

IMAGES, NETWORK = "images", "network"
START, END = "start", "end"
NEAR = 0.02  # of the last read-out: what counts as arrived
NOTE = (
    "A linear classifier, by ridge least squares on coarse means of a unit's output, after training, which it does not "
    "change (Alain and Bengio 2016). Its error rises along the net where later units hold less that can be read so; it "
    "is an upper bound of what a better reader would miss."
)
QUANTITIES = {
    "test_error": ("readout_by_unit", "Read-out along the net", "test error (%)"),
    "train_error": ("readout_of_training", "Read-out of training examples", "training error (%)"),
}


def readout(found: Found) -> Part:
    """The part of the report."""
    figures = [by_unit(found, quantity) for quantity in QUANTITIES]
    sentences = [text for group in found.networks for text in along(found, group)]
    sentences += [text for pair in against_first(found) for text in compared(found, *pair)]
    note = f"{NOTE} {found.made_with()}"
    return Part("readout", "Linear read-outs", sentences, [f for f in figures if f], note)


def by_unit(found: Found, quantity: str) -> Figure | None:
    """Error against the weight layers that are passed; of the images at 0, of the network itself at its last."""
    name, title, axis = QUANTITIES[quantity]
    rows = found.table.with_columns(value=100 * pl.col(quantity), position=pl.col("layer_depth") / pl.col("depth"))
    data = over_seeds(rows, ["panel", "depth", "arm", "moment", "layer_depth", "position", "name"])
    if data.is_empty():
        return None
    x = alt.X("position:Q", title="weight layers passed, of all", axis=alt.Axis(format="%", grid=False))
    base = alt.Chart().encode(x=x, color=arm_colour(found.arms))
    y = alt.Y("value:Q", title=axis, scale=alt.Scale(domain=[0, 100]))
    kinds = [moment for moment in (END, START) if moment in set(data["moment"])]
    dash = alt.StrokeDash(
        "moment:N", title="values", scale=alt.Scale(domain=kinds, range=[[1, 0], [4, 3]][: len(kinds)])
    )
    tips = ["arm:N", "moment:N", "name:N", *(alt.Tooltip(f"{c}:Q", format=".3~g") for c in ("value", "low", "high"))]
    read = base.transform_filter(f"datum.name !== '{NETWORK}'")
    net = base.transform_filter(f"datum.name === '{NETWORK}' && datum.moment === '{END}'")
    panel = alt.layer(
        read.mark_area(opacity=0.15).encode(y=alt.Y("low:Q"), y2="high:Q", detail="moment:N"),
        read.mark_line(strokeWidth=1.8).encode(y=y, strokeDash=dash),
        read.mark_point(filled=True, size=22, opacity=1).encode(y=y, detail="moment:N", tooltip=[*tips, "n:Q"]),
        net.mark_point(shape="diamond", filled=True, size=90, opacity=1).encode(y=y, tooltip=[*tips, "n:Q"]),
    ).properties(width=width_of(len(found.depths), 440), height=220)
    chart = depth_panels(panel, "panel", found.panels)
    caption = (
        f"{axis.removesuffix(' (%)').capitalize()} of a linear read-out of each unit's output, against the weight "
        "layers passed; at 0 that of a read-out of the images; the diamond is the network's own error. Solid: trained; "
        "dashed: at the start, what random features keep. Means over seeds, bands from least to largest."
    )
    return finish(chart, name, title, caption, data, ("panel", "depth"))


def units(found: Found, group: Group, moment: str) -> pl.DataFrame:
    """The read-outs of units."""
    return found.of(group).filter(pl.col("moment") == moment, pl.col("unit").is_not_null()).drop_nulls("test_error")


def along(found: Found, group: Group) -> list[str]:
    """The error at the images, at the least, at the last unit and of the network; and from where on it stays near."""
    rows = units(found, group, END)
    if rows.is_empty():
        return []
    others = found.of(group).filter(moment=END)
    images, network = (others.filter(name=name)["test_error"] for name in (IMAGES, NETWORK))
    last = rows.filter(pl.col("unit") == pl.col("unit").max())["test_error"]
    means = rows.group_by("unit", "name").agg(pl.col("test_error").mean()).sort("test_error", "unit")
    least = means.row(0, named=True)
    reached = pl.Series(list(arrival(rows).values()))
    text = (
        f"{found.name(group)}: a linear read-out of the images has a test error of {percent(images)}, that of the best "
        f"unit, {least['name']}, {100 * least['test_error']:.1f} %, that of the last unit {percent(last)}, and the "
        f"network {percent(network)}; from {number(100 * reached, '.0f')} % of the units on it stays within "
        f"{100 * NEAR:.0f} points of the last."
    )
    start = units(found, group, START)
    if not start.is_empty():
        first, end = (start.filter(unit=unit)["test_error"] for unit in (0, start["unit"].max()))
        text += f" At the start it errs on {percent(first)} at the first unit and on {percent(end)} at the last."
    return [f"{text} (n = {len(last)})"]


def arrival(rows: pl.DataFrame) -> dict[int, float]:
    """By seed, the share of the units behind which no read-out's error is further than `NEAR` from the last unit's."""
    shares = {}
    for (seed,), one in rows.sort("unit").group_by("seed", maintain_order=True):
        errors = one["test_error"].to_numpy()
        away = np.flatnonzero(abs(errors - errors[-1]) > NEAR)
        shares[int(seed)] = float(away[-1] + 1) / len(errors) if len(away) else 0.0
    return shares


def compared(found: Found, one: Group, other: Group) -> list[str]:
    """What one arm's read-out errs and the other's: trained, in the middle of the net; at the start, at its end."""
    said = []
    for moment, share, where in ((END, 0.5, "Half-way"), (START, 1, "At the start, at the last unit")):
        mine, theirs = units(found, one, moment), units(found, other, moment)
        shared = sorted(set(mine["layer_depth"]) & set(theirs["layer_depth"]))
        if shared:
            depth = min(shared, key=lambda depth, at=share * one.depth: abs(depth - at))  # type: ignore[misc]
            at = [rows.filter(layer_depth=depth) for rows in (mine, theirs)]
            said.append(f"{where}, {at[0]['name'][0]}, {difference(found, one, other, *at)}")
    return said


def difference(found: Found, one: Group, other: Group, mine: pl.DataFrame, theirs: pl.DataFrame) -> str:
    """Both errors, their difference, and what its test says."""
    tested = compare(*(dict(rows.select("seed", "test_error").iter_rows()) for rows in (mine, theirs)))
    untested = "one pair, no test" if tested.p is None else "no difference is shown"
    verdict = {1: f"{found.name(one)} errs more", -1: f"{found.name(other)} errs more", 0: untested}[tested.sign]
    return (
        f"the read-out of {found.name(one)} errs on {percent(mine['test_error'])}, that of {found.name(other)} on "
        f"{percent(theirs['test_error'])}: {amount(tested, 'test_error')}; {verdict}."
    )
