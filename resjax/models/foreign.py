"""A network's arrays under the names and in the axes of a file from elsewhere, and back (docs/import.md).

The names come of one walk over the modules in forward order; no network has a table of its own. Kernels lie in a file
as PyTorch has them: convolutions (output, input, height, width), dense layers (output, input), where a layer that
flattens images takes them channel by channel.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from resjax.errors import InputError
from resjax.models.build import BatchStats, Model, Params
from resjax.models.network import Head, Network
from resjax.models.norms import Bias, ScalarBias
from resjax.models.parts import Ops
from resjax.models.units import Layer, Unit
from resjax.models.weights import Conv, Dense, FixupWeight

MOST_NAMES = 8  # of one kind in an error

Place = tuple[Any, ...]
Grid = tuple[int, int]
Arrays = Mapping[str, np.ndarray]
Placed = list[tuple[Place, nnx.Module]]
POINT: Grid = (1, 1)


@dataclass(frozen=True)
class Leaf:
    """One array of a file. path: of its values, from "params" or "batch_stats" on; index: its place on the unit axis.

    shape: in the network, of one unit. kernel: of a weight (output, input, height, width), where a dense layer has the
    pixels that it flattens.
    """

    name: str
    path: Place
    index: int | None
    shape: tuple[int, ...]
    kernel: tuple[int, ...] | None

    @property
    def file_shape(self) -> tuple[int, ...]:
        """Its shape in a file."""
        if self.kernel is None or len(self.shape) == 4:
            return self.kernel or self.shape
        return self.kernel[0], math.prod(self.kernel[1:])

    def taken(self, array: np.ndarray) -> np.ndarray:
        """A file's array in the network's axes: OIHW becomes HWIO."""
        return array if self.kernel is None else array.reshape(self.kernel).transpose(2, 3, 1, 0).reshape(self.shape)

    def given(self, array: np.ndarray) -> np.ndarray:
        """The network's array in a file's axes."""
        if self.kernel is None:
            return array
        outputs, inputs, height, width = self.kernel
        return array.reshape(height, width, inputs, outputs).transpose(3, 2, 0, 1).reshape(self.file_shape)


class Item(NamedTuple):
    """An array of a module: its name and path within, and for a kernel the pixels that a dense layer would flatten."""

    name: str
    path: Place
    variable: nnx.Variable[Any]
    grid: Grid | None = None


def leaves(model: Model) -> list[Leaf]:
    """Every array of the parameters and the running statistics once, in forward order."""
    network: Network = nnx.merge(model.graph, *model.shapes)
    numbers, found = count(), list[Leaf]()
    for place, segment in enumerate(network.segments):
        for index in range(segment.run.count):
            name = f"unit{next(numbers):02d}" if segment.run.plan.stage else "stem"
            grid = (model.shape[0], model.shape[1]) if segment.run.start + index == 0 else POINT
            items = _of_unit(segment.units, grid, numbered=name != "stem")
            found += [_leaf(name, ("segments", place, "units"), index, item) for item in items]
    more = [(f"auxiliary{n + 1}", ("auxiliary", n), head) for n, head in enumerate(network.auxiliary)]
    ends = [len(model.plan.units), *(unit + 1 for unit, _ in model.plan.auxiliary)]
    heights, widths = model.plan.sizes(model.shape)
    for end, (name, path, head) in zip(ends, [("head", ("head",), network.head), *more], strict=True):
        found += [_leaf(name, path, None, item) for item in _of_head(head, (heights[end], widths[end]))]
    return found


def from_file(model: Model, arrays: Arrays, file: str) -> tuple[Params, BatchStats]:
    """The parameters and running statistics that a file's arrays are, in the model's precision.

    Raises InputError with every array that is missing, left over, or cannot be the network's.
    """
    wanted = leaves(model)
    _check(model, wanted, arrays, file)
    values = defaultdict[Place, list[np.ndarray]](list)
    for leaf in wanted:
        values[leaf.path].append(leaf.taken(arrays[leaf.name]).astype(model.dtype))

    def value(path: tuple[Any, ...], _: Any) -> np.ndarray:
        key = tuple(entry.key for entry in path)
        return np.stack(values[key]) if "segments" in key else values[key][0]

    params, batch_stats = model.shapes
    found = jax.tree.map_with_path(value, {"params": params, "batch_stats": batch_stats})
    return found["params"], found["batch_stats"]


def to_file(model: Model, params: Params, batch_stats: BatchStats) -> dict[str, np.ndarray]:
    """The arrays of a file that holds these values: the inverse of `from_file`."""
    found = {}
    for leaf in leaves(model):
        array: Any = {"params": params, "batch_stats": batch_stats}
        for part in leaf.path:
            array = array[part]
        found[leaf.name] = leaf.given(np.asarray(array if leaf.index is None else array[leaf.index]))
    return found


def _leaf(name: str, path: Place, index: int | None, item: Item) -> Leaf:
    """An item in its place."""
    kind = "batch_stats" if isinstance(item.variable, nnx.BatchStat) else "params"
    shape = item.variable.get_value().shape[0 if index is None else 1 :]
    kernel = None
    if item.grid is not None:
        height, width = shape[:2] if len(shape) == 4 else item.grid
        kernel = (shape[-1], math.prod(shape[:-1]) // (height * width), height, width)
    return Leaf(f"{name}/{item.name}", (kind, *path, *item.path), index, shape, kernel)


def _of_unit(unit: Unit, grid: Grid, numbered: bool) -> Iterator[Item]:
    """pre, the branch's paths one after the other, after; each kind of part is counted. Then the shortcut."""
    parts: Placed = [(("pre",), unit.pre)]
    for number, chain in enumerate(unit.branch):
        for place, layer in enumerate(chain.layers):
            parts += _of_layer(layer, ("branch", number, "layers", place))
    seen = Counter[str]()
    for path, part in [*parts, (("after",), unit.after)]:
        kind = _kind(part)
        seen[kind] += 1
        yield from _of_part(part, path, kind, str(seen[kind]) if numbered else "", grid)
    for item in _of_shortcut(unit):
        yield item._replace(name=f"shortcut/{item.name}", path=("shortcut", *item.path))


def _of_layer(layer: Layer, path: Place) -> Placed:
    return [((*path, "pre"), layer.pre), ((*path, "weight"), layer.weight), ((*path, "post"), layer.post)]


def _of_shortcut(unit: Unit) -> Iterator[Item]:
    """Its weights, by what they are for: none in most."""
    held = vars(unit.shortcut)
    for word in ("weight", "post"):
        if word in held:
            gates = word == "weight" and "bias" in held
            yield from _of_part(held[word], (word,), "gate" if gates else _kind(held[word]))
    for word, name in (("bias", "gate_bias"), ("scale", "scale")):
        if word in held:
            yield Item(name, (word,), held[word])


def _of_head(head: Head, sides: Grid) -> Iterator[Item]:
    """What normalises before it, the hidden layers under their own names, the classifier."""
    yield from _of_part(head.pre, ("pre",), "pre_bias" if _kind(head.pre) == "bias" else "bn")
    pool = head.plan.pool
    grid = POINT if head.plan.mean else (pool.size(sides[0]), pool.size(sides[1])) if pool else sides
    for number, layer in enumerate(head.hidden):
        for path, part in _of_layer(layer, ("hidden", number)):
            for item in _of_part(part, path, _kind(part) if isinstance(part, Ops) else "weight", grid=grid):
                yield item._replace(name=f"{layer.name}/{item.name}")
        grid = POINT if isinstance(layer.weight, Dense) else grid
    yield from _of_part(head.dense, ("dense",), "weight", grid=grid)
    yield Item("bias", ("bias",), head.bias)


def _kind(part: nnx.Module) -> str:
    """What a part's array is called: conv or dense, bn, bias where nothing normalises; "" without any."""
    match part:
        case Ops(norm=None):
            return ""
        case Ops(norm=Bias() | ScalarBias()):
            return "bias"
        case Ops():
            return "bn"
        case Dense() | FixupWeight(weight=Dense()):
            return "dense"
    return "conv"


def _of_part(part: nnx.Module, path: Place, name: str, number: str = "", grid: Grid = POINT) -> Iterator[Item]:
    """A weight's kernel, with Fixup's scalars; a norm's arrays, the bias in its place, or nothing."""
    match part:
        case Conv() | Dense():
            yield Item(f"{name}{number}", (*path, "kernel"), part.kernel, grid)
        case FixupWeight():
            yield from _of_part(part.weight, (*path, "weight"), name, number, grid)
            yield Item(f"shift{number}", (*path, "shift"), part.shift)
            if part.multiplier is not None:
                yield Item(f"multiplier{number}", (*path, "multiplier"), part.multiplier)
        case Ops(norm=Bias() | ScalarBias() as bias):
            yield Item(f"{name}{number}", (*path, "norm", "bias"), bias.bias)
        case Ops(norm=nnx.Module() as norm):
            for word, variable in vars(norm).items():
                if isinstance(variable, nnx.Variable):
                    yield Item(f"{name}{number}/{word}", (*path, "norm", word), variable)


def _check(model: Model, wanted: list[Leaf], arrays: Arrays, file: str) -> None:
    """Raise InputError that names, of each kind of problem, the first arrays."""
    names = [leaf.name for leaf in wanted]
    there = [(leaf, arrays[leaf.name]) for leaf in wanted if leaf.name in arrays]
    other = [(leaf, array) for leaf, array in there if array.shape != leaf.file_shape]
    real = [(leaf, array) for leaf, array in there if array.dtype.kind == "f"]
    problems = {
        "missing": [f"{leaf.name} {leaf.file_shape}" for leaf in wanted if leaf.name not in arrays],
        "left over": [f"{name} {arrays[name].shape}" for name in sorted(set(arrays) - set(names))],
        "of another shape": [f"{leaf.name} {a.shape}, expected {leaf.file_shape}" for leaf, a in other],
        "no floating-point numbers": [f"{leaf.name} {a.dtype}" for leaf, a in there if a.dtype.kind != "f"],
        "not finite": [leaf.name for leaf, array in real if not _finite(array, model.dtype)],
        "below 0": [leaf.name for leaf, array in real if leaf.path[-1] == "var" and (array < 0).any()],
    }
    told = [f"  {what}: {_listing(found)}" for what, found in problems.items() if found]
    if told:
        expected = f"model.name={model.config.name} model.depth={model.config.depth}, {_units(names)}"
        raise InputError(
            f"{file} does not hold the {len(names)} arrays of the network that the settings say:\n"
            + "\n".join(told)
            + f"\nExpected the arrays of {expected}; the file has {_units(arrays)}.\n"
            "Type the settings of the net in the file: model=..., model.depth=..., data=... (names: docs/import.md)"
        )


def _finite(array: np.ndarray, dtype: Any) -> bool:
    """Whether every number is finite in the run's precision."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(dtype)).all())


def _listing(names: list[str]) -> str:
    """The first few, and how many more."""
    more = len(names) - MOST_NAMES
    return "; ".join(names[:MOST_NAMES]) + (f"; and {more} more" if more > 0 else "")


def _units(names: Iterable[str]) -> str:
    found = {name.partition("/")[0] for name in names}
    return f"{sum(name.startswith('unit') for name in found)} numbered units"
