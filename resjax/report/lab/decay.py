"""How the likeness of gradients falls with depth: fits, and the laws of Balduzzi et al. 2017, arXiv:1702.08591."""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from resjax.fits import line
from resjax.report.groups import Group
from resjax.variants import order_of

NOISE = 0.05  # a likeness below it is not told from none: neither it nor what lies behind it is in a fit
AFTER = ("original", "norm_after_addition", "relu_before_addition")  # orders with a relu behind every layer
# Of an arm and a norm: the cosine of two gradients at the start, in words and from 1 at the last output.
_LAYERS, _UNITS = pl.col("layers_behind") - 1, pl.col("units_behind")
LAWS: dict[tuple[str, str], tuple[str, pl.Expr]] = {
    ("plain", "none"): ("a factor of 1/2 a layer", 0.5**_LAYERS),
    ("plain", "batch"): ("a factor of 1/2 a layer", 0.5**_LAYERS),
    ("residual", "none"): ("a factor of 3/4 a unit, which is 0.87 a layer where a unit has two", 0.75**_UNITS),
    ("residual", "batch"): ("units to the power of -1/2", 1 / pl.max_horizontal(_UNITS, 1).sqrt()),
}


@dataclass(frozen=True)
class Law:
    """A decay with the layers behind: the factor a layer, the exponent of a power of L, whether that is closer."""

    rate: float
    exponent: float
    is_power: bool
    points: int


def law(layers: np.ndarray, values: np.ndarray) -> Law | None:
    """The decay with the layers behind, up to the first value that is not above `NOISE`; None where too few are.

    Behind it chance alone lifts a value above, which would look like a slow decay. layers: rising.
    """
    count = told_from_noise(values)
    x, y, stages = layers[:count].astype(float), np.log(values[:count]), np.zeros(count, int)
    exponential, power = line(x, y, stages.tolist()), line(np.log(x), y, stages.tolist())
    if exponential is None or power is None:
        return None
    return Law(math.exp(exponential.slope), power.slope, power.left < exponential.left, len(x))


def told_from_noise(values: np.ndarray) -> int:
    """How many values there are before the first that is not above `NOISE`."""
    return int(np.argmin(np.append(values > NOISE, False)))


def alike(layers: np.ndarray, values: np.ndarray) -> int:
    """The layers behind the last unit that is still above `NOISE`, 0 where none is."""
    count = told_from_noise(values)
    return int(layers[count - 1]) if count else 0


def law_of(group: Group) -> tuple[str, pl.Expr] | None:
    """The ends' law of a network, where the paper has one: of relu behind every layer, and of batch norm or none."""
    activation, order = (group.settings.get(f"model.{name}") for name in ("activation", "order"))
    holds = activation == "relu" and order_of(group.model, order) in AFTER
    return LAWS.get((group.arm, group.norm)) if holds else None
