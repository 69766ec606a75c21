"""Ridge least squares from sums over examples, in float64 on the host: no example is needed twice."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

GRID = tuple(10.0**power for power in range(-5, 2))


@dataclass(frozen=True)
class Moments:
    """Sums over examples of features x and targets y: of 1, x, y, x x^T and x y^T."""

    count: float
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray

    def __add__(self, other: Self) -> "Moments":
        return Moments(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Of x and y."""
        return self.x / self.count, self.y / self.count

    def about(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means of (x_n - x)(x_n - x)^T and (x_n - x)(y_n - y)^T."""
        mean_x, mean_y = self.means
        crossed = np.outer(mean_x, x)
        xx = self.xx / self.count - crossed - crossed.T + np.outer(x, x)
        return xx, self.xy / self.count - np.outer(mean_x, y) - np.outer(x, mean_y) + np.outer(x, y)


@dataclass(frozen=True)
class Linear:
    """y = W^T x + b. ridge: what W was fitted with."""

    weight: np.ndarray
    bias: np.ndarray
    ridge: float


def solved(variance: np.ndarray, covariance: np.ndarray, ridge: float) -> np.ndarray:
    """W = (C_xx + r I)^-1 C_xy, r = ridge times the features' mean variance; 0 of features that do not vary.

    LinAlgError where the sums' rounding is larger than r.
    """
    if not np.isfinite(variance).all():
        return np.full_like(covariance, np.nan)
    spread = float(np.trace(variance)) / len(variance) or 1.0
    return cho_solve(cho_factor(variance + ridge * spread * np.eye(len(variance))), covariance)


def fitted(moments: Moments, ridge: float) -> Linear:
    """The least |y - W^T x - b|^2 / n + r |W|^2, b free: scikit-learn's Ridge with alpha = n r. Of features that are
    not finite, and where rounding leaves no W, nan.
    """
    x, y = moments.means
    variance, covariance = moments.about(x, y)
    try:
        weight = solved(variance, covariance, ridge)
    except LinAlgError:
        weight = np.full_like(covariance, np.nan)
    return Linear(weight, y - x @ weight, ridge)


def chosen_ridge(fit: Moments, held: Moments) -> float:
    """Of `GRID`, the one whose fit leaves the least squared error on examples that it did not see."""
    seen, unseen = fit.about(*fit.means), held.about(*fit.means)
    return min(GRID, key=lambda ridge: unexplained(seen, unseen, ridge))


def unexplained(seen: tuple[np.ndarray, np.ndarray], unseen: tuple[np.ndarray, np.ndarray], ridge: float) -> float:
    """Mean |y - W^T x - b|^2 over the unseen, less what does not depend on W; infinite where there is no W."""
    try:
        weight = solved(*seen, ridge)
    except LinAlgError:
        return np.inf
    variance, covariance = unseen
    return float(np.sum(weight * (variance @ weight)) - 2 * np.sum(weight * covariance))


def readout(fit: Moments, held: Moments) -> Linear:
    """Fitted to all, with the ridge that is chosen on the held out."""
    return fitted(fit + held, chosen_ridge(fit, held))
