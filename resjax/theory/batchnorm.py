"""Batch norm at initialisation, for a batch of any size (Yang et al. 2019, arXiv:1902.08129).

A neuron's pre-activations over a batch of B examples, once their mean is taken away, are Gaussian with covariance
v G, G = I - 11'/B. Divided by their own deviation they are y, uniform on the sphere of radius sqrt(B) in the B - 1
directions that G keeps. The Jacobian of y is sqrt(B) / |x| (G - y y'/B), so with D = diag(f'(y)), for a gradient that
has no mean over the batch, as it comes out of the batch norm above, |dL/dx|^2 is on average

    B / (B - 3) / v  E tr[(G - y y'/B) D G D] / (B - 1)

times the gradient's at f(y), since E 1/|x|^2 = 1 / (v (B - 3)).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import roots_jacobi

from resjax.theory.gaussian import ACTIVATIONS, Array, moments

LARGE = 4096  # examples from which on the batch counts as infinite
SMALL = 4  # the fewest for which E 1/|x|^2 is finite
RADII, ANGLES = 60, 240


@dataclass(frozen=True)
class Normalised:
    """f(y): mean, q = E f(y_1)^2, p = E f(y_1) f(y_2); slope: the factor of |dL/dx|^2 above, for v = 1."""

    mean: float
    q: float
    p: float
    slope: float


@cache
def normalised(name: str, batch: int) -> Normalised:
    """The activation `name` of batch-normalised pre-activations; large batches in the limit, where y ~ N(0, 1)."""
    if batch >= LARGE:
        found = moments(name, 1.0, 0.0)
        return Normalised(found.mean, found.q, found.p, found.slope)
    y1, y2, weight = sphere(max(batch, SMALL))
    g, count = ACTIVATIONS[name], max(batch, SMALL)
    f1, f2, d1, d2 = g.f(y1), g.f(y2), g.df(y1), g.df(y2)

    def mean(values: Array) -> float:
        return float(np.sum(weight * values))

    own, pair = mean(d1**2), mean(d1 * d2)
    own_y, pair_y = mean(d1**2 * y1**2) / count, mean(d1 * d2 * y1 * y2) / count
    # tr[(G - uu') DD] and d'(G - uu')d / B, with u = y / sqrt(B) and d = f'(y).
    whole = count * (own * (1 - 1 / count) - own_y)
    d_in_g = count * own - (count * own + count * (count - 1) * pair) / count
    along = count * own_y + count * (count - 1) * pair_y
    trace = whole - (d_in_g - along) / count
    return Normalised(mean(f1), mean(f1**2), mean(f1 * f2), count / (count - 3) * trace / (count - 1))


@cache
def sphere(batch: int) -> tuple[Array, Array, Array]:
    """Two coordinates y_1, y_2 of the uniform law above, and their weights.

    In the plane that they span the direction is uniform, and the square of the radius, as a share of B, is
    Beta(1, (B - 3) / 2) distributed.
    """
    nodes, weights = roots_jacobi(RADII, (batch - 3) / 2 - 1, 0.0)
    radius, share = np.sqrt((1 + nodes) / 2), weights / weights.sum()
    angle = (np.arange(ANGLES) + 0.5) * 2 * np.pi / ANGLES
    rho = -1 / (batch - 1)
    t, s = (np.outer(radius, turn(angle)).ravel() for turn in (np.cos, np.sin))
    weight = np.repeat(share / ANGLES, ANGLES)
    return np.sqrt(batch - 1) * t, np.sqrt(batch - 1) * (rho * t + np.sqrt(1 - rho**2) * s), weight
