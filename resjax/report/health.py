"""Which gradients explode, vanish or stay, group by group and moment by moment: what `classes` decides, from records.

ratio   |dL/dh| at the unit nearest the input / at the last unit. Depth within one network.
rate    the same a weight layer, from a line within stages; with it the power law's exponent and the depth scale.
range   the largest |dL/dh| / the smallest.
level   the geometric mean over weight layers of |dL/dw|, divided by 1 - exp(-training loss), relative to the shallowest
        network of the same arm, norm and settings at the same step: what depth alone has done. It catches what the
        ratio cannot: gradients equally tiny in every layer.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from resjax.classes import classify
from resjax.fits import Growth, growth
from resjax.report.groups import END, Group, Pool
from resjax.statistics import Estimate, estimate

TINY = 1e-38  # float32's smallest: what underflowed to zero on its way to the input counts as this
WEIGHTS = ("conv", "dense")
DECADES = tuple(str(10**power) for power in range(9))
MOST_MOMENTS = 6

SeedValues = dict[tuple[str, str], dict[int, float]]  # by group and moment: a logarithm a seed
SeedFits = dict[tuple[str, str], dict[int, Growth]]


@dataclass(frozen=True)
class Health:
    """One group at one moment. ratio, rate, range, level: of logarithms; exponent: of the power law.

    law: the closer one, of most seeds. lost: seeds that had diverged by then.
    """

    group: Group
    moment: str
    state: str
    ratio: Estimate
    rate: Estimate
    range: Estimate
    level: Estimate
    exponent: Estimate
    law: str | None
    lost: int

    @property
    def n(self) -> int:
        """Seeds."""
        return self.ratio.n

    @property
    def scale(self) -> tuple[float | None, float | None, float | None]:
        """The depth scale in weight layers, 1 / |ln rate|, and its interval; without end where the rate may be 1."""
        mean, low, high = self.rate.mean, self.rate.low, self.rate.high
        if mean is None or low is None or high is None:
            return (None if mean is None else _inverse(mean), None, None)
        ends = sorted((_inverse(low), _inverse(high)))
        return (_inverse(mean), ends[0], math.inf if low <= 0 <= high else ends[1])

    def row(self) -> dict[str, object]:
        """A row of the table behind it."""
        group = self.group
        names = {"setting": group.setting, "norm": group.norm, "depth": group.depth, "arm": group.arm}
        found: dict[str, object] = {"data": group.data, "model": group.model, **names}
        found |= {"step": self.moment, "state": self.state}
        for name in ("ratio", "rate", "range", "level"):
            found |= _columns(name, factors(getattr(self, name)))
        found |= _columns("exponent", (self.exponent.mean, self.exponent.low, self.exponent.high))
        found |= _columns("depth_scale", self.scale)
        return found | {"closer_law": self.law, "n": self.n, "diverged": self.lost}


def _inverse(log_rate: float) -> float:
    return 1 / abs(log_rate) if log_rate else math.inf


def _columns(name: str, values: tuple[float | None, ...]) -> dict[str, object]:
    return {f"{name}{end}": value for end, value in zip(("", "_low", "_high"), values, strict=True)}


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
    ended = END in pool.layers["moment"] or any(group.diverged for group in pool.groups)
    return steps + ([END] if ended else [])


def assess(pool: Pool) -> list[Health]:
    """Every group at every moment at which both ends of the network were seen, or at which seeds had diverged."""
    shown = moments(pool)
    ratios, spans = log_ratios(pool), log_ranges(pool)
    levels, fits = log_levels(pool, shown), growths(pool, shown)
    found = []
    for group in pool.groups:
        for moment in shown:
            at, lost = (group.id, moment), lost_by(group, moment)
            if ratios.get(at) or lost:
                level = relative(levels, group, reference(pool, group), moment)
                ratio, span = ratios.get(at, {}), spans.get(at, {})
                found.append(judge(group, moment, ratio, span, level, fits.get(at, {}), lost))
    return found


def judge(
    group: Group,
    moment: str,
    ratio: dict[int, float],
    span: dict[int, float],
    level: dict[int, float],
    fits: dict[int, Growth],
    lost: int,
) -> Health:
    """One group at one moment, from its seeds' values."""
    kept = [fits[seed] for seed in ratio if seed in fits]
    rates = estimate(math.log(fit.rate) for fit in kept)
    ratios, spans, levels = (estimate(values.values()) for values in (ratio, span, level))
    share = lost / max(len(group.seeds), 1)
    state = classify(ratios, rates, spans, levels, share)
    laws = Counter(fit.law for fit in kept).most_common(1)
    exponent = estimate(fit.exponent for fit in kept)
    return Health(group, moment, state, ratios, rates, spans, levels, exponent, laws[0][0] if laws else None, lost)


def lost_by(group: Group, moment: str) -> int:
    """The seeds that had diverged by then."""
    steps = [seed.diverged_at for seed in group.diverged]
    return len(steps) if moment == END else sum(step is not None and step < int(moment) for step in steps)


def growths(pool: Pool, shown: list[str]) -> SeedFits:
    """The fits of |dL/dh| against the depth, of every group, moment and seed whose values are all finite."""
    units = pool.layers.filter((pl.col("kind") == "unit") & pl.col("moment").is_in(shown)).sort("layer")
    found: SeedFits = {}
    for (group, moment, seed), rows in units.group_by("group", "moment", "seed", maintain_order=True):
        gradients = rows["act_grad_norm"]
        whole = not rows["layer_depth"].null_count() and not gradients.null_count() and gradients.is_finite().all()
        if not whole or gradients[-1] <= 0:
            continue
        fit = growth(
            rows["layer_depth"].to_list(), gradients.clip(lower_bound=TINY).log().to_list(), rows["stage"].to_list()
        )
        if fit is not None:
            found.setdefault((str(group), str(moment)), {})[int(str(seed))] = fit
    return found


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


def log_ranges(pool: Pool) -> SeedValues:
    """ln of the largest |dL/dh| over the smallest of all units, where every one is finite and not every one is zero."""
    units = pool.layers.filter(kind="unit")
    units = units.filter((pl.col("act_grad_norm") != 0).any().over("group", "moment", "seed"))
    gradient = pl.col("act_grad_norm").clip(lower_bound=TINY)
    ends = units.group_by("group", "moment", "seed", maintain_order=True).agg(
        (gradient.max() / gradient.min()).log().alias("value"),
        (gradient.is_null() | ~gradient.is_finite()).any().alias("bad"),
    )
    return by_seed(ends.filter(~pl.col("bad") & pl.col("value").is_not_null()).to_dicts())


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


def silent(pool: Pool) -> dict[tuple[str, str], dict[str, list[int]]]:
    """By panel and arm, then by moment: the depths at which |dL/dh| of every unit is zero, in every seed."""
    found: dict[tuple[str, str], dict[str, list[int]]] = {}
    units = pool.layers.filter(pl.col("kind") == "unit", pl.col("moment").is_in(moments(pool)))
    zero = units.group_by("group", "moment").agg((pl.col("act_grad_norm") == 0).fill_null(value=False).all())
    there = set(zero.filter("act_grad_norm").select("group", "moment").iter_rows())
    for group in pool.groups:
        for moment in (moment for moment in moments(pool) if (group.id, moment) in there):
            found.setdefault((group.panel, group.arm), {}).setdefault(moment, []).append(group.depth)
    return found


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
