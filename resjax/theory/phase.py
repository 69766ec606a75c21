"""Fixed points of the maps of variance and correlation, chi, the critical line and the depth scales of plain nets.

    q <- sigma_w^2 E f(u)^2 + sigma_b^2,  c <- (sigma_w^2 E f(u) f(u') + sigma_b^2) / q,  chi = sigma_w^2 E f'(u)^2

Gradients grow by chi a layer towards the input (in square). chi < 1 is ordered: images grow alike and gradients vanish;
chi > 1 is chaotic: gradients explode; chi = 1 is critical (Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017,
arXiv:1611.01232). Near the fixed points q and c converge as e^(-l / scale); a net is trainable to about six scales.
"""

import math
from dataclasses import dataclass
from functools import cache

from resjax.theory.gaussian import moments

STEPS, CLOSE = 5_000, 1e-10
PAIR_STEPS = 500  # a pair costs more; what has not arrived by then is near the critical line
CRITICAL = 1e-3  # |chi - 1| that counts as none
ALIKE = 1e-4  # 1 - c that counts as none: at chi = 1 it falls as a power, and never arrives
LEAST, MOST = 1e-12, 1e12  # of q: beyond, it goes to 0 or without end


@dataclass(frozen=True)
class Phase:
    """q, c: the fixed point; chi there, and chi_c, its like for a pair of examples. scale_c: 1 / |ln chi_c| layers.

    name: ordered, critical or chaotic.
    """

    q: float
    c: float
    chi: float
    chi_c: float
    scale_c: float
    name: str


@cache
def phase(activation: str, sigma_w2: float, sigma_b2: float) -> Phase:
    """Where the maps lead from q = 1 and two examples at right angles. sigma_w2 = n Var(w), sigma_b2 = Var(b)."""
    q = variance(activation, sigma_w2, sigma_b2)
    c = correlation(activation, sigma_w2, sigma_b2, q)
    alone, pair = moments(activation, q, q), moments(activation, q, c * q)
    chi = sigma_w2 * alone.slope
    chi_c = chi if 1 - c < ALIKE else sigma_w2 * pair.slope_pair
    name = "critical" if abs(chi - 1) < CRITICAL else "ordered" if chi < 1 else "chaotic"
    return Phase(q, c, chi, chi_c, scale(chi_c), name)


def variance(activation: str, sigma_w2: float, sigma_b2: float) -> float:
    """q at the fixed point; the last q where it goes to 0 or without end."""
    q = 1.0
    for _ in range(STEPS):
        after = sigma_w2 * moments(activation, q, q).q + sigma_b2
        if abs(after - q) < CLOSE * q or not LEAST < after < MOST:
            return min(max(after, LEAST), MOST)
        q = after
    return q


def correlation(activation: str, sigma_w2: float, sigma_b2: float, q: float) -> float:
    """c at the fixed point, with q at its own."""
    c = 0.0
    for _ in range(PAIR_STEPS):
        found = moments(activation, q, c * q)
        after = (sigma_w2 * found.p + sigma_b2) / (sigma_w2 * found.q + sigma_b2)
        if 1 - after < ALIKE:
            return 1.0
        if abs(after - c) < CLOSE:
            return float(after)
        c = after
    return float(c)


def scale(factor: float) -> float:
    """Layers in which factor^l changes by e."""
    return 1 / abs(math.log(factor)) if factor > 0 and factor != 1 else math.inf


def critical(activation: str, sigma_b2: float, most: float = 10.0) -> float:
    """sigma_w^2 on the critical line, chi = 1."""

    from scipy.optimize import brentq  # takes a second to import, and predict does not need it

    def excess(sigma_w2: float) -> float:
        q = variance(activation, sigma_w2, sigma_b2)
        return sigma_w2 * moments(activation, q, q).slope - 1

    return float(brentq(excess, 1e-3, most, xtol=1e-9))
