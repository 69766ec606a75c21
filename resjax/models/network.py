"""A network: runs of equal units in a chain, then a head; in training maybe heads on the way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from resjax.models.noise import dropout
from resjax.models.parts import Parts
from resjax.models.pooling import pooled
from resjax.models.stages import Around, Observe, Segment, bare, nothing
from resjax.models.types import Hidden, Mode, fold
from resjax.models.units import Layer
from resjax.models.weights import Conv, Dense
from resjax.plans.plan import HeadPlan, NetworkPlan, WeightSpec, runs_of

SHORTCUT_KINDS = ("projection", "gate")
HEADS = 2**20  # what heads fold into the key of the noise; units fold in their numbers


@dataclass(frozen=True)
class LayerInfo:
    """A weight layer or a unit of a network, in forward order.

    layer_depth: weight layers on the longest way from the images to its output, itself included.
    path: where its weight is in the parameters (weight layers); index: its place on the weight's unit axis.
    """

    name: str
    stage: int
    kind: str
    layer_depth: int
    path: tuple[Any, ...] = ()
    index: int | None = None

    @property
    def responds(self) -> bool:
        """Whether it is a weight layer of a branch, which has a response."""
        return self.index is not None and self.kind not in (*SHORTCUT_KINDS, "unit")


class Outputs(NamedTuple):
    """What a forward pass gives. seen: what was observed, an entry a segment; auxiliary: logits of heads on the way."""

    logits: Float[Array, "batch classes"]
    seen: list[Any]
    auxiliary: list[Float[Array, "batch classes"]]


class Head(nnx.Module):
    """logits = W mean_space(pre(h)) + b, in the type of W; with hidden layers, W on the last of them."""

    def __init__(self, key: Array, plan: HeadPlan, channels: int, pixels: tuple[int, int], classes: int, parts: Parts):
        self.pre, self.plan = parts.ops(plan.pre, channels), plan
        height, width = (plan.pool.size(side) if plan.pool else side for side in pixels)
        area = 1 if plan.mean else height * width
        layers = []
        for number, spec in enumerate(plan.hidden, start=1):
            before = channels if spec.side else channels * area
            layers.append(Layer(fold(key, number), spec, before, "", "na" if spec.side else "ba", "hidden", parts))
            channels, area = spec.channels, area if spec.side else 1
        self.hidden = nnx.List(layers)
        self.dense = parts.weight(key, WeightSpec(0, classes, name="head"), channels * area, "head")
        self.bias = nnx.Param(jnp.zeros(classes, parts.dtype))

    def __call__(self, h: Hidden, mode: Mode) -> Float[Array, "batch classes"]:
        if mode.key is not None:
            mode = replace(mode, key=fold(mode.key, HEADS + self.plan.key))
        h = pooled(self.pre(h, mode), self.plan.pool)
        h = h.mean(tuple(range(1, h.ndim - 1)), self.bias.dtype) if self.plan.mean else h
        h = dropout(h, self.plan.dropout, mode, "head")
        for layer in self.hidden:
            h, _ = layer(h, mode)
        return self.dense(h.astype(self.bias.dtype), mode) + self.bias[None]


class Network(nnx.Module):
    """Segments, the head, and the auxiliary heads by the number of the segment that each follows."""

    def __init__(self, plan: NetworkPlan, key: Array, shape: tuple[int, ...], classes: int, parts: Parts) -> None:
        runs = runs_of(plan.units)
        total = sum(run.count for run in runs if run.plan.stage)
        self.segments = nnx.List([Segment(run, fold(key, run.plan.stage), parts, total) for run in runs])
        self.depths = tuple(plan.layer_depths())
        heights, widths = plan.sizes(shape)

        def head(plan_: HeadPlan, unit: int) -> Head:
            pixels = heights[unit + 1], widths[unit + 1]
            return Head(fold(key, plan_.key), plan_, plan.units[unit].after, pixels, classes, parts)

        self.head = head(plan.head, len(plan.units) - 1)
        ends = {run.start + run.count - 1: number for number, run in enumerate(runs)}
        self.follows = tuple(ends[unit] for unit, _ in plan.auxiliary)
        self.auxiliary = nnx.List([head(its_plan, unit) for unit, its_plan in plan.auxiliary])

    def __call__(
        self,
        x: Hidden,
        mode: Mode,
        taps: Sequence[Array] | None = None,
        observe: Observe = nothing,
        around: Around = bare,
    ) -> Outputs:
        """The logits, what was observed (an entry a segment, with a leading unit axis), and the heads' on the way."""
        seen, auxiliary = [], []
        for number, segment in enumerate(self.segments):
            here = None if taps is None else taps[number]
            x, seen_here = segment(x, mode, here, observe, around)
            seen.append(seen_here)
            if mode.train and number in self.follows:
                auxiliary.append(self.auxiliary[self.follows.index(number)](x, mode))
        return Outputs(self.head(x, mode), seen, auxiliary)

    def units(self) -> tuple[LayerInfo, ...]:
        """Every unit in forward order; the stem is one."""
        return tuple(
            LayerInfo(run.unit_name(index), run.plan.stage, "unit", self.depths[run.start + index + 1])
            for run in (segment.run for segment in self.segments)
            for index in range(run.count)
        )

    def weight_layers(self) -> tuple[LayerInfo, ...]:
        """Every weight layer in forward order, a unit's shortcut behind its branch; then the auxiliary heads'."""
        layers = [
            LayerInfo(
                f"{segment.run.unit_name(index)}.{weight.name}",
                segment.run.plan.stage,
                weight.kind,
                self.depths[segment.run.start + index] + _place_in_unit(path),
                path,
                index,
            )
            for number, segment in enumerate(self.segments)
            for index in range(segment.run.count)
            for path, weight in _weights(segment.units, ("segments", number, "units"))
        ]
        last = max(segment.run.plan.stage for segment in self.segments) + 1
        layers += _of_head(self.head, ("head",), "head", last, self.depths[-1])
        for number, head in enumerate(self.auxiliary):
            run = self.segments[self.follows[number]].run
            before = self.depths[run.start + run.count]
            found = _of_head(head, ("auxiliary", number), f"auxiliary{number + 1}", run.plan.stage, before)
            layers += [replace(info, kind="auxiliary") for info in found]
        return tuple(layers)


def _place_in_unit(path: tuple[Any, ...]) -> int:
    """Of a weight in its path, from 1; a shortcut's is the only one on its way."""
    return path[path.index("layers") + 1] + 1 if "layers" in path else 1


def _weights(module: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Conv | Dense]]:
    """Every weight layer in a module, with its kernel's path; attributes by name, so branch before shortcut."""
    if isinstance(module, Conv | Dense):
        yield (*path, "kernel"), module
    elif isinstance(module, nnx.List):
        for number, part in enumerate(module):
            yield from _weights(part, (*path, number))
    elif isinstance(module, nnx.Module):
        for name, part in sorted(vars(module).items()):
            yield from _weights(part, (*path, name))


def _of_head(head: Head, path: tuple[Any, ...], name: str, stage: int, before: int) -> list[LayerInfo]:
    """The hidden layers of a head, then its classifier. before: weight layers on the way to it."""
    found = sorted(_weights(head, path), key=lambda item: item[1].name == "head")
    names = [name if weight.name == "head" else f"{name}.{weight.name}" for _, weight in found]
    return [
        LayerInfo(n, stage, w.kind, before + place, p)
        for place, (n, (p, w)) in enumerate(zip(names, found, strict=True), start=1)
    ]
