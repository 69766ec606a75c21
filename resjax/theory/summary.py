"""What a profile comes to, in the numbers that are measured too."""

import math
from dataclasses import dataclass

from resjax.classes import classify
from resjax.fits import Growth, growth
from resjax.statistics import estimate, exactly
from resjax.theory.profile import Profile

FLOAT32 = 3.4e38  # the largest number


@dataclass(frozen=True)
class Summary:
    """ratio: |dL/dh| at the first unit over that at the last; growth: its fits; variance: act_var, last over first.

    state: by the thresholds of `classes`, as if measured without error; diverged where activations leave float32.
    """

    ratio: float
    growth: Growth | None
    variance: float
    state: str


def summary(profile: Profile) -> Summary:
    """Its numbers; ratio and variance are held within the range of floating point."""
    units = profile.units
    logs = [unit.log_grad for unit in units]
    fit = growth([unit.layer_depth for unit in units], logs, [unit.stage for unit in units])
    log_ratio = logs[0] - logs[-1]
    log_range = max(logs) - min(logs)
    overflows = any(math.sqrt(unit.act_q) > FLOAT32 for unit in units)
    rate = exactly(math.log(fit.rate)) if fit else estimate([])
    state = classify(exactly(log_ratio), rate, exactly(log_range), estimate([]), float(overflows))
    variance = units[-1].act_var / units[0].act_var
    return Summary(math.exp(min(max(log_ratio, -700.0), 700.0)), fit, variance, state)
