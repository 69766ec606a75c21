"""Looks as a tidy table, and what they say of a seed that went wrong."""

import numpy as np

from resjax.models import Model
from resjax.probes.look import Looks


def columns(model: Model, looks: Looks, seeds: dict[int, int]) -> dict[str, np.ndarray]:
    """A row a seed and layer, weight layers first, then units; nan where a quantity has no meaning.

    seeds: each seed's number, with its place on the looks' leading axis.
    """
    infos = [(layer, info) for group in (model.weight_layers, model.units) for layer, info in enumerate(group)]
    table: dict[str, np.ndarray] = {
        "seed": np.repeat(np.array(list(seeds), np.int64), len(infos)),
        "layer": np.tile([layer for layer, _ in infos], len(seeds)),
        "name": np.tile([info.name for _, info in infos], len(seeds)),
        "stage": np.tile([info.stage for _, info in infos], len(seeds)),
        "kind": np.tile([info.kind for _, info in infos], len(seeds)),
        "layer_depth": np.tile([info.layer_depth for _, info in infos], len(seeds)),
    }
    quantities = dict.fromkeys((*looks.weights, *looks.units))
    return table | {name: _column(model, looks, name, list(seeds.values())) for name in quantities}


def _column(model: Model, looks: Looks, quantity: str, which: list[int]) -> np.ndarray:
    """One quantity of every row."""
    halves = ((looks.weights, len(model.weight_layers)), (looks.units, len(model.units)))
    parts = [
        np.asarray(group[quantity])[which] if quantity in group else np.full((len(which), count), np.nan)
        for group, count in halves
    ]
    return np.concatenate(parts, axis=1).ravel()


def train_columns(
    model: Model, start: int, norms: np.ndarray, which: np.ndarray, seeds: list[int]
) -> dict[str, np.ndarray]:
    """A row a step, seed and weight layer, in this order.

    norms: (steps, seeds, layers), from step `start` on. which: (steps, seeds), of which step and seed.
    """
    layers, (steps, places) = model.weight_layers, np.nonzero(which)
    return {
        "step": np.repeat(start + steps, len(layers)),
        "seed": np.repeat(np.array(seeds)[places], len(layers)),
        "layer": np.tile(np.arange(len(layers)), len(steps)),
        "name": np.tile([info.name for info in layers], len(steps)),
        "stage": np.tile([info.stage for info in layers], len(steps)),
        "kind": np.tile([info.kind for info in layers], len(steps)),
        "layer_depth": np.tile([info.layer_depth for info in layers], len(steps)),
        "train_grad_norm": norms[steps, places].ravel(),
    }


def first_bad_layer(model: Model, looks: Looks) -> str | None:
    """Where one seed's values stop being finite: the first unit whose output is not; the head if only the loss is not.

    Else, going backward, the first weight layer whose gradient is not. None if all is finite.
    """
    forward = np.flatnonzero(~np.isfinite(looks.units["act_rms"]))
    if len(forward):
        return model.units[forward[0]].name
    if not np.isfinite(looks.loss):
        return "head"
    backward = np.flatnonzero(~np.isfinite(looks.weights["grad_norm"]))
    return model.weight_layers[backward[-1]].name if len(backward) else None
