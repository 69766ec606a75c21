"""Parameters, multiply-adds and memory of a model, without building it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from resjax.models.build import Model
from resjax.models.network import LayerInfo
from resjax.models.types import Mode


@dataclass(frozen=True)
class StageCount:
    """A row of the table by stage. shape: of one image at its end. parameters: with norms and biases."""

    stage: str
    units: int
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def parameters(model: Model) -> int:
    """Trained numbers: kernels, biases, norm scales and biases; not the running statistics."""
    return _entries(model.shapes[0])


def multiply_adds(model: Model) -> int:
    """Multiply-adds of one image's forward pass in testing, in the weight layers: kernel entries times places."""
    return sum(row.multiply_adds for row in by_stage(model))


def by_stage(model: Model) -> list[StageCount]:
    """The stem, every stage, the head, and what training adds."""
    params, places = model.shapes[0], _places(model)
    stages: dict[str, list[int]] = {}
    for number, run in enumerate(model.runs):
        stages.setdefault(run.name, []).append(number)
    hidden = model.hidden_shapes(1)
    rows = [
        StageCount(
            name,
            sum(model.runs[number].count for number in numbers),
            hidden[numbers[-1]].shape[2:],
            sum(_entries(params["segments"][number]) for number in numbers),
            _work(params, places, (i for i in model.weight_layers if i.path[0] == "segments" and i.path[1] in numbers)),
        )
        for name, numbers in stages.items()
    ]
    of_head = [info for info in model.weight_layers if info.path[0] == "head"]
    rows.append(StageCount("head", 1, (model.classes,), _entries(params["head"]), _work(params, places, of_head)))
    auxiliary = _entries(params.get("auxiliary", {}))
    return rows + ([StageCount("auxiliary", len(model.plan.auxiliary), (), auxiliary, 0)] if auxiliary else [])


def activation_bytes(model: Model, batch: int, computes: DTypeLike | None = None) -> int:
    """Bytes that the backward pass of a batch keeps of the forward pass: what JAX's residuals grow by, an example.

    computes: the type of what passes; None: the parameters'. As traced; what XLA computes again instead of keeping it,
    or keeps besides, is not in it.
    """
    computes = model.dtype if computes is None else computes
    return batch * (_residual_bytes(model, 2, computes) - _residual_bytes(model, 1, computes))


def training_bytes(
    model: Model,
    batch: int,
    seeds: int,
    devices: int,
    kept: int,
    vmapped: bool,
    activations: int,
    products: bool = False,
) -> int:
    """Bytes that training takes on all devices, without the data set and the process itself: an estimate.

    A device holds every seed's state, `kept` numbers a parameter (itself and what the optimiser keeps), and three times
    the parameters of the seed at work: its gradient, its update, and the new ones. Where seeds take turns, it also
    holds the new states of all, and that of the seed at work and of the next. Besides there are the activations of the
    batch (`activations` bytes) and the work space of one unit, at most 16 times the largest unit's output
    (docs/performance.md), and 48 times where convolutions are products of patches.
    """
    size = parameters(model) * model.itemsize
    at_once = seeds if vmapped else 1
    states = seeds if vmapped or seeds == 1 else 2 * seeds + 2
    largest = max(_bytes(jax.ShapeDtypeStruct(hidden.shape[1:], hidden.dtype)) for hidden in model.hidden_shapes(batch))
    return devices * size * (kept * states + 3 * at_once) + at_once * (activations + (48 if products else 16) * largest)


def _residual_bytes(model: Model, batch: int, computes: DTypeLike) -> int:
    """Bytes of all that the backward pass of a batch is given, parameters too."""
    params, batch_stats = model.shapes
    images = jax.ShapeDtypeStruct((batch, *model.shape), computes)
    places = jax.ShapeDtypeStruct((batch,), jnp.int32)

    def residuals(params: Any, batch_stats: Any, images: Any, key: Any, places: Any) -> Any:
        mode = Mode(train=True, group=batch, key=key, places=places)

        def logits(params: Any) -> Any:
            out = model.apply(params, batch_stats, images, mode)
            return out.logits, out.auxiliary

        return jax.vjp(logits, params)[1]

    return _bytes(jax.eval_shape(residuals, params, batch_stats, images, jax.random.key(0), places))


def _entries(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _bytes(tree: Any) -> int:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if not jnp.issubdtype(leaf.dtype, jax.dtypes.extended)]
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def _places(model: Model) -> dict[tuple[Any, ...], int]:
    """Output places of each weight layer of a unit, by its path: pixels of its response, or of the unit's output."""
    sides = model.plan.sizes(model.shape)
    found: dict[tuple[Any, ...], int] = {}
    for number, run in enumerate(model.runs):
        layers = {i.path: i for i in model.weight_layers if i.path[:2] == ("segments", number)}
        heights, widths = (run.plan.sizes(side[run.start]) for side in sides)
        sizes = [height * width for height, width in zip(heights, widths, strict=True)]
        left = iter(sizes)
        found |= {path: next(left) if info.responds else sizes[-1] for path, info in layers.items()}
    return found


def _work(params: Any, places: dict[tuple[Any, ...], int], layers: Iterable[LayerInfo]) -> int:
    """Multiply-adds of these weight layers; a dense layer of the head has one place."""
    total = 0
    for info in layers:
        kernel = params
        for part in info.path:
            kernel = kernel[part]
        shape = kernel.shape if info.index is None else kernel.shape[1:]
        total += math.prod(shape) * places.get(info.path, 1)
    return total


def describe(model: Model) -> dict[str, Any]:
    """What run.json says of the network."""
    return {
        "parameters": parameters(model),
        "multiply_adds": multiply_adds(model),
        "weight_layers": len(model.weight_layers),
        "units": len(model.units),
        "image": list(model.shape),
        "classes": model.classes,
    }
