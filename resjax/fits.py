"""Straight lines through a profile of logarithms, within stages: how fast something grows from layer to layer.

At a stage's border width and resolution change, and a norm may jump for that alone; so every stage has its own level,
and all share one slope: y = a_stage + b x.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FREEDOM = 2  # points beside those that fix the stages' levels, at least: with fewer there is no fit

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Line:
    """The slope b, and the root mean square of what is left beside the line."""

    slope: float
    left: float


@dataclass(frozen=True)
class Growth:
    """What one profile of logarithms, ln g_l against the depth l in weight layers, says.

    rate: the factor a layer towards the input, e^-b of ln g = a + b l. exponent: of the power law g ~ l^b. scale: the
    depth scale, the layers over which g changes by a factor e, 1 / |ln rate|. range: largest over smallest. law: which
    of the two lines is closer, "exponential" or "power".
    """

    rate: float
    exponent: float
    scale: float
    range: float
    law: str


def line(x: Array, y: Array, stages: Sequence[int]) -> Line | None:
    """Least squares within stages; None where there are too few points."""
    places = np.unique(np.asarray(stages), return_inverse=True)[1]
    freedom = len(x) - (int(places.max()) + 1 if len(x) else 0)
    if freedom < FREEDOM:
        return None
    counts = np.bincount(places)
    x, y = (v - (np.bincount(places, v) / counts)[places] for v in (np.asarray(x, float), np.asarray(y, float)))
    if not np.any(x):
        return None
    slope = float(x @ y / (x @ x))
    return Line(slope, float(np.sqrt(np.mean((y - slope * x) ** 2))))


def growth(depths: Sequence[float], logs: Sequence[float], stages: Sequence[int]) -> Growth | None:
    """The fits of one profile, from the unit nearest the input on; None where they cannot be."""
    x, y = np.asarray(depths, float), np.asarray(logs, float)
    exponential, power = line(x, y, stages), line(np.log(x), y, stages)
    if exponential is None or power is None:
        return None
    scale = 1 / abs(exponential.slope) if exponential.slope else math.inf
    law = "power" if power.left < exponential.left else "exponential"
    return Growth(math.exp(-exponential.slope), power.slope, scale, math.exp(min(float(np.ptp(y)), 700.0)), law)
