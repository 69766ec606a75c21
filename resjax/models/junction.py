"""What a shortcut may use in one unit: the unit's input, weights of its own, chance, and the model's settings."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from resjax.errors import InputError
from resjax.models.noise import dropout, survives
from resjax.models.norms import per_channel
from resjax.models.parts import Parts
from resjax.models.types import Hidden, Mode, fold
from resjax.plans.plan import UnitPlan, WeightSpec
from resjax.shortcuts import SHORTCUTS


@dataclass(frozen=True)
class Settings:
    """Those of the model that a shortcut reads, as attributes."""

    values: tuple[tuple[str, Any], ...]

    def __getattr__(self, name: str) -> Any:
        """The value; AttributeError where the shortcut's row does not name the setting."""
        values = dict(vars(self).get("values", ()))
        if name not in values:
            raise AttributeError(f"{name} is none of the shortcut's settings: name it in its row")
        return values[name]


class Junction(nnx.Module):
    """The weights that the row of the table names in `needs`; in units that keep their shape maybe none.

    Their key is the junction's own, so that the branch's weights do not depend on the shortcut.
    """

    def __init__(self, key: Array, plan: UnitPlan, parts: Parts) -> None:
        row = SHORTCUTS[plan.shortcut]
        needs = row.needs if row.elsewhere is None or plan.changes else ()
        self.plan, self.pads, self.pad_channels = plan, "pad_channels" in row.settings, parts.config.pad_channels
        if self.pads and plan.branch_channels < plan.before:
            raise InputError(
                f"model.shortcut={plan.shortcut} cannot bring {plan.before} channels to {plan.branch_channels}.\n"
                f"Expected units that do not narrow: option A appends channels, and takes none away.\n"
                f"Type: model.width={plan.before}, or model.shortcut=projection_b"
            )
        self.settings = Settings(tuple((name, getattr(parts.config, name)) for name in row.settings))
        first = plan.paths[0].specs[0]
        point = min(first.side, 1)
        if {"projection", "conv1x1"} & set(needs):
            spec = WeightSpec(point, plan.after, plan.stride, "projection")
            letters = "n" if "projection" in needs and "n" in plan.order.last else ""
            self.weight = parts.weight(fold(key, 1), spec, plan.before, "shortcut", "projection")
            self.post = parts.ops(letters, plan.after)
        if {"gate", "wide_gate"} & set(needs):
            spec = WeightSpec(first.side if "wide_gate" in needs else point, plan.after, plan.stride, "gate")
            self.weight = parts.weight(fold(key, 1), spec, plan.before, "shortcut", "gate")
            self.bias = nnx.Param(jnp.full(plan.after, parts.config.gate_bias, parts.dtype))
        if "scale" in needs:
            self.scale = nnx.Param(jnp.zeros((), parts.dtype))

    def at(self, x: Hidden, f: Hidden, mode: Mode) -> "At":
        """What the shortcut gets for one batch."""
        return At(self, x, option_a(x, f.shape, self.pad_channels) if self.pads else x, mode)


@dataclass(frozen=True)
class At:
    """A junction with the batch that passes it. raw: the unit's input; x: the same in f's shape."""

    junction: Junction
    raw: Hidden
    x: Hidden
    mode: Mode

    @property
    def settings(self) -> Any:
        """Those of the model that the shortcut reads."""
        return self.junction.settings

    @property
    def scale(self) -> Float[Array, ""]:
        """The learned scalar, 0 at step 0."""
        return self.junction.scale[...]

    def projection(self) -> Hidden:
        """W x, strided, normalised where the branch is."""
        return self.junction.post.normalise(self.junction.weight(self.raw, self.mode), self.mode)

    def gate(self) -> Hidden:
        """sigmoid(W x + b), strided, in the type of b: 1 - g of a gate of 16 bits is 1 where g is small."""
        scores = self.junction.weight(self.raw, self.mode)
        return jax.nn.sigmoid(scores + per_channel(self.junction.bias, scores.ndim))

    def drop(self, x: Hidden) -> Hidden:
        """x with the shortcut's dropout."""
        return dropout(x, self.settings.shortcut_dropout, self.mode, "shortcut")

    def survives(self) -> Float[Array, ""]:
        """Whether the branch stays: 1 or 0 with p_l = 1 - (l / L) (1 - p_L) in training, p_l in testing."""
        probability = 1 - jnp.asarray(self.mode.progress) * (1 - self.settings.survival)
        return survives(probability, self.mode, jnp.promote_types(self.raw.dtype, jnp.float32))

    def append(self, x: Hidden, f: Hidden) -> Hidden:
        """[x, f] along the channels."""
        return jnp.concatenate([x, f], axis=-1)


def option_a(x: Hidden, shape: tuple[int, ...], pad: str = "end") -> Hidden:
    """x brought to `shape` by taking every stride-th pixel and zero channels (He et al. 2015, section 3.3).

    pad: the zeros stand at the end, or are split on both sides, the odd one behind.
    """
    if x.shape == shape:
        return x
    if x.ndim == 4:
        stride = max(-(-before // after) for before, after in zip(x.shape[1:3], shape[1:3], strict=True))
        x = x[:, ::stride, ::stride]
    more = shape[-1] - x.shape[-1]
    ahead = more // 2 if pad == "split" else 0
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(ahead, more - ahead)])
