"""How rough a slice of the loss is, from its values alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.signal import find_peaks

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
LEAST = 0.01  # of a slice's height: lower hills are not counted
ROUNDING = 2e-6  # of the largest of three losses: that much their second difference may be off in float32
FLAT = 20 * ROUNDING  # of the largest loss: a slice that is no higher is flat as far as float32 tells
NATS = 1.0  # above the solution: where the basin ends


@dataclass(frozen=True)
class Roughness:
    """Of one slice through the solution; climb, hills and bent are zero where it is a bowl, or flat to float32.

    climb: what the loss rises on the way from both rims to the lowest point, as a fraction of the slice's height, most
    minus least: (total variation - the two heights of the rims above the lowest point) / 2 / height.
    nats: the same in nats. hills: maxima between the rims that stand out by a hundredth of the height.
    bent: the fraction of the inner points where the slice is not convex, of a negative second difference.
    width: of the stretch around the solution where the loss is below the solution's + 1 nat; open: to a rim at least.
    """

    climb: float
    nats: float
    hills: int
    bent: float
    width: float
    open: bool


def roughness(places: Numbers, losses: Numbers) -> Roughness | None:
    """Of a line whose solution is at 0; of the finite losses around it, None where they are fewer than three."""
    places, losses = around(places, losses)
    if len(losses) < 3:
        return None
    height = float(np.ptp(losses))
    nats = climb(losses)
    if height <= FLAT * np.abs(losses).max():
        return Roughness(0.0, 0.0, 0, 0.0, float(np.ptp(places)), True)
    hills, _ = find_peaks(losses, prominence=LEAST * height)
    ends = [basin(sign * places, losses) for sign in (-1, 1)]
    width, open_ = sum(reach for reach, _ in ends), any(rim for _, rim in ends)
    return Roughness(nats / height, nats, len(hills), bent(losses), width, open_)


def around(places: Numbers, losses: Numbers) -> tuple[Numbers, Numbers]:
    """The points next to the solution, to both sides up to the first that is not finite."""
    there = np.isfinite(losses)
    middle = int(np.argmin(np.abs(places)))
    first = middle - int(np.argmin(np.append(there[: middle + 1][::-1], False)))
    last = middle + int(np.argmin(np.append(there[middle:], False)))
    return places[first + 1 : last], losses[first + 1 : last]


def climb(losses: Numbers) -> float:
    """What rises on the way from both rims to the lowest point."""
    lowest = int(np.argmin(losses))
    differences = np.diff(losses)
    return float(np.maximum(differences[:lowest], 0).sum() + np.maximum(-differences[lowest:], 0).sum())


def bent(losses: Numbers) -> float:
    """The fraction of inner points whose second difference is negative, by more than rounding makes."""
    three = np.stack([losses[:-2], losses[1:-1], losses[2:]])
    second = three[0] - 2 * three[1] + three[2]
    return float(np.mean(second < -ROUNDING * np.abs(three).max(0)))


def basin(places: Numbers, losses: Numbers) -> tuple[float, bool]:
    """How far from 0 to the side of positive places the loss stays below the solution's + NATS; whether to the rim."""
    order = np.argsort(places)
    x, y = places[order], losses[order]
    x, y = x[x >= 0], y[x >= 0]
    above = y >= y[0] + NATS
    if not above.any():
        return float(x[-1]), True
    there = int(np.argmax(above))
    part = (y[0] + NATS - y[there - 1]) / (y[there] - y[there - 1])
    return float(x[there - 1] + part * (x[there] - x[there - 1])), False


def of_lines(table: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """The roughness of every line, a row each. by: the columns that tell lines apart."""
    found = []
    for key, rows in table.filter(kind="line").group_by(by, maintain_order=True):
        rows = rows.sort("alpha")
        losses = rows["loss"].to_numpy().astype(float)
        found.append(row(dict(zip(by, key, strict=True)), rows["alpha"].to_numpy(), losses))
    return frame(found)


def of_grids(table: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """The roughness of every row and column of every grid, a row each."""
    found = []
    for key, rows in table.filter(kind="grid").group_by(by, maintain_order=True):
        places, grid = square(rows)
        found += [row(dict(zip(by, key, strict=True)), places, losses) for losses in cuts(grid)]
    return frame(found)


def row(names: dict[str, Any], places: Numbers, losses: Numbers) -> dict[str, Any]:
    """The measures behind what tells the line, null where it has none, and how many losses are not finite."""
    measured = roughness(places, losses)
    values = vars(measured) if measured else dict.fromkeys(Roughness.__dataclass_fields__)
    return names | values | {"lost": int((~np.isfinite(losses)).sum())}


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows that may begin with nulls."""
    return pl.DataFrame(rows, infer_schema_length=None)


def square(rows: pl.DataFrame) -> tuple[Numbers, Numbers]:
    """The places of a grid along each of its sides, and its losses, (beta, alpha)."""
    ordered = rows.sort("beta", "alpha")
    side = ordered["alpha"].n_unique()
    return ordered["alpha"].to_numpy()[:side], ordered["loss"].to_numpy().astype(float).reshape(side, side)


def cuts(grid: Numbers) -> Iterator[Numbers]:
    """Every row, then every column."""
    yield from grid
    yield from grid.T
