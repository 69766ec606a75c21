"""Which gradients explode, vanish or stay: stated thresholds on two numbers, with an interval over seeds.

ratio   |dL/dh| at the unit nearest the input / at the last unit. Depth within one network.
level   the geometric mean over weight layers of |dL/dw|, divided by 1 - exp(-training loss), the size of the error
        signal at the logits, so that a network that has learned is not taken for one whose gradients vanish; relative
        to the shallowest network of the same arm, norm and settings at the same step: what depth alone has done.

The level catches what the ratio cannot: gradients equally tiny in every layer.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from resjax.report.groups import END, Group, Pool
from resjax.report.statistics import Estimate, estimate

RATIO, LEVEL = 100.0, 100.0  # two orders of magnitude
TINY = 1e-38  # float32's smallest: what underflowed to zero on its way to the input counts as this
EXPLODING, VANISHING, STEADY, UNDECIDED, OPPOSED = "exploding", "vanishing", "steady", "undecided", "opposed"
WEIGHTS = ("conv", "dense")
DECADES = tuple(str(10**power) for power in range(9))
MOST_MOMENTS = 6

RULE = (
    "Two numbers decide. The ratio is the gradient's norm at the unit nearest the input, divided by that at the last "
    f"unit: exploding above {RATIO:g}, vanishing below 1/{RATIO:g}, steady between. The level is the geometric mean of "
    f"the weight layers' gradient norms, divided by 1 - exp(-training loss) (the error signal at the logits, so that a "
    "net that has learned is not taken for one whose gradients vanish) and relative to the shallowest net of the "
    f"same arm, norm and settings at the same step: exploding above {LEVEL:g}, vanishing below 1/{LEVEL:g}. The whole "
    "95 % interval of the logarithm over seeds (Student's t; BCa bootstrap from 10) has to lie on one side, else the "
    "outcome is undecided; so is every outcome from one seed. Either number alone makes exploding or vanishing; where "
    "they say opposite things, the outcome is opposed; steady needs both, or the ratio alone where there is no "
    "shallower net to compare the level with. A gradient that underflowed to zero on its way counts as 1e-38; a layer "
    "whose gradient is zero while that at its unit's output is not is left out of the level, as its branch is switched "
    "off (ReZero at step 0, stochastic depth); a seed of which none left the last layer is left out."
)

SeedValues = dict[tuple[str, str], dict[int, float]]  # by group and moment: a logarithm a seed


@dataclass(frozen=True)
class Health:
    """One group at one moment. ratio, level: of logarithms."""

    group: Group
    moment: str
    state: str
    ratio: Estimate
    level: Estimate | None

    @property
    def n(self) -> int:
        """Seeds."""
        return self.ratio.n

    def row(self) -> dict[str, object]:
        """A row of the table behind it."""
        group = self.group
        names = {"setting": group.setting, "norm": group.norm, "depth": group.depth, "arm": group.arm}
        numbers = {f"ratio{end}": value for end, value in zip(("", "_low", "_high"), factors(self.ratio), strict=True)}
        level = factors(self.level) if self.level else (None, None, None)
        numbers |= {f"level{end}": value for end, value in zip(("", "_low", "_high"), level, strict=True)}
        return {"data": group.data, "model": group.model, **names, "step": self.moment, "state": self.state} | {
            **numbers,
            "n": self.n,
        }


def factors(found: Estimate) -> tuple[float | None, ...]:
    """The mean and the interval of a logarithm, as factors."""
    return tuple(None if value is None else _exp(value) for value in (found.mean, found.low, found.high))


def _exp(value: float) -> float:
    """e^value, held within the range of floating point."""
    return math.exp(min(max(value, -700.0), 700.0))


def moments(pool: Pool) -> list[str]:
    """The steps that are shown: all, or powers of ten where there are many; the end is the last."""
    there_are = {moment for moment in pool.layers["moment"].unique() if moment != END}
    steps = sorted(there_are, key=int)
    if len(steps) >= MOST_MOMENTS:
        decades = [step for step in steps if step in ("0", *DECADES)]
        steps = decades if len(decades) > 1 else steps[:: math.ceil(len(steps) / MOST_MOMENTS)]
    return steps + ([END] if END in pool.layers["moment"] else [])


def assess(pool: Pool) -> list[Health]:
    """Every group at every moment at which both ends of the network were seen."""
    shown = moments(pool)
    ratios, levels = log_ratios(pool), log_levels(pool, shown)
    found = []
    for group in pool.groups:
        for moment in shown:
            if ratio := ratios.get((group.id, moment)):
                level = relative(levels, group, reference(pool, group), moment)
                found.append(judge(group, moment, estimate(ratio.values()), estimate(level.values())))
    return found


def judge(group: Group, moment: str, ratio: Estimate, level: Estimate) -> Health:
    """The rule."""
    by_ratio = side(ratio, math.log(RATIO))
    by_level = side(level, math.log(LEVEL)) if level.n else STEADY
    loud = {by_ratio, by_level} & {EXPLODING, VANISHING}
    if len(loud) == 2:
        state = OPPOSED
    elif loud:
        state = loud.pop()
    else:
        state = UNDECIDED if UNDECIDED in (by_ratio, by_level) else STEADY
    return Health(group, moment, state, ratio, level if level.n else None)


def side(found: Estimate, threshold: float) -> str:
    """On which side of +- threshold the interval lies."""
    if found.low is None or found.high is None:
        return UNDECIDED
    if found.low > threshold:
        return EXPLODING
    if found.high < -threshold:
        return VANISHING
    return STEADY if -threshold <= found.low and found.high <= threshold else UNDECIDED


def by_seed(rows: Iterable[dict[str, object]]) -> SeedValues:
    """Rows with group, moment, seed and value, as logarithms by group and moment."""
    found: SeedValues = {}
    for row in rows:
        found.setdefault((str(row["group"]), str(row["moment"])), {})[int(str(row["seed"]))] = float(str(row["value"]))
    return found


def log_ratios(pool: Pool) -> SeedValues:
    """ln of |dL/dh| at the first unit over that at the last, where both are finite."""
    units = pool.layers.filter(kind="unit").sort("layer")
    gradient = pl.col("act_grad_norm")
    ends = units.group_by("group", "moment", "seed", maintain_order=True).agg(
        gradient.first().alias("first"), gradient.last().alias("last"), pl.len()
    )
    ends = ends.filter((pl.col("len") > 1) & (pl.col("last") > 0)).drop_nulls(["first", "last"])
    logs = [pl.col(name).clip(lower_bound=TINY).log() for name in ("first", "last")]
    return by_seed(ends.with_columns(value=logs[0] - logs[1]).to_dicts())


def log_levels(pool: Pool, shown: list[str]) -> SeedValues:
    """ln of the geometric mean of |dL/dw| over the error signal, where every layer's gradient is finite.

    A branch that is switched off gives its weights no gradient while one passes the unit: that is none that vanished.
    """
    own = ["group", "moment", "seed", "unit"]
    units = pool.layers.filter(kind="unit").rename({"name": "unit", "act_grad_norm": "passing"}).select(*own, "passing")
    weights = pool.layers.filter(pl.col("kind").is_in(WEIGHTS)).sort("layer")
    weights = weights.with_columns(unit=pl.col("name").str.replace(r"\.[^.]*$", ""))
    layers = weights.join(units, on=own, how="left", maintain_order="left")
    gradient = pl.col("grad_norm")
    off = (gradient == 0) & (pl.col("passing") > TINY).fill_null(value=False)
    means = layers.group_by("group", "moment", "seed", maintain_order=True).agg(
        gradient.filter(~off).clip(lower_bound=TINY).log().mean().alias("log"),
        gradient.null_count().alias("bad"),
        gradient.last().alias("last"),
    )
    both = means.filter((pl.col("bad") == 0) & (pl.col("last") > 0)).join(
        losses(pool, shown), on=["group", "moment", "seed"]
    )
    signal = (1 - (-pl.col("loss")).exp()).clip(lower_bound=TINY)
    return by_seed(both.with_columns(value=pl.col("log") - signal.log()).to_dicts())


def losses(pool: Pool, shown: list[str]) -> pl.DataFrame:
    """The training loss at each moment: of the batch logged there or last before; at the end, the final one."""
    logged = pool.metrics.filter(pl.col("train_loss").is_not_null())
    schema = {"group": pl.String, "seed": pl.Int64, "loss": pl.Float64, "moment": pl.String}
    parts = [pl.DataFrame(schema=schema)]
    for moment in shown:
        if moment != END:
            before = logged.filter(pl.col("step") <= int(moment)).sort("step")
            last = before.group_by("group", "seed", maintain_order=True).agg(pl.col("train_loss").last().alias("loss"))
            parts.append(last.with_columns(moment=pl.lit(moment)))
    final = [
        (group.id, number, loss, END) for group in pool.groups for number, loss in group.final("train_loss").items()
    ]
    return pl.concat([*parts, pl.DataFrame(final, schema=schema, orient="row")])


def reference(pool: Pool, group: Group) -> Group | None:
    """The shallowest network of the same arm, norm and settings."""
    alike = [g for g in pool.groups if (g.arm, g.norm, g.context) == (group.arm, group.norm, group.context)]
    return min(alike, key=lambda g: g.depth, default=None)


def relative(levels: SeedValues, group: Group, to: Group | None, moment: str) -> dict[int, float]:
    """The level's logarithm less the reference's, by seed; nothing where the group is the reference."""
    if to is None or to.id == group.id:
        return {}
    own, other = levels.get((group.id, moment), {}), levels.get((to.id, moment), {})
    return {seed: own[seed] - other[seed] for seed in sorted(own.keys() & other.keys())}
