"""How alike gradients at different inputs are: by depth, along a line, between examples."""

from collections.abc import Iterator

import altair as alt
import polars as pl

from resjax.report.charts import LEGEND, Figure, arm_colour, finish, width_of
from resjax.report.groups import Group
from resjax.report.lab.decay import NOISE, alike, law, law_of
from resjax.report.lab.found import Found, Part
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

NEIGHBOURS, ENDS, THEORY = "neighbours", "ends", "theory"
BINS = 20
NOTE = (
    "f is a random direction of the logits that sums to zero; its gradient is taken in the images and in every unit's "
    "output, at equally spaced points of lines between two training images. R(s) is the autocorrelation of the "
    "gradient at lag s, about its mean along the line; it depends on the spacing, so it compares nets with each other "
    "and not with theory. Ends: the cosine of the gradients at the two ends, which Balduzzi et al. 2017 have a law "
    "for at the start: 1/2^L in plain nets of L layers, (3/4)^L in residual nets of L units without a norm, 1/sqrt(L) "
    "with batch norm, for inputs and hidden states that have nothing in common and units of one layer. Fits are of the "
    f"units from the last on to the first whose likeness is {NOISE:g} or less."
)


def shattering(found: Found) -> Part:
    """The part of the report."""
    figures = [by_depth(found), along(found), between(found)]
    sentences = [sentence for group in found.networks for sentence in sentences_of(found, group)]
    heading = "Shattering: how alike gradients at different inputs are"
    return Part("shattering", heading, sentences, [f for f in figures if f], f"{NOTE} {found.made_with()}")


def likeness(found: Found) -> pl.DataFrame:
    """Means over the lines: R at lag 1, and the ends' cosine, in `value`, of each seed, moment and unit."""
    rows = found.table.filter(kind="line")
    last = rows["lag"].max()
    keys = ["group", "panel", "depth", "arm", "label", "seed", "moment", "unit", "layers_behind", "units_behind"]
    told = [(NEIGHBOURS, 1, "autocorrelation"), (ENDS, last, "cosine")]
    parts = [rows.filter(lag=lag).with_columns(value=column, what=pl.lit(what)) for what, lag, column in told]
    means = pl.concat(parts).filter(pl.col("value").is_not_null()).group_by([*keys, "what"], maintain_order=True)
    return means.agg(pl.col("value").mean()).sort("seed", "layers_behind")


def sentences_of(found: Found, group: Group) -> Iterator[str]:
    """Of each moment: likeness in the images, and how it falls with depth; of examples."""
    rows, measured = found.of(group), likeness(found).filter(group=group.id)
    for moment in moments(rows):
        here = measured.filter(moment=moment)
        images = here.filter(pl.col("unit").is_null())
        n = rows.filter(moment=moment)["seed"].n_unique()
        text = [f"{found.name(group)}, {moment}:"]
        neighbours, ends = (images.filter(what=what)["value"] for what in (NEIGHBOURS, ENDS))
        if len(neighbours):
            text.append(f"gradients in the images at neighbouring points have R(1) = {number(neighbours, '.2f')},")
        if len(ends):
            text.append(f"at the ends of a line a cosine of {number(ends, '.2f')};")
        told = ((NEIGHBOURS, "R(1)", ""), (ENDS, "the ends' cosine", theory(group, moment)))
        text += [f"{what} {falling(here.filter(what=kind))}{law};" for kind, what, law in told]
        yield " ".join([*text, f"{examples(rows.filter(moment=moment))}. (n = {n})"])


def falling(rows: pl.DataFrame) -> str:
    """In words, how likeness falls from unit to unit, fitted seed by seed."""
    units = rows.filter(pl.col("unit").is_not_null())
    each = [part for _, part in units.group_by("seed", maintain_order=True)]
    laws = [law(part["layers_behind"].to_numpy(), part["value"].to_numpy()) for part in each]
    known = [one for one in laws if one is not None]
    if not known:
        if units.filter(pl.col("value") <= NOISE).is_empty():
            return "has too few units for a fit"
        last = [alike(part["layers_behind"].to_numpy(), part["value"].to_numpy()) for part in each]
        return f"is lost in noise behind {max(last)} layers" if max(last) else "is lost in noise at once"
    rate, exponent = (number(pl.Series([getattr(one, name) for one in known]), ".2f") for name in ("rate", "exponent"))
    closer = "a power" if 2 * sum(one.is_power for one in known) > len(known) else "an exponential"
    seeds = (
        f", in {len(known)} of {len(each)} seeds: the others have too few for a fit" if len(known) < len(each) else ""
    )
    points = round(sum(one.points for one in known) / len(known))
    return (
        f"changes by a factor of {rate} a layer, or as L to the power of {exponent}, {closer} being closer "
        f"({points} of {len(each[0])} units{seeds})"
    )


def theory(group: Group, moment: str) -> str:
    """In words, the ends' law at the start, where there is one."""
    known = law_of(group) if moment == "start" else None
    return f" (Balduzzi et al. 2017: {known[0]})" if known else ""


def examples(rows: pl.DataFrame) -> str:
    """In words, the mean cosine of two examples' gradients, of one class and of two."""
    pairs = rows.filter(kind="pair").group_by("seed", "same_class").agg(pl.col("cosine").mean()).sort("seed")
    same, other = (pairs.filter(pl.col("same_class") == which)["cosine"] for which in (True, False))
    told = [f"{number(of, '.2f')} in {which}" for of, which in ((same, "one class"), (other, "two classes")) if len(of)]
    return f"two examples' gradients in the weights have a mean cosine of {' and '.join(told) or 'no pair'}"


def by_depth(found: Found) -> Figure | None:
    """Likeness against the layers behind."""
    measured = likeness(found)
    if measured.is_empty():
        return None
    rows = pl.concat([measured, *(expected(measured, group) for group in found.networks)], how="diagonal_relaxed")
    data = over_seeds(in_rows(found, rows), ["row", "depth", "arm", "what", "layers_behind"])
    base = alt.Chart().encode(
        x=alt.X("layers_behind:Q", title="weight layers from there to the logits", axis=whole_numbers()),
        color=arm_colour(found.arms),
    )
    y = alt.Y("value:Q", title="likeness of gradients", scale=alt.Scale(domain=[-0.2, 1]))
    kinds = [NEIGHBOURS, ENDS, THEORY]
    dashes = alt.Scale(domain=kinds, range=[[1, 0], [6, 3], [1, 3]])
    dash = alt.StrokeDash("what:N", title="of", scale=dashes, legend=alt.Legend(symbolType="stroke"))
    tips = [
        "arm:N",
        "what:N",
        *(alt.Tooltip(f"{c}:Q", format=".3~g") for c in ("layers_behind", "value", "low", "high")),
        "n:Q",
    ]
    panel = alt.layer(
        base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q"), y2="high:Q", detail="what:N"),
        base.mark_line(strokeWidth=1.8).encode(y=y, strokeDash=dash),
        base.mark_point(filled=True, size=50, opacity=0).encode(y=y, tooltip=tips),
    ).properties(width=width_of(len(found.depths), 440), height=220)
    chart = depth_panels(panel, "row", in_rows(found, rows)["row"]).resolve_scale(x="independent")
    caption = (
        "Solid: the autocorrelation R(1) of the gradient in a unit's output at neighbouring points of a line of "
        "inputs, against the layers between that output and the logits; at the right end the images. Dashed: the "
        "cosine of the gradients at the ends of the line; dotted: its law at the start (Balduzzi et al. 2017). Means "
        "over lines and seeds, bands from the least to the largest seed."
    )
    return finish(
        chart, "shattering_by_depth", "Likeness of gradients by depth", caption, data, ("row", "depth"), what=ENDS
    )


def expected(measured: pl.DataFrame, group: Group) -> pl.DataFrame:
    """The ends' law at the start, of plain and residual nets: from 1 at the last unit's output."""
    there = measured.filter(group=group.id, moment="start", what=ENDS).unique(["layers_behind"])
    known = law_of(group)
    return there.clear() if known is None else there.with_columns(value=known[1], what=pl.lit(THEORY), seed=None)


def along(found: Found) -> Figure | None:
    """R in the images against the lag."""
    rows = found.table.filter((pl.col("kind") == "line") & pl.col("unit").is_null()).with_columns(
        value="autocorrelation"
    )
    rows = rows.filter(pl.col("lag") <= found.settings["lags"])
    each = rows.group_by(["group", "panel", "depth", "arm", "seed", "moment", "lag"]).agg(pl.col("value").mean())
    data = over_seeds(in_rows(found, each), ["row", "depth", "arm", "lag"])
    if data.is_empty():
        return None
    base = alt.Chart().encode(
        x=alt.X("lag:Q", title="lag (points of the line)", axis=whole_numbers()),
        color=arm_colour(found.arms),
    )
    y = alt.Y("value:Q", title="autocorrelation")
    tips = ["arm:N", *(alt.Tooltip(f"{c}:Q", format=".3~g") for c in ("lag", "value", "low", "high")), "n:Q"]
    panel = line_with_bars(base, y, tips).properties(width=width_of(len(found.depths), 440), height=180)
    chart = depth_panels(panel, "row", in_rows(found, each)["row"])
    caption = (
        "The autocorrelation of the gradient in the images along lines of inputs, against the lag: white noise is at "
        "zero from lag 1 on. Means over lines, then over the seeds, bars from least to largest (Balduzzi et al. 2017)."
    )
    return finish(chart, "shattering_along", "Autocorrelation along a line", caption, data, ("row", "depth"))


def between(found: Found) -> Figure | None:
    """How the cosines of two examples' gradients in the weights are spread."""
    rows = found.table.filter((pl.col("kind") == "pair") & pl.col("cosine").is_not_null())
    if rows.is_empty():
        return None
    width = 2 / BINS
    low = ((pl.col("cosine") / width).floor() * width).clip(-1, 1 - width)
    kept = in_rows(found, rows).with_columns(
        cosine=(low + width / 2).round(4), classes=pl.when("same_class").then(pl.lit("one")).otherwise(pl.lit("two"))
    )
    by = ["row", "label", "classes"]
    counts = kept.group_by([*by, "cosine"]).len()
    bins = pl.DataFrame({"cosine": [round(-1 + (place + 0.5) * width, 4) for place in range(BINS)]})
    every = counts.select(by).unique().join(bins, how="cross").join(counts, on=[*by, "cosine"], how="left")
    share = 100 * pl.col("len").fill_null(0) / pl.col("len").sum().over(by)
    data = every.with_columns(value=share).drop("len").sort([*by, "cosine"])
    labels = labels_in(found, data)
    base = alt.Chart().encode(
        x=alt.X("cosine:Q", title="cosine of two examples' gradients", scale=alt.Scale(domain=[-1, 1])),
        y=alt.Y("value:Q", title="share of pairs (%)", stack=None),
        color=alt.Color("classes:N", title="classes", legend=LEGEND, scale=alt.Scale(domain=["two", "one"])),
    )
    tips = ["classes:N", *(alt.Tooltip(f"{c}:Q", format=".3~g") for c in ("cosine", "value"))]
    panel = alt.layer(
        base.mark_line(interpolate="step", strokeWidth=1.6).encode(),
        base.mark_point(filled=True, size=40, opacity=0).encode(tooltip=tips),
    ).properties(width=width_of(len(labels), 440, each=50), height=160)
    chart = network_panels(panel, labels, "row", kept["row"]).resolve_scale(y="independent")
    caption = (
        "Cosines between the gradients that two training examples give the weights, of one class and of two classes, "
        "all seeds together: near zero the examples ask for changes that have nothing to do with each other."
    )
    return finish(
        chart, "shattering_pairs", "Likeness of examples' gradients", caption, data, ("row", "label"), classes="two"
    )
