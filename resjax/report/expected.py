"""What theory expects of each group at step 0, and how far from it the probes are."""

import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from resjax.report.groups import Group, Pool
from resjax.report.health import TINY, Health, factors
from resjax.report.words import factor, percent
from resjax.statistics import Estimate, estimate
from resjax.theory import ASSUMPTIONS, OF_BATCH_NORM, Profile
from resjax.theory.summary import Summary, summary

RATE, RATIO, VARIANCE = "rate", "ratio", "variance"
WHAT = {
    RATE: "|dL/dh|, its factor a weight layer towards the input",
    RATIO: "|dL/dh|, first unit over last",
    VARIANCE: "forward variance, last unit over first",
}
NOTE = (
    "Predicted: mean-field recursions for each network at step 0. They assume that "
    f"{'; that '.join((*ASSUMPTIONS, OF_BATCH_NORM))}. "
    "Measured: the probes at step 0, geometric mean over seeds with its 95 % interval. Deviation: measured over "
    "predicted; nothing is fitted to agree."
)


@dataclass(frozen=True)
class Beside:
    """One number of one group, measured and predicted. measured: of the logarithm."""

    group: Group
    quantity: str
    measured: Estimate
    predicted: float

    @property
    def deviation(self) -> float | None:
        """Measured over predicted."""
        mean = factors(self.measured)[0]
        return None if mean is None or not self.predicted else mean / self.predicted

    def cells(self) -> list[str]:
        """The row for people."""
        group, (mean, low, high) = self.group, factors(self.measured)
        between = "" if low is None or high is None else f" [{factor(low)}, {factor(high)}]"
        numbers = [factor(mean) + between, factor(self.predicted), factor(self.deviation), str(self.measured.n)]
        return [group.panel, str(group.depth), group.arm, WHAT[self.quantity], *numbers]

    def words(self) -> str:
        """Such as: rate 1.19 / 1.21 (-1.7 %); nothing of the variance, which the table has."""
        if self.quantity == VARIANCE or self.deviation is None:
            return ""
        told = f"{self.quantity} {factor(factors(self.measured)[0])} / {factor(self.predicted)}"
        return f"{told} ({percent(self.deviation)})" if self.quantity == RATE else told

    def row(self) -> dict[str, object]:
        """A row of the table."""
        group = self.group
        mean, low, high = factors(self.measured)
        names: dict[str, object] = {
            "data": group.data,
            "model": group.model,
            "setting": group.setting,
            "norm": group.norm,
        }
        names |= {"depth": str(group.depth), "arm": group.arm, "quantity": self.quantity}
        numbers = {"measured": mean, "low": low, "high": high, "predicted": self.predicted, "deviation": self.deviation}
        return names | numbers | {"n": self.measured.n}


def beside(pool: Pool, health: list[Health]) -> list[Beside]:
    """Every group that was probed at step 0 and that theory knows."""
    found: list[Beside] = []
    for item in health:
        theory = item.group.theory
        if item.moment == "0" and item.ratio.n and isinstance(theory, Profile):
            found += _numbers(item, summary(theory), variances(pool, item.group))
    return found


def _numbers(item: Health, said: Summary, variance: Estimate) -> list[Beside]:
    rows = [Beside(item.group, RATIO, item.ratio, said.ratio)] if said.ratio > TINY else []
    if said.growth is not None and item.rate.n:
        rows.insert(0, Beside(item.group, RATE, item.rate, said.growth.rate))
    if variance.n and math.isfinite(said.variance) and said.variance > 0:
        rows.append(Beside(item.group, VARIANCE, variance, said.variance))
    return rows


def variances(pool: Pool, group: Group) -> Estimate:
    """ln of act_var at the last unit over the first, at step 0."""
    units = pool.layers.filter(pl.col("group") == group.id, pl.col("kind") == "unit", pl.col("moment") == "0")
    ends = (
        units.sort("layer")
        .group_by("seed", maintain_order=True)
        .agg(pl.col("act_var").first().alias("first"), pl.col("act_var").last().alias("last"))
    )
    known = ends.filter((pl.col("first") > 0) & (pl.col("last") > 0) & pl.col("last").is_finite())
    return estimate((known["last"] / known["first"]).log().to_list())


def lines(pool: Pool) -> pl.DataFrame:
    """The theory's values at step 0 by group and name, of units and of weight layers.

    log_grad: ln of |dL/dh|, or |dL/dw|, over |dL/dh| of the last unit.
    """
    rows: list[tuple[str, str, float, float | None]] = []
    for group in pool.groups:
        if isinstance(group.theory, Profile):
            rows += [(group.id, unit.name, unit.log_grad, unit.act_var) for unit in group.theory.units]
            rows += [(group.id, weight.name, weight.log_grad, None) for weight in group.theory.weights]
    schema: dict[str, Any] = {"group": pl.String, "name": pl.String, "log_grad": pl.Float64, "var": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def with_theory(pool: Pool, data: pl.DataFrame, quantity: str) -> pl.DataFrame:
    """Rows by group, moment and name, with the column `theory`: null but at step 0, and where nothing is expected.

    Gradients are drawn through the measured |dL/dh| of the last unit; variances as they are expected.
    """
    units = pool.layers.filter(pl.col("kind") == "unit", pl.col("moment") == "0", pl.col("act_grad_norm") > 0)
    last = units.filter(pl.col("layer") == pl.col("layer").max().over("group"))
    anchors = last.group_by("group").agg(pl.col("act_grad_norm").log().mean().alias("anchor"))
    known = lines(pool).join(anchors, on="group", how="left")
    value = pl.col("var") if quantity == "act_var" else (pl.col("log_grad") + pl.col("anchor")).exp()
    known = known.select("group", "name", theory=value, moment=pl.lit("0"))
    found = data.join(known, on=["group", "name", "moment"], how="left", maintain_order="left")
    return found.with_columns(pl.when(pl.col("theory").is_finite() & (pl.col("theory") > 0)).then("theory"))
