"""Expectations over two jointly Gaussian pre-activations, which a wide layer has: the maps of mean-field theory.

u, u' ~ N(0, [[q, p], [p, q]]) are one neuron's pre-activations for two examples (Poole et al. 2016, arXiv:1606.05340).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.special import ndtr

NODES, PAIR_NODES = 4001, 301  # of the rules, for one value and, an axis, for two
WIDEST, BEND = 12.0, 12.0  # deviations to each side; how much closer the nodes stand at 0, where steep functions turn

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
    g, (z, weight) = ACTIVATIONS[name], rule(NODES)
    one, slope = g.f(np.sqrt(q) * z), g.df(np.sqrt(q) * z)
    alone = [float(weight @ values) for values in (one, one**2, slope**2)]
    if c == 1:
        return Moments(alone[0], alone[1], alone[1], alone[2], alone[2])
    z, weight = rule(PAIR_NODES)
    u, v = np.sqrt(q) * z[:, None], np.sqrt(q) * (c * z[:, None] + np.sqrt(1 - c**2) * z[None])
    pair, slopes = (float(weight @ (h(u) * h(v)) @ weight) for h in (g.f, g.df))
    return Moments(alone[0], alone[1], pair, alone[2], slopes)


@cache
def rule(nodes: int) -> tuple[Array, Array]:
    """Nodes and weights for E f(z), z ~ N(0, 1): the trapezium rule in t, z = WIDEST sinh(BEND t) / sinh(BEND)."""
    t = np.linspace(-1, 1, nodes)
    z = WIDEST * np.sinh(BEND * t) / np.sinh(BEND)
    weights = np.exp(-(z**2) / 2) * np.cosh(BEND * t)
    return z, weights / weights.sum()
