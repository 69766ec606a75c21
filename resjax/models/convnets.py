"""The CIFAR nets of He et al. 2015 (arXiv:1512.03385, section 4.2), plain and residual, at any depth 6n+2."""

from collections.abc import Callable
from functools import partial

from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array

from resjax.config import ModelConfig
from resjax.models.network import Head, Network
from resjax.models.norms import NORMS
from resjax.models.shortcuts import Projection, Shortcut, identity, none
from resjax.models.stages import Segment
from resjax.models.units import BasicUnit, Conv, Layer, fold

# Projections only where the width changes (b), or in every unit (c): He et al. 2015, section 3.3.
PROJECTS: dict[str, Callable[[int, int], bool]] = {
    "projection_b": lambda before, after: before != after,
    "projection_c": lambda before, after: True,
}

# What a unit has otherwise.
WITHOUT_WEIGHTS: dict[str, Shortcut] = {"none": none, "identity": identity, "projection_b": identity}


def make_shortcut(
    name: str, key: Array, channels: tuple[int, int], stride: int, norm: type[nnx.Module], dtype: DTypeLike
) -> Shortcut:
    """The shortcut of one unit. Its weights have a key of their own, so that the branch's do not depend on it."""
    if name in PROJECTS and PROJECTS[name](*channels):
        return Projection(fold(key, 3), channels, stride, norm, dtype)
    return WITHOUT_WEIGHTS[name]


def cifar_net(config: ModelConfig, key: Array, shape: tuple[int, ...], classes: int, dtype: DTypeLike) -> Network:
    """3x3 conv to `width`; three stages of n units at width, 2 width, 4 width and strides 1, 2, 2; pool; classifier."""
    norm, width, n = NORMS[config.norm], config.width, (config.depth - 2) // 6

    def unit(key: Array, channels: tuple[int, int], stride: int) -> BasicUnit:
        shortcut = make_shortcut(config.shortcut, key, channels, stride, norm, dtype)
        return BasicUnit(key, channels, stride, shortcut, norm, dtype)

    def stem(key: Array) -> Layer:
        return Layer(Conv(key, (3, 3, shape[-1], width), 1, dtype), norm(width, dtype))

    segments = [Segment("stem", 0, 0, 1, fold(key, 0), stem, config.unroll)]
    for stage, (before, after) in enumerate([(width, width), (width, 2 * width), (2 * width, 4 * width)], start=1):
        name, stage_key = f"stage{stage}", fold(key, stage)
        same = partial(unit, channels=(after, after), stride=1)
        if stage == 1:
            segments.append(Segment(name, stage, 1, n, stage_key, same, config.unroll))
            continue
        entry = partial(unit, channels=(before, after), stride=2)
        segments.append(Segment(name, stage, 1, 1, stage_key, entry, config.unroll))
        if n > 1:
            segments.append(Segment(name, stage, 2, n - 1, stage_key, same, config.unroll))
    return Network(segments, Head(fold(key, 4), 4 * width, classes, dtype))
