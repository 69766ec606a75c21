"""How much of a sum over paths comes by paths of each length; counts as logarithms, since 2^n soon is no number."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Spread:
    """The mean of a distribution over lengths, and the lengths where 5 % and 95 % of it are reached."""

    mean: float
    low: float
    high: float


def log_paths(n: int) -> Array:
    """ln C(n, k), k = 0 ... n: the paths through k of n branches."""
    k = np.arange(n + 1.0)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def shares(logs: Array) -> Array:
    """exp(logs) over their sum; -inf has no share. nan everywhere where there is nothing to share."""
    largest = logs.max()
    if not np.isfinite(largest):
        return np.full_like(logs, np.nan)
    weights = np.exp(logs - largest)
    return np.asarray(weights / weights.sum())


def between(k: Array, values: Array, n: int) -> Array:
    """ln values at 0 ... n, on straight lines between those at k: what a path carries falls about exponentially."""
    with np.errstate(divide="ignore"):
        return np.interp(np.arange(n + 1), k, np.log(values))


def spread(of: Array) -> Spread:
    """Of the shares of 0, 1, 2, ..."""
    reached = np.cumsum(of) * (1 + 1e-12)
    low, high = (float(np.argmax(reached >= part)) for part in (0.05, 0.95))
    return Spread(float(np.arange(len(of)) @ of), low, high)
