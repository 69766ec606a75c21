"""What wandb shows step by step: a number a layer, over seeds."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

WEIGHTS = ("grad_norm", "update_ratio", "grad_snr", "response_std")  # what is mirrored of a weight layer
UNITS = ("act_grad_norm", "act_var")  # and of a unit
MOST_LAYERS = 150  # of each; deeper nets are thinned, as in the report: wandb slows down from some 10 000 keys on
Columns = dict[str, np.ndarray[Any, np.dtype[Any]]]


def thinned(columns: Columns, units: bool) -> Columns:
    """The rows of the units, or of the weight layers: of about MOST_LAYERS, the last among them."""
    mine = (columns["kind"] == "unit") == units
    layer = columns["layer"]
    last = layer[mine].max(initial=0)
    kept = mine & ((layer % (last // MOST_LAYERS + 1) == 0) | (layer == last))
    return {name: column[kept] for name, column in columns.items()}


def layer_series(columns: Columns, *quantities: str) -> Iterator[tuple[int, dict[str, float]]]:
    """Each step with each layer's quantities: the geometric mean over the seeds that have one above 0."""
    steps, step_of = np.unique(columns["step"], return_inverse=True)
    names = [f"{layer:03d} {name}" for layer, name in zip(columns["layer"], columns["name"], strict=True)]
    layers, layer_of = np.unique(names, return_inverse=True)
    place, size = step_of * len(layers) + layer_of, len(steps) * len(layers)
    series: list[dict[str, float]] = [{} for _ in steps]
    for quantity in (name for name in quantities if name in columns):
        known = np.isfinite(columns[quantity]) & (columns[quantity] > 0)
        sums = np.bincount(place[known], np.log(columns[quantity][known]), minlength=size)
        counts = np.bincount(place[known], minlength=size)
        for index in np.flatnonzero(counts):
            step, layer = divmod(int(index), len(layers))
            series[step][f"{quantity}/{layers[layer]}"] = float(np.exp(sums[index] / counts[index]))
    return zip(steps.tolist(), series, strict=True)


def means(values: dict[str, float]) -> dict[str, float]:
    """The mean over seeds of every metric, of the seeds that have a finite value."""
    groups: dict[str, list[float]] = {}
    for key, value in values.items():
        name, _, seed = key.partition("/seed")
        if seed and math.isfinite(value):
            groups.setdefault(name, []).append(value)
    return {f"{name}/mean": sum(group) / len(group) for name, group in groups.items()}
