"""What a network's gradients do, in one word: stated thresholds on ratio, rate, range and level, with their intervals.

All four are of one group at one moment, over its seeds; the thresholds, like the sentences, know of no network.
"""

import math

from resjax.statistics import Estimate

RATIO, LEVEL, RANGE = 100.0, 100.0, 100.0  # two orders of magnitude
LOST = 0.5  # of the seeds: with so many diverged, the outcome is that
EXPLODING, HEALTHY, VANISHING, DIVERGED, UNDECIDED = "exploding", "healthy", "vanishing", "diverged", "undecided"

RULE = (
    "Four numbers decide, each with its 95 % interval over seeds of its logarithm (Student's t; BCa bootstrap from "
    "10). "
    "The ratio is |dL/dh| at the unit nearest the input over that at the last unit. The rate is its factor from one "
    "weight layer to the one before, from a straight line through the logarithms within each stage, so that a jump at "
    "a stage's border is none of it. The range is the largest over the smallest |dL/dh| of all units. The level is the "
    "geometric mean of the weight layers' gradient norms, divided by 1 - exp(-training loss) (the error signal at the "
    "logits, so that a net that has learned is not taken for one whose gradients vanish) and relative to the "
    "shallowest net of the same arm, norm and settings at the same step. Exploding: the whole interval of the ratio "
    f"above {RATIO:g} and that of the rate above 1, or that of the level above {LEVEL:g}. Vanishing: that of the ratio "
    f"below 1/{RATIO:g} and that of the rate below 1, or that of the level below 1/{LEVEL:g}. Healthy: ratio and level "
    f"wholly between these, and the range below {RANGE:g}; the ratio and the range alone where there is no shallower "
    "net to compare the level with. Where stages are too short for a line the ratio stands without the rate. Diverged: "
    "half of the seeds or more are lost by then. Everything else is undecided: an interval across a threshold, one "
    "seed, a jump without a trend, ratio and level that say opposite things. A gradient that underflowed to zero on "
    "its way counts as 1e-38; a layer whose gradient is zero while that at its unit's output is not is left out of the "
    "level, as its branch is switched off (ReZero at step 0, stochastic depth); a seed of which none left the last "
    "layer is left out."
)


def classify(ratio: Estimate, rate: Estimate, span: Estimate, level: Estimate, lost: float = 0.0) -> str:
    """The rule. The estimates are of logarithms; one without values says nothing. lost: share of the diverged seeds."""
    if lost >= LOST:
        return DIVERGED
    by_ratio = side(ratio, math.log(RATIO))
    if by_ratio in (EXPLODING, VANISHING) and rate.n and side(rate, 0.0) != by_ratio:
        by_ratio = UNDECIDED
    by_level = side(level, math.log(LEVEL)) if level.n else HEALTHY
    loud = {by_ratio, by_level} & {EXPLODING, VANISHING}
    if len(loud) == 1:
        return loud.pop()
    quiet = by_ratio == by_level == HEALTHY and side(span, math.log(RANGE)) == HEALTHY and span.n >= ratio.n
    return HEALTHY if quiet else UNDECIDED


def side(found: Estimate, threshold: float) -> str:
    """On which side of +- threshold the interval lies."""
    if found.low is None or found.high is None:
        return UNDECIDED
    if found.low > threshold:
        return EXPLODING
    if found.high < -threshold:
        return VANISHING
    return HEALTHY if -threshold <= found.low and found.high <= threshold else UNDECIDED
