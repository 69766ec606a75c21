"""Sharpness against depth, the spectral density, and the map of |smallest / largest eigenvalue|."""

import math

import altair as alt
import numpy as np
import polars as pl

from resjax.report.charts import ROWS, Figure, arm_colour, by_setting, finish, powers
from resjax.report.groups import Group
from resjax.report.lab.found import Found, Part
from resjax.report.lab.panels import depth_heading, depth_panels, in_rows, number, over_seeds

WIDTH = 0.35  # of the density's Gaussians, on the axis asinh(lambda / unit)
POINTS = 241  # of a density's curve
LEAST = 1e-8  # of a density: below, the curve lies on the axis
NOTE = (
    "The Hessian of the mean cross-entropy of training examples, without augmentation and weight decay, batch norm "
    "reading its running statistics; products with vectors, no matrix. Lanczos' values lie inside the spectrum: "
    "lambda_max is at least what is said and lambda_min at most, and their ratio on the map, of few steps, may be too "
    "large or too small. |lambda_min / lambda_max| is 0 where the loss is convex, and near 1 where it falls away as "
    "steeply in one direction as it rises in another (Li et al. 2018)."
)


def hessian(found: Found) -> Part:
    """The part of the report."""
    figures = [sharpness(found), density(found), ratios(found)]
    sentences = [told for group in found.networks if (told := sentence(found, group)) is not None]
    heading = "The Hessian: how sharp the solution is, and how convex the loss around it"
    return Part("hessian", heading, sentences, [f for f in figures if f], f"{NOTE} {found.made_with()}")


def of_seeds(table: pl.DataFrame) -> pl.DataFrame:
    """Each seed's extremes: of its random starts the largest and the smallest."""
    by = [name for name in ("panel", "depth", "arm", "moment", "seed") if name in table.columns]
    extremes = table.filter(kind="spectrum").group_by(by, maintain_order=True)
    return extremes.agg(pl.col("lambda_max").max(), pl.col("lambda_min").min(), pl.col("loss").first())


def with_ratio(table: pl.DataFrame) -> pl.DataFrame:
    """The map's points with |lambda_min / lambda_max|, 0 where nothing negative was found, null where nothing positive
    was; and in `unsure` the residual of lambda_min over lambda_max.
    """
    largest = pl.when(pl.col("lambda_max") > 0).then(pl.col("lambda_max"))
    value, unsure = (-pl.col("lambda_min")).clip(0) / largest, pl.col("lambda_min_residual") / largest
    return table.filter(kind="map").with_columns(value=value, unsure=unsure)


def sentence(found: Found, group: Group) -> str | None:
    """The extremes at the solution, and the map around it."""
    rows = of_seeds(found.of(group).filter(moment="end")).filter(pl.col("lambda_max").is_not_null())
    if rows.is_empty():
        return None
    text = (
        f"{found.name(group)}: at the solution lambda_max is {number(rows['lambda_max'])} and lambda_min "
        f"{number(rows['lambda_min'])}, at a loss of {number(rows['loss'])}"
    )
    points = with_ratio(found.of(group))
    away = points.filter((pl.col("alpha") != 0) | (pl.col("beta") != 0)).filter(pl.col("value").is_not_null())
    if not away.is_empty():
        seeds = away.group_by("seed").agg(pl.col("value").median())
        reach, steps, unsure = found.settings["reach"], found.settings["grid_steps"], away["unsure"]
        text += (
            f"; away from it, up to {reach:g} times the filters' norms, |lambda_min / lambda_max| is "
            f"{number(seeds['value'], '.2f')} at the median by {steps} Lanczos steps, which leave a residual of "
            f"{unsure.quantile(0.5):.2g} times lambda_max"
        )
    return f"{text} (n = {rows['seed'].n_unique()})."


def sharpness(found: Found) -> Figure | None:
    """lambda_max against the depth."""
    rows = in_rows(found, of_seeds(found.table).with_columns(value=pl.col("lambda_max")))
    data = over_seeds(rows, ["row", "depth", "arm"])
    if data.is_empty():
        return None
    labels = powers(data)
    axis = alt.Axis(values=found.depths, format="d", grid=False)
    x = alt.X("depth:Q", title="depth (weight layers)", axis=axis, scale=alt.Scale(zero=False, padding=20))
    y = alt.Y("value:Q", title="lambda_max", scale=alt.Scale(type="log", nice=bool(labels)), axis=alt.Axis(**labels))
    base = alt.Chart().encode(x=x, color=arm_colour(found.arms))
    tips = ["arm:N", "depth:O", *(alt.Tooltip(f"{c}:Q", format=".4~g") for c in ("value", "low", "high")), "n:Q"]
    panel = alt.layer(
        base.mark_line(strokeWidth=1.8).encode(y=y),
        base.mark_rule(strokeWidth=1.4).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(filled=True, size=50, opacity=1).encode(y=y, tooltip=tips),
    ).properties(width=300, height=220)
    chart = panel.facet(
        data=ROWS, column=alt.Column("row:N", header=by_setting(), sort=list(dict.fromkeys(rows["row"])))
    )
    caption = "The Hessian's largest eigenvalue: means over the seeds, bars from the least to the largest seed."
    return finish(chart, "hessian_sharpness", "Sharpness against depth", caption, data)


def density(found: Found) -> Figure | None:
    """The spectral density at the solution, of all of a network's starts and seeds together."""
    nodes = found.table.filter(pl.col("node").is_not_null(), kind="node", moment="end")
    if nodes.is_empty():
        return None
    largest = nodes.group_by("group").agg(pl.col("node").abs().max())["node"]
    unit = 10.0 ** (math.floor(math.log10(max(float(np.median(largest)), 1e-30))) - 3)
    ends = [math.asinh(float(end) / unit) for end in (nodes["node"].min(), nodes["node"].max())]  # type: ignore[arg-type]
    places = np.linspace(ends[0] - 4 * WIDTH, ends[1] + 4 * WIDTH, POINTS)
    frames = []
    for (panel, depth, arm), rows in nodes.group_by("panel", "depth", "arm", maintain_order=True):
        starts = rows.select("seed", "probe").n_unique()
        curve = broadened(rows["node"].to_numpy() / unit, rows["weight"].to_numpy() / starts, places)
        shown = {"panel": panel, "depth": depth, "arm": arm, "eigenvalue": unit * np.sinh(places)}
        frames.append(pl.DataFrame(shown | {"value": np.maximum(curve, LEAST)}))
    data = pl.concat(frames)
    x = alt.X(
        "eigenvalue:Q",
        title="eigenvalue",
        scale=alt.Scale(type="symlog", constant=unit, nice=False),
        axis=alt.Axis(values=marks(unit, nodes), format=".3~g", grid=False, labelOverlap="greedy"),
    )
    labels = powers(data)
    y = alt.Y("value:Q", title="density", scale=alt.Scale(type="log", domainMin=LEAST), axis=alt.Axis(**labels))
    panel_ = alt.Chart().mark_line(strokeWidth=1.8).encode(x=x, y=y, color=arm_colour(found.arms))
    chart = panel_.properties(width=max(240, 900 // len(found.depths) - 40), height=220).facet(
        data=ROWS,
        column=alt.Column("depth:O", header=depth_heading()),
        row=alt.Row("panel:N", header=by_setting(), sort=found.panels),
    )
    caption = (
        "How the eigenvalues are spread, by stochastic Lanczos quadrature: both axes are logarithmic, the horizontal "
        f"one to both sides of 0 beyond {unit:g}; of all eigenvalues, the part that lies within one unit of "
        f"asinh(lambda / {unit:g}), broadened by Gaussians {WIDTH} wide. A line that stays up on the left is negative "
        "curvature, bumps far on the right are single eigenvalues; waves in between are the few steps' nodes."
    )
    return finish(chart, "hessian_density", "Spectral density of the Hessian", caption, data, ("panel", "depth"))


def broadened(nodes: np.ndarray, weights: np.ndarray, places: np.ndarray) -> np.ndarray:
    """sum weights N(places; asinh(nodes), WIDTH^2)."""
    away = (places[:, None] - np.arcsinh(nodes)[None]) / WIDTH
    return np.asarray(np.exp(-(away**2) / 2) @ weights / (WIDTH * math.sqrt(2 * math.pi)))


def marks(unit: float, nodes: pl.DataFrame) -> list[float]:
    """Powers of ten to both sides of 0, and 0."""
    low, high = (float(end) for end in (nodes["node"].min(), nodes["node"].max()))  # type: ignore[arg-type]
    powers_ = [unit * 10.0**power for power in range(40)]
    return [-p for p in powers_ if p <= -low] + [0.0] + [p for p in powers_ if p <= high]


def ratios(found: Found) -> Figure | None:
    """The map, a row of panels an arm."""
    several = pl.lit(", ") + pl.col("panel") if len(found.panels) > 1 else pl.lit("")
    points = with_ratio(found.table).with_columns(row=pl.col("arm") + several)
    if points.is_empty():
        return None
    by = ["row", "arm", "depth", "alpha", "beta"]
    data = points.group_by(by).agg(pl.col("value", "loss").mean(), pl.col("value").count().alias("n")).sort(by)
    rows = [row for arm in found.arms for row in data.filter(arm=arm)["row"].unique(maintain_order=True)]
    tips = [alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("alpha", "beta", "value", "loss")]
    cells = alt.Chart().mark_rect(aria=False)
    cells = cells.encode(
        x=alt.X("alpha:O", title="alpha", axis=alt.Axis(labelAngle=0, format=".2~g")),
        y=alt.Y("beta:O", title="beta", sort="descending", axis=alt.Axis(format=".2~g")),
        color=alt.Color("value:Q", title="|min / max|", scale=alt.Scale(domain=[0, 1], clamp=True, scheme="viridis")),
        tooltip=["arm:N", "depth:O", *tips, "n:Q"],
    )
    chart = depth_panels(cells.properties(width=180, height=180), "row", rows)
    caption = (
        "|lambda_min / lambda_max| on a plane of two filter-normalised directions through the net, which is in the "
        "middle; the plane is that of landscape's contours. Dark: no negative curvature was found that is near the "
        "positive one (Li et al. 2018, fig. 7). Means over the seeds."
    )
    return finish(
        chart, "hessian_ratio", "Convexity around the net", caption, data, ("row", "depth"), alpha=0.0, beta=0.0
    )
