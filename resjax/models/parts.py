"""The parts that a config chooses: norm, activation, law of the initial weights."""

from dataclasses import dataclass

from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array

from resjax.config import ModelConfig
from resjax.models.activations import ACTIVATIONS
from resjax.models.initializers import INITS, Role
from resjax.models.norms import NORMS, Bias, ScalarBias
from resjax.models.types import Hidden, Mode
from resjax.models.weights import Conv, Dense, FixupWeight
from resjax.plans.plan import WeightSpec


class Ops(nnx.Module):
    """activation(norm(x)), each where the order's letters name it: n, a, or b for a bias."""

    def __init__(self, letters: str, channels: int, parts: "Parts") -> None:
        self.norm = parts.norm(channels) if "n" in letters else parts.bias(channels) if "b" in letters else None
        self.activation = ACTIVATIONS[parts.config.activation] if "a" in letters else None

    def __call__(self, x: Hidden, mode: Mode) -> Hidden:
        return self.activate(self.normalise(x, mode))

    def normalise(self, x: Hidden, mode: Mode) -> Hidden:
        """norm(x), or x."""
        return x if self.norm is None else self.norm(x, mode)

    def activate(self, x: Hidden) -> Hidden:
        """activation(x), or x."""
        return x if self.activation is None else self.activation(x)


@dataclass(frozen=True)
class Parts:
    """How to make them. branches: residual branches of the network; layers: weights of one (for Fixup)."""

    config: ModelConfig
    dtype: DTypeLike
    branches: int = 1
    layers: int = 1

    def ops(self, letters: str, channels: int) -> Ops:
        """Norm and activation."""
        return Ops(letters, channels, self)

    def norm(self, channels: int) -> nnx.Module:
        """The norm; under Fixup a bias in its place."""
        if self.config.init == "fixup":
            return self.bias(channels)
        return NORMS[self.config.norm](channels, self.dtype, self.config.norm_channel_groups)

    def bias(self, channels: int) -> nnx.Module:
        """One a channel; under Fixup a scalar."""
        return ScalarBias(self.dtype) if self.config.init == "fixup" else Bias(channels, self.dtype)

    def weight(self, key: Array, spec: WeightSpec, before: int, place: str, kind: str = "") -> nnx.Module:
        """A convolution or dense layer; under Fixup with its scalars."""
        role = Role(place, self.branches, self.layers)
        shape = (spec.side, spec.side, before, spec.channels) if spec.side else (before, spec.channels)
        kernel = self.config.init_gain * INITS[self.config.init](key, shape, self.dtype, role)
        weight = (
            Conv(kernel, spec.stride, spec.name, kind or "conv")
            if spec.side
            else Dense(kernel, spec.name, kind or "dense")
        )
        return FixupWeight(weight, place == "branch_last", self.dtype) if self.config.init == "fixup" else weight
