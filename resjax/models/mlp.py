"""Fully connected nets of one width, plain and residual: H(x) = F(x) + x with F(x) = g(W x + b)."""

import math

from jax.typing import DTypeLike
from jaxtyping import Array

from resjax.config import ModelConfig
from resjax.models.network import Head, Network
from resjax.models.norms import NORMS
from resjax.models.shortcuts import identity, none
from resjax.models.stages import Segment
from resjax.models.units import Dense, DenseUnit, Layer, fold


def mlp(config: ModelConfig, key: Array, shape: tuple[int, ...], classes: int, dtype: DTypeLike) -> Network:
    """A layer to `width`, depth - 2 units, a classifier: `depth` weight layers."""
    norm, width = NORMS[config.norm], config.width
    shortcut = {"none": none, "identity": identity}[config.shortcut]

    def stem(key: Array) -> Layer:
        return Layer(Dense(key, (math.prod(shape), width), dtype), norm(width, dtype))

    def unit(key: Array) -> DenseUnit:
        return DenseUnit(key, width, shortcut, norm, dtype)

    segments = [
        Segment("stem", 0, 0, 1, fold(key, 0), stem, config.unroll),
        Segment("stage1", 1, 1, config.depth - 2, fold(key, 1), unit, config.unroll),
    ]
    return Network(segments, Head(fold(key, 2), width, classes, dtype))
