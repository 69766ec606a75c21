"""Intervals and tests at the few seeds that people have: t below ten, bootstrap from ten, permutations from six.

At n = 3 a bootstrap interval of 95 % covers the mean 72 times in 100, Student's t about 95 times; a sign-flip test of
n pairs cannot go below p = 2 / 2^n.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

CONFIDENCE = 0.95
SIGNIFICANT = 0.05
BOOTSTRAP_FROM = 10
PERMUTATION_FROM = 6
EXACT_UP_TO = 16
RESAMPLES = 10_000
NO_SPREAD = 1e-9  # relative to the values, or to 1e-6; below it they differ by rounding only

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A mean with its sample standard deviation (ddof 1) and its 95 % interval; None where n is too small."""

    n: int
    mean: float | None
    std: float | None
    low: float | None
    high: float | None

    @property
    def half(self) -> float | None:
        """Half the interval's width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True)
class Comparison:
    """The mean of a - b with its interval. n: pairs, or for Welch's test the smaller sample.

    p is that of the t test below ten pairs and that of the sign-flip test from ten; p_permutation that of the
    sign-flip test from six. None where there is nothing to test with: one pair, or differences that are all equal.
    """

    n: int
    method: str
    difference: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_permutation: float | None = None

    @property
    def sign(self) -> int:
        """1 or -1 if the interval excludes zero and every p is below 0.05, else 0."""
        tests = [p for p in (self.p, self.p_permutation) if p is not None]
        if self.difference is None or self.low is None or self.high is None or not tests:
            return 0
        if self.low <= 0 <= self.high or max(tests) >= SIGNIFICANT:
            return 0
        return 1 if self.difference > 0 else -1

    def within(self, margin: float) -> bool:
        """Whether the whole interval lies within +- margin."""
        return self.low is not None and self.high is not None and -margin < self.low <= self.high < margin


def estimate(values: Iterable[float]) -> Estimate:
    """The mean of independent values with its interval."""
    x = np.array(list(values), np.float64)
    if len(x) < 2:
        return Estimate(len(x), float(x[0]) if len(x) else None, None, None, None)
    low, high = bca_interval(x) if len(x) >= BOOTSTRAP_FROM else t_interval(x)
    return Estimate(len(x), float(x.mean()), float(x.std(ddof=1)), low, high)


def exactly(value: float) -> Estimate:
    """A number that is known without error."""
    return Estimate(1, value, 0.0, value, value)


def deviation(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None from one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def has_spread(x: Array) -> bool:
    """Whether the values differ by more than rounding."""
    return bool(np.ptp(x) > NO_SPREAD * max(np.abs(x).max(), 1e-6))


def t_interval(x: Array) -> tuple[float, float]:
    """mean +- t_{n-1} s / sqrt(n)."""
    half = float(stdtrit(len(x) - 1, (1 + CONFIDENCE) / 2)) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return float(x.mean()) - half, float(x.mean()) + half


def bca_interval(x: Array, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The bias-corrected and accelerated bootstrap interval of the mean (Efron 1987)."""
    if not has_spread(x):
        return float(x.mean()), float(x.mean())
    means = np.random.default_rng(0).choice(x, (resamples, len(x))).mean(axis=1)
    bias = ndtri(np.clip((np.mean(means < x.mean()) + np.mean(means <= x.mean())) / 2, 1e-6, 1 - 1e-6))
    # The jackknife's means depart from the mean by (mean - x) / (n - 1).
    away = x - x.mean()
    acceleration = np.sum(away**3) / (6 * np.sum(away**2) ** 1.5)
    z = bias + ndtri([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    low, high = np.quantile(means, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def compare(a: dict[int, float], b: dict[int, float]) -> Comparison:
    """a - b, paired by seed where at least two are shared, else by Welch's test."""
    shared = sorted(a.keys() & b.keys())
    if len(shared) >= 2:
        return paired(np.array([a[seed] for seed in shared]) - np.array([b[seed] for seed in shared]))
    x, y = np.array(list(a.values())), np.array(list(b.values()))
    if min(len(x), len(y)) >= 2:
        return welch(x, y)
    if not len(x) or not len(y):
        return Comparison(0, "none", None)
    difference = a[shared[0]] - b[shared[0]] if shared else float(x.mean() - y.mean())
    return Comparison(1, "none", difference)


def interaction(
    a_deep: dict[int, float], a_shallow: dict[int, float], b_deep: dict[int, float], b_shallow: dict[int, float]
) -> Comparison:
    """By how much depth changes a more than b: (a_deep - a_shallow) - (b_deep - b_shallow), paired by seed.

    Only the seeds that all four share; with one of them there is a difference and no test.
    """
    shared = sorted(a_deep.keys() & a_shallow.keys() & b_deep.keys() & b_shallow.keys())
    return paired(np.array([(a_deep[seed] - a_shallow[seed]) - (b_deep[seed] - b_shallow[seed]) for seed in shared]))


def paired(differences: Array) -> Comparison:
    """The mean of paired differences; no test of one, or none."""
    n, found = len(differences), estimate(differences)
    if n < 2:
        return Comparison(n, "none", found.mean)
    if not has_spread(differences):
        return Comparison(n, "no spread", found.mean, found.low, found.high)
    flips = sign_flip_p(differences) if n >= PERMUTATION_FROM else None
    if n >= BOOTSTRAP_FROM:
        return Comparison(n, "sign-flip", found.mean, found.low, found.high, flips, flips)
    return Comparison(n, "paired t", found.mean, found.low, found.high, t_p(differences), flips)


def t_p(x: Array) -> float:
    """Two-sided p of the one-sample t test of mean zero."""
    t = float(x.mean()) / (float(x.std(ddof=1)) / math.sqrt(len(x)))
    return float(2 * stdtr(len(x) - 1, -abs(t)))


def sign_flip_p(x: Array) -> float:
    """Two-sided p of the sign-flip permutation test of mean zero: exact up to 16 pairs, else by 10 000 flips."""
    n, seen = len(x), abs(float(x.sum()))
    if n <= EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(np.mean(np.abs(signs @ x) >= seen * (1 - NO_SPREAD)))
    signs = np.random.default_rng(0).choice([-1, 1], (RESAMPLES, n))
    return float((1 + np.sum(np.abs(signs @ x) >= seen * (1 - NO_SPREAD))) / (1 + RESAMPLES))


def welch(x: Array, y: Array) -> Comparison:
    """The difference of two independent means by Welch's test."""
    return welch_t(float(x.mean() - y.mean()), mean_variance(x), mean_variance(y), len(x), len(y))


def mean_variance(x: Array) -> float:
    """s^2 / n, the variance of the mean; 0 where the values differ by rounding only."""
    return float(x.var(ddof=1)) / len(x) if has_spread(x) else 0.0


def welch_t(difference: float, a: float, b: float, m: int, n: int) -> Comparison:
    """Welch's test of the difference of two means, whose variances a and b are those of m and n values (Welch 1947).

    t = difference / sqrt(a + b) with (a + b)^2 / (a^2 / (m - 1) + b^2 / (n - 1)) degrees of freedom.
    """
    if not a and not b:
        return Comparison(min(m, n), "no spread", difference, difference, difference)
    freedom = (a + b) ** 2 / (a**2 / (m - 1) + b**2 / (n - 1))
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(a + b)
    p = float(2 * stdtr(freedom, -abs(difference) / math.sqrt(a + b)))
    return Comparison(min(m, n), "Welch t", difference, difference - half, difference + half, p)
