"""The tidy data behind every figure: what stands in tables/*.csv is what is drawn."""

import math
from typing import Any

import polars as pl

from resjax.report.expected import with_theory
from resjax.report.groups import END, Group, Pool
from resjax.report.health import WEIGHTS, moments

POINTS = 100  # a training curve's points; each is a mean over a stretch of steps
MOST_STEPS = 40  # columns of a heat-map
THEORY = "theory"  # the moment at which what is expected of step 0 stands in a heat-map
MOST_LAYERS = 150  # of one network; deeper ones are thinned
UNITS, LAYERS, VARIANCES = "act_grad_norm", "grad_norm", "act_var"
FACTS = {"group": pl.String, "panel": pl.String, "arm": pl.String, "depth": pl.Int64}


def facts(pool: Pool) -> pl.DataFrame:
    """What is drawn of a group beside its numbers."""
    found = [(group.id, group.panel, group.arm, group.depth) for group in pool.groups]
    return pl.DataFrame(found, schema=FACTS, orient="row")


def finished(pool: Pool) -> pl.DataFrame:
    """The seeds whose curves are drawn."""
    keys = [(group.id, seed.number) for group in pool.groups for seed in group.finished]
    return pl.DataFrame(keys, schema={"group": pl.String, "seed": pl.Int64}, orient="row")


def over_seeds(frame: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Mean, least and largest `value`, with n."""
    value = pl.col("value")
    drawn = frame.filter(value.is_not_null()).group_by(by, maintain_order=True)
    return drawn.agg(value.mean(), value.min().alias("low"), value.max().alias("high"), pl.len().alias("n"))


def training_curves(pool: Pool) -> pl.DataFrame:
    """Error in percent against the step: training in stretches of a hundredth of the steps, test as evaluated."""
    metrics = pool.metrics.join(finished(pool), on=["group", "seed"])
    width = (pl.col("end") / POINTS).ceil().clip(lower_bound=1).cast(pl.Int64)
    stretch = metrics.filter(pl.col("train_error").is_not_null()).with_columns(stretch=pl.col("step") // width)
    smooth = stretch.group_by("group", "seed", "stretch", maintain_order=True).agg(
        pl.col("step").mean(), pl.col("train_error").mean().alias("value")
    )
    tested = metrics.filter(pl.col("test_error").is_not_null())
    tested = tested.select("group", "seed", pl.col("step").cast(pl.Float64), pl.col("test_error").alias("value"))
    parts = [
        over_seeds(frame.with_columns(pl.col("value") * 100), ["group", "step"]).with_columns(error=pl.lit(what))
        for frame, what in ((smooth, "training"), (tested, "test"))
    ]
    return pl.concat(parts).join(facts(pool), on="group", maintain_order="left").drop("group")


def divergences(pool: Pool) -> pl.DataFrame:
    """The step at which each diverged seed diverged."""
    found = [
        {"panel": group.panel, "arm": group.arm, "depth": group.depth, "seed": seed.number, "step": seed.diverged_at}
        for group in pool.groups
        for seed in group.diverged
    ]
    schema = {"panel": pl.String, "arm": pl.String, "depth": pl.Int64, "seed": pl.Int64, "step": pl.Int64}
    return pl.DataFrame(found, schema=schema)


def final_by_depth(pool: Pool) -> pl.DataFrame:
    """Every seed's final values; errors in percent. One that diverged has none: its value is null."""
    found = [
        _final(group, number, group.final(q).get(number), q) for group in pool.groups for number, q in _cells(group)
    ]
    schema = {"panel": pl.String, "arm": pl.String, "depth": pl.Int64, "quantity": pl.String}
    return pl.DataFrame(found, schema=schema | {"seed": pl.Int64, "value": pl.Float64, "diverged": pl.Boolean})


def _cells(group: Group) -> list[tuple[int, str]]:
    quantities = ("train_loss", "train_error", "test_error")
    return [(seed.number, quantity) for quantity in quantities for seed in group.seeds]


def _final(group: Group, number: int, value: float | None, quantity: str) -> dict[str, Any]:
    scale = 1 if quantity == "train_loss" else 100
    names = {"panel": group.panel, "arm": group.arm, "depth": group.depth, "quantity": quantity, "seed": number}
    lost = number in {seed.number for seed in group.diverged}
    return names | {"value": None if value is None else scale * value, "diverged": lost}


def gradients(pool: Pool, quantity: str, shown: list[str] | None = None) -> pl.DataFrame:
    """A quantity by layer and moment: geometric mean, least and largest over seeds, of the values above zero.

    position: 0 at the layer nearest the input, 1 at the last; theory: what is expected there at step 0.
    """
    kinds = list(WEIGHTS) if quantity == LAYERS else ["unit"]
    layers = pool.layers.filter(pl.col("kind").is_in(kinds) & pl.col(quantity).is_not_null())
    layers = layers.filter(pl.col("moment").is_in(moments(pool) if shown is None else shown))
    logs = layers.filter(pl.col(quantity) > 0).with_columns(pl.col(quantity).log().alias("value"))
    found = over_seeds(logs, ["group", "moment", "step", "layer", "name"])
    last = pl.col("layer").max().over("group").clip(lower_bound=1)
    found = found.filter((pl.col("layer") % (last // MOST_LAYERS + 1) == 0) | (pl.col("layer") == last))
    found = found.with_columns(pl.col("value", "low", "high").exp(), position=pl.col("layer") / last)
    ordered = (
        with_theory(pool, found, quantity).join(facts(pool), on="group").sort("panel", "depth", "arm", "step", "layer")
    )
    return ordered.select(
        "panel", "depth", "arm", "moment", "step", "layer", "position", "name", "value", "low", "high", "n", "theory"
    )


def left_out(pool: Pool, quantity: str) -> int:
    """How many values of the layers a log axis cannot show: zeros."""
    return pool.layers.filter(pl.col(quantity) <= 0).height


def thinned(pool: Pool) -> str:
    """What a caption adds where layers are left out."""
    deep = max((group.depth for group in pool.groups), default=0) > MOST_LAYERS
    return f" Networks of more than {MOST_LAYERS} layers are thinned to about as many." if deep else ""


def many_moments(pool: Pool) -> list[str]:
    """Every probed step, thinned to forty, and the end."""
    steps = sorted((m for m in pool.layers["moment"].unique() if m != END), key=int)
    return [*steps[:: max(1, math.ceil(len(steps) / MOST_STEPS))], END]


def heat_map(pool: Pool) -> pl.DataFrame:
    """The weight layers' gradient norms at every probed step, thinned to forty, and what is expected of step 0."""
    seen = gradients(pool, LAYERS, many_moments(pool)).drop("low", "high", "position")
    expected = seen.filter(pl.col("theory").is_not_null()).with_columns(value="theory", moment=pl.lit(THEORY))
    return pl.concat([expected, seen]).drop("theory")


def significant(frame: pl.DataFrame, digits: int = 4) -> list[dict[str, Any]]:
    """Rows for a specification, with so many digits that count."""
    return [{key: _short(value, digits) for key, value in row.items()} for row in frame.to_dicts()]


def _short(value: Any, digits: int) -> Any:
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
