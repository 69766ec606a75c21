"""The atlas as numbers: how fast gradients grow at every step, what the ends differ by at every depth, responses."""

import math
from typing import Any

import polars as pl

from resjax.report.groups import END, Group, Pool
from resjax.report.health import Health, factors, growths
from resjax.report.series import FACTS, facts, many_moments, over_seeds
from resjax.statistics import estimate
from resjax.theory import Profile
from resjax.theory.summary import Summary, summary

NUMBERS = dict.fromkeys(("value", "low", "high", "theory"), pl.Float64) | {"n": pl.Int64}


def said(group: Group) -> Summary | None:
    """What theory says of a group in a few numbers."""
    return summary(group.theory) if isinstance(group.theory, Profile) else None


def rates(pool: Pool) -> pl.DataFrame:
    """The growth rate a weight layer at every probed step, mean and 95 % interval over seeds; theory at step 0."""
    fits = growths(pool, many_moments(pool))
    steps = {(row["group"], row["moment"]): row["step"] for row in pool.layers.unique(["group", "moment"]).to_dicts()}
    groups = {group.id: group for group in pool.groups}
    rows: list[dict[str, Any]] = []
    for (group, moment), found in fits.items():
        number = estimate(math.log(fit.rate) for fit in found.values())
        value, low, high = factors(number)
        expected = said(groups[group]) if moment == "0" else None
        theory = expected.growth.rate if expected and expected.growth else None
        names = {"group": group, "moment": moment, "step": steps[group, moment]}
        rows.append(names | {"value": value, "low": low, "high": high, "theory": theory, "n": number.n})
    schema = {"group": pl.String, "moment": pl.String, "step": pl.Int64} | NUMBERS
    named = pl.DataFrame(rows, schema=schema).join(facts(pool), on="group")
    return named.sort("panel", "depth", "arm", "step").drop("group")


def ratios(health: list[Health]) -> pl.DataFrame:
    """|dL/dh| at the first unit over that at the last, by depth and moment; theory at step 0."""
    rows = []
    for item in health:
        value, low, high = factors(item.ratio)
        expected = said(item.group) if item.moment == "0" else None
        group, theory = item.group, expected.ratio if expected else None
        names = {"panel": group.panel, "arm": group.arm, "depth": group.depth, "moment": item.moment}
        rows.append(names | {"value": value, "low": low, "high": high, "theory": theory, "n": item.n})
    schema = {key: kind for key, kind in FACTS.items() if key != "group"} | {"moment": pl.String} | NUMBERS
    return pl.DataFrame(rows, schema=schema).drop_nulls("value")


def responses(pool: Pool) -> pl.DataFrame:
    """response_std of the trained nets' weight layers, geometric mean over seeds, and its rank from the largest."""
    layers = pool.layers.filter(pl.col("moment") == END, pl.col("kind") != "unit", pl.col("response_std") > 0)
    logs = layers.with_columns(pl.col("response_std").log().alias("value"))
    found = over_seeds(logs, ["group", "layer", "layer_depth", "name"])
    found = found.with_columns(pl.col("value", "low", "high").exp())
    ranked = found.with_columns(rank=pl.col("value").rank("ordinal", descending=True).over("group"))
    named = ranked.join(facts(pool), on="group").sort("panel", "arm", "depth", "layer")
    return named.drop("group")
