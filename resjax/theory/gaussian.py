"""Expectations over two jointly Gaussian pre-activations, which a wide layer has: the maps of mean-field theory.

u, u' ~ N(0, [[q, p], [p, q]]) are one neuron's pre-activations for two examples (Poole et al. 2016, arXiv:1606.05340).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.special import ndtr

NODES = 100  # of Gauss and Hermite's rule, an axis

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Activation:
    """A function and its derivative, entry by entry."""

    f: Callable[[Array], Array]
    df: Callable[[Array], Array]


@dataclass(frozen=True)
class Moments:
    """mean = E f(u), q = E f(u)^2, p = E f(u) f(u'); slope = E f'(u)^2, slope_pair = E f'(u) f'(u')."""

    mean: float
    q: float
    p: float
    slope: float
    slope_pair: float


ACTIVATIONS = {
    "relu": Activation(lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(float)),
    "tanh": Activation(np.tanh, lambda u: 1 / np.cosh(np.clip(u, -300, 300)) ** 2),
    "gelu": Activation(lambda u: u * ndtr(u), lambda u: ndtr(u) + u * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)),
    "linear": Activation(lambda u: u, np.ones_like),
}


def moments(name: str, q: float, p: float) -> Moments:
    """Of the activation `name`: in closed form for relu (Cho and Saul 2009) and linear, else by quadrature."""
    if name == "linear":
        return Moments(0.0, q, p, 1.0, 1.0)
    c = min(max(p / q, -1.0), 1.0) if q > 0 else 0.0
    if name == "relu":
        angle = np.arccos(c)
        pair = (np.sin(angle) + (np.pi - angle) * c) / (2 * np.pi)
        return Moments(float(np.sqrt(q / (2 * np.pi))), q / 2, q * pair, 0.5, float(np.pi - angle) / (2 * np.pi))
    z, weight = rule()
    u, v = np.sqrt(q) * z[:, None], np.sqrt(q) * (c * z[:, None] + np.sqrt(1 - c**2) * z[None])
    g = ACTIVATIONS[name]

    def alone(values: Array) -> float:
        return float(weight @ values)

    def both(first: Array, second: Array) -> float:
        return float(weight @ (first * second) @ weight)

    one, slope = g.f(u[:, 0]), g.df(u[:, 0])
    return Moments(
        alone(one), alone(one**2), both(one[:, None], g.f(v)), alone(slope**2), both(slope[:, None], g.df(v))
    )


@cache
def rule() -> tuple[Array, Array]:
    """Nodes and weights for E f(z), z ~ N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()
