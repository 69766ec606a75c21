"""How many seeds a difference needs, what a number of seeds can find, and a published mean beside ours.

All of it is for Student's two-sided t test at 5 %, for normal values whose std is known. That of three seeds hardly is:
the true one lies between 0.5 and 6 times it. `resjax.statistics.compare` asks for more, so where this says 80 % it
finds less: 61 % at six pairs, 75 % at seven and 77 % at eight, for there the sign-flip test has to agree; and of two
samples, by Welch's test, 69 % at three a side, 76 % at four, 78 % at five (tests/test_simulated_statistics.py).
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from scipy.special import nctdtr, stdtrit

from resjax.statistics import SIGNIFICANT, Comparison, mean_variance, welch_t

POWER = 0.8
HALVINGS = 60


def power(difference: float, std: float, n: int, paired: bool = True) -> float:
    """The probability that the test finds a true difference (Cohen 1988, noncentral t).

    P(|T| > t) with t = t_{f, 0.975} and T noncentral t of f degrees of freedom and noncentrality d. n pairs whose
    differences have std: f = n - 1, d = |difference| sqrt(n) / std. Two samples of n, each with std: f = 2 n - 2,
    d = |difference| sqrt(n / 2) / std. 0 below n = 2, where nothing can be tested; at std = 0 the limit, which is
    1, or 0.05 for a difference of 0.
    """
    if n < 2:
        return 0.0
    if std == 0:
        return 1.0 if difference else SIGNIFICANT
    freedom, root = design(n, paired)
    return rejection(abs(difference) * root / std, freedom)


def design(n: int, paired: bool) -> tuple[int, float]:
    """The t test's degrees of freedom, and its noncentrality for a difference of one std."""
    return (n - 1, math.sqrt(n)) if paired else (2 * n - 2, math.sqrt(n / 2))


def rejection(noncentrality: float, freedom: int) -> float:
    """P(|T| > t_{freedom, 0.975}); SciPy gives nan for some of the tails that are below 1e-26."""
    if math.isnan(noncentrality):
        return math.nan
    critical = float(stdtrit(freedom, 1 - SIGNIFICANT / 2))
    below, between = np.nan_to_num(nctdtr(freedom, noncentrality, np.array([-critical, critical])))
    return min(1.0, float(below + 1 - between))


def detectable(std: float | None, n: int, paired: bool = True) -> float | None:
    """The smallest difference that n pairs, or n a side, find with a power of 80 %; None below n = 2 or without std."""
    if n < 2 or std is None:
        return None
    freedom, root = design(n, paired)
    low, high = 0.0, 100.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rejection(middle, freedom) < POWER else (low, middle)
    return high * std / root


def seeds_needed(difference: float, std: float | None, paired: bool = True, most: int = 1000) -> int | None:
    """The smallest number of pairs, or of seeds a side, that finds the difference with a power of 80 %.

    None for a difference of 0, without std, and where more than `most` would be needed.
    """
    if not difference or std is None or not power(difference, std, most, paired) >= POWER:
        return None
    return 2 + bisect_left(range(2, most), POWER, key=lambda n: power(difference, std, n, paired))


def beside_published(values: Iterable[float], mean: float, std: float | None, n: int) -> Comparison:
    """Ours minus a published mean +- std over n runs, by Welch's test from the summary (Welch 1947).

    A single run on either side, or a mean without std, gives a difference and never a test.
    """
    x = np.array(list(values), np.float64)
    if not len(x):
        return Comparison(0, "none", None)
    difference = float(x.mean()) - mean
    if len(x) < 2 or n < 2 or std is None:
        return Comparison(min(len(x), n), "none", difference)
    found = welch_t(difference, mean_variance(x), std**2 / n, len(x), n)
    return found if found.p is None else replace(found, method="Welch t, published")
