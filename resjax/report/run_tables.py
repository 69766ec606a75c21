"""One run in tables for wandb's charts, and its gradients in a few numbers, from its records."""

import math
from typing import Any

import polars as pl
import polars.selectors as cs

from resjax.records import METRICS_SCHEMA, Sweep
from resjax.report.groups import END, Pool, pool
from resjax.report.health import WEIGHTS, Health, assess, factors, growths, moments
from resjax.report.series import MOST_LAYERS, MOST_STEPS
from resjax.statistics import estimate

DIGITS = 5  # that count, in a table


def one_run(run: dict[str, Any], layers: pl.DataFrame) -> Pool:
    """A run as a pool of its own, finished or not: at forty steps or one more, and without the metrics (many)."""
    steps = layers["step"].unique().sort().to_list()
    kept = {*steps[:: math.ceil(len(steps) / MOST_STEPS)], *steps[-1:]}
    few = layers.filter(pl.col("step").is_in(kept)).with_columns(run=pl.lit(run["id"]))
    metrics = pl.DataFrame(schema={"run": pl.String, **METRICS_SCHEMA})
    return pool(Sweep((), [run | {"status": "done"}], metrics, few))


def tables(one: Pool) -> dict[str, pl.DataFrame]:
    """The table behind each chart, where the run has something to show."""
    shown = thinned(one.layers)
    units, weights = shown.filter(kind="unit"), shown.filter(pl.col("kind").is_in(WEIGHTS))
    gradients = over_seeds(units, "act_grad_norm").rename({"act_grad_norm": "value"})
    weight_gradients = over_seeds(weights, "grad_norm").rename({"grad_norm": "value"})
    found = {
        "activation_gradient": gradients.drop("layer"),
        "gradient_map": weight_gradients.drop("layer_depth", "low", "high"),
        "growth_rate": growth_rate(one),
        "response": response(weights),
        "variance": over_seeds(units, "act_var", "branch_var", "skip_var").drop("layer"),
    }
    seen = {name: table for name, table in found.items() if not table.is_empty()}
    return {name: table.with_columns(cs.float().round_sig_figs(DIGITS)) for name, table in seen.items()}


def thinned(layers: pl.DataFrame) -> pl.DataFrame:
    """A hundred and fifty weight layers and as many units, or one more of each: the last is kept."""
    layer = pl.col("layer")
    last = layer.max().over(pl.col("kind") == "unit")
    return layers.filter((layer % (last // MOST_LAYERS + 1) == 0) | (layer == last))


def over_seeds(layers: pl.DataFrame, quantity: str, *others: str) -> pl.DataFrame:
    """Each step and layer: the geometric mean over seeds of the values above 0; of the first the least and largest.

    n: the seeds that have the first.
    """
    above = {name: pl.when(pl.col(name) > 0).then(pl.col(name)) for name in (quantity, *others)}
    means = [values.log().mean().exp().alias(name) for name, values in above.items()]
    first = above[quantity]
    spread = [first.min().alias("low"), first.max().alias("high"), first.count().alias("n")]
    found = layers.group_by("step", "layer", "layer_depth", "name").agg(*means, *spread)
    return found.filter(pl.col("n") > 0).rename({"name": "layer_name"}).sort("step", "layer")


def growth_rate(one: Pool) -> pl.DataFrame:
    """The growth rate at every step, with its interval over seeds."""
    steps = dict(one.layers.select("moment", "step").unique().iter_rows())
    fits = {moment: by_seed for (_, moment), by_seed in growths(one, list(steps)).items()}
    found = []
    for moment in steps.keys() & fits.keys():
        rate = estimate(math.log(fit.rate) for fit in fits[moment].values())
        found.append((steps[moment], *factors(rate), rate.n))
    columns = {"step": pl.Int64, "rate": pl.Float64, "low": pl.Float64, "high": pl.Float64, "n": pl.Int64}
    return pl.DataFrame(found, schema=columns, orient="row").sort("step")


def response(weights: pl.DataFrame) -> pl.DataFrame:
    """Each layer's response_std at the last step that has one, twice: in the layers' order, and largest first."""
    every = over_seeds(weights, "response_std").rename({"response_std": "value", "layer": "position"})
    last = every.filter(pl.col("step") == pl.col("step").max())
    falling = last.sort("value", descending=True).with_columns(last["position"])
    orders = [last.with_columns(order=pl.lit("in order")), falling.with_columns(order=pl.lit("sorted"))]
    return pl.concat(orders).drop("layer_depth")


def numbers(one: Pool) -> dict[str, float | str]:
    """What the gradients do at the first probed step and at the end, as "gradient/end/rate" and so on."""
    seen = {item.moment: item for item in assess(one)}
    shown = dict.fromkeys((*moments(one)[:1], END))
    return {key: value for moment in shown if moment in seen for key, value in told(seen[moment]).items()}


def told(item: Health) -> dict[str, float | str]:
    """One moment: factors, means over seeds; what could not be fitted is left out."""
    where = END if item.moment == END else f"step {item.moment}"
    means = {name: factors(getattr(item, name))[0] for name in ("ratio", "rate", "range")}
    known: dict[str, float | str] = {name: value for name, value in means.items() if value is not None}
    return {f"gradient/{where}/{name}": value for name, value in (known | {"class": item.state, "n": item.n}).items()}
