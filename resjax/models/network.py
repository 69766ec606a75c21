"""A network: segments of equal units in a chain, then a linear classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from resjax.models.stages import Observe, Segment, nothing
from resjax.models.units import Dense, Hidden, Mode


@dataclass(frozen=True)
class LayerInfo:
    """A weight layer or a unit of a network, in forward order.

    path: where its weight is in the parameters (weight layers); index: its place on the weight's unit axis.
    """

    name: str
    stage: int
    kind: str
    path: tuple[Any, ...] = ()
    index: int | None = None


class Head(nnx.Module):
    """logits = W mean_space(h) + b."""

    def __init__(self, key: Array, channels: int, classes: int, dtype: DTypeLike) -> None:
        self.dense = Dense(key, (channels, classes), dtype)
        self.bias = nnx.Param(nnx.initializers.zeros(key, (classes,), dtype))

    def __call__(self, h: Hidden) -> Float[Array, "batch classes"]:
        return self.dense(h.mean(tuple(range(1, h.ndim - 1)))) + self.bias[None]


class Network(nnx.Module):
    """Segments, the first of them the stem, and a head."""

    def __init__(self, segments: Sequence[Segment], head: Head) -> None:
        self.segments = nnx.List(segments)
        self.head = head

    def __call__(
        self, x: Hidden, mode: Mode, perturbations: Sequence[Array] | None = None, observe: Observe = nothing
    ) -> tuple[Float[Array, "batch classes"], list[Any]]:
        """Logits, and what was observed: one entry a segment, with a leading unit axis."""
        seen = []
        for number, segment in enumerate(self.segments):
            x, seen_here = segment(x, mode, None if perturbations is None else perturbations[number], observe)
            seen.append(seen_here)
        return self.head(x), seen

    def units(self) -> tuple[LayerInfo, ...]:
        """Every unit in forward order; the stem is one."""
        return tuple(
            LayerInfo(_unit_name(segment, index), segment.stage, "unit")
            for segment in self.segments
            for index in range(segment.count)
        )

    def weight_layers(self) -> tuple[LayerInfo, ...]:
        """Every weight layer in forward order; a unit's projection stands behind its branch."""
        layers = [
            LayerInfo(f"{_unit_name(segment, index)}.{weight}", segment.stage, kind, path, index)
            for number, segment in enumerate(self.segments)
            for index in range(segment.count)
            for weight, kind, path in _weights(segment, number)
        ]
        last = max(segment.stage for segment in self.segments)
        return (*layers, LayerInfo("head", last + 1, "dense", ("head", "dense", "kernel")))


def _unit_name(segment: Segment, index: int) -> str:
    return segment.name if segment.stage == 0 else f"{segment.name}.unit{segment.first + index}"


def _weights(segment: Segment, number: int) -> list[tuple[str, str, tuple[Any, ...]]]:
    """(name, kind, path) of each weight layer of one of the segment's units."""
    found = []
    for name in segment.units.WEIGHTS:
        module = vars(segment.units)[name]
        path: tuple[Any, ...] = ("segments", number, "units", name)
        if hasattr(module, "kernel"):
            found.append((name, "dense" if isinstance(module, Dense) else "conv", (*path, "kernel")))
        elif isinstance(module, nnx.Module):
            found.append(("projection", "projection", (*path, "conv", "kernel")))
    return found
