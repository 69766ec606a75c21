"""Degradation as numbers: the gap to the shallowest net, its onset, how iterations to a loss grow with depth."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from resjax.fits import line
from resjax.report.claims import HIGHER, UNDECIDED, Claim, claim, series
from resjax.report.groups import Group, Pool
from resjax.report.measures import measure
from resjax.statistics import Estimate, estimate

NOTE = (
    "Gap: training error less that of the shallowest net of the same arm and settings, paired by seed. Onset: the "
    "first depth whose gap is above zero by the rule of the comparisons; at the latest there where a shallower one is "
    "undecided. Iterations: to the first step at which the training loss, a mean over a fiftieth of the steps, is at "
    "the stated one or below; a seed that never gets there is counted and left out, so that means are too low where "
    "there are any. Fit: each seed's straight line through ln iterations against depth, its factor for 10 layers more; "
    "where its interval leaves out 1 also the closer law, ln iterations against depth (exponential) or against its ln "
    "(power), which leaves less beside it."
)
BY_DEPTH: dict[str, Any] = {"panel": pl.String, "arm": pl.String, "depth": pl.Int64, "value": pl.Float64}
BY_DEPTH |= {"low": pl.Float64, "high": pl.Float64, "n": pl.Int64}


@dataclass(frozen=True)
class Step:
    """One depth of an arm. reached: of all seeds those that got to the loss; iterations: theirs; logs: the ln of it."""

    group: Group
    gap: Claim | None
    iterations: Estimate
    logs: Estimate
    reached: int

    def row(self, loss: float | None) -> dict[str, object]:
        """A row of the table."""
        group, gap = self.group, self.gap.comparison if self.gap else None
        names: dict[str, object] = {"norm": group.panel, "arm": group.arm, "depth": group.depth}
        told = {"gap": gap and gap.difference, "low": gap and gap.low, "high": gap and gap.high, "p": gap and gap.p}
        rest = {"outcome": self.gap.outcome if self.gap else None, "loss": loss, "reached": self.reached}
        numbers = {"iterations": self.iterations.mean, "std": self.iterations.std, "seeds": len(group.seeds)}
        return names | told | rest | numbers


@dataclass(frozen=True)
class Degradation:
    """An arm by depth. onset: None where no depth is worse; at_latest: whether a shallower one is undecided.

    growth: of ln iterations a layer, over seeds; law: "exponential" or "power", None from fewer than three depths,
    where as many seeds say the one as the other, or where the growth may be none.
    """

    panel: str
    arm: str
    steps: tuple[Step, ...]
    onset: int | None
    at_latest: bool
    growth: Estimate
    law: str | None

    @property
    def factors(self) -> tuple[float | None, float | None, float | None]:
        """For 10 layers more, with the interval."""
        return of_logs(self.growth, 10.0)


def of_logs(found: Estimate, times: float = 1.0) -> tuple[float | None, float | None, float | None]:
    """exp of so many times a logarithm's mean and the ends of its interval."""
    mean, low, high = (None if end is None else math.exp(times * end) for end in (found.mean, found.low, found.high))
    return mean, low, high


def degradation(pool: Pool, loss: float | None = None) -> list[Degradation]:
    """Every arm with two depths or more."""
    return [of_arm(pool, groups, loss) for groups in series(pool).values() if len({g.depth for g in groups}) > 1]


def of_arm(pool: Pool, groups: list[Group], loss: float | None) -> Degradation:
    """One arm, from its shallowest net on."""
    iterations = {group.id: measure(pool, group, "iterations_to_loss", loss) for group in groups}
    gaps = [claim("depth", group, groups[0], "train_error") for group in groups[1:]]
    steps = [
        Step(group, gap, estimate(found), estimate(map(math.log, found)), len(found))
        for group, gap in zip(groups, [None, *gaps], strict=True)
        for found in [list(iterations[group.id].values())]
    ]
    worse = next((gap for gap in gaps if gap.outcome == HIGHER), None)
    onset = worse.of.depth if worse else None
    open_ = [gap for gap in gaps if gap.outcome == UNDECIDED and (onset is None or gap.of.depth < onset)]
    fitted = fit(groups, iterations)
    return Degradation(groups[0].panel, groups[0].arm, tuple(steps), onset, bool(open_), *fitted)


def fit(groups: list[Group], iterations: dict[str, dict[int, float]]) -> tuple[Estimate, str | None]:
    """The growth a layer of ln iterations, a straight line a seed, and the closer law of most seeds."""
    slopes, closer = [], list[str]()
    for seed in sorted({seed for values in iterations.values() for seed in values}):
        points = [(g.depth, iterations[g.id][seed]) for g in groups if seed in iterations[g.id]]
        x, y = np.array([depth for depth, _ in points], float), np.log([value for _, value in points])
        if len(set(x)) < 2:
            continue
        centred = x - x.mean()
        slopes.append(float(centred @ y / (centred @ centred)))
        exponential, power = line(x, y, [0] * len(x)), line(np.log(x), y, [0] * len(x))
        if exponential and power:
            closer.append("power" if power.left < exponential.left else "exponential")
    growth = estimate(slopes)
    if growth.low is None or growth.high is None or growth.low <= 0 <= growth.high:
        return growth, None
    lead = closer.count("exponential") - closer.count("power")
    return growth, "exponential" if lead > 0 else "power" if lead < 0 else None


def by_depth(found: list[Degradation]) -> pl.DataFrame:
    """The geometric mean over seeds of the iterations, with its interval, for a figure on a log axis."""
    rows = [
        (one.panel, one.arm, step.group.depth, *of_logs(step.logs), step.reached)
        for one in found
        for step in one.steps
        if step.logs.mean is not None
    ]
    return pl.DataFrame(rows, schema=BY_DEPTH, orient="row")
