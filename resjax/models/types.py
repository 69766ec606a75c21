"""What passes between the parts of a network."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Hidden = Float[Array, "batch *_space _channel"]
Responses = tuple[Hidden, ...]
fold = jax.random.fold_in


@dataclass(frozen=True)
class Mode:
    """How to run a forward pass.

    train: batch statistics, which also move the running ones; else the running ones are used.
    group: examples that share batch statistics. axis: the device axis when each device sees its part, else None.
    key: of this step's noise (dropout, stochastic depth); None: no noise. places: of the examples in the whole batch,
    so that the noise of an example does not depend on the devices. progress: l / L in unit l of L.
    products: convolutions as matrix products of patches, for seeds side by side.
    """

    train: bool
    group: int
    axis: str | None = None
    key: Array | None = None
    places: Array | None = None
    progress: Array | float = 0.0
    products: bool = False

    def at(self, unit: Array, units: int) -> "Mode":
        """The mode in unit l of `units`, whose noise is its own; the stem is unit 0."""
        key = None if self.key is None else fold(self.key, unit)
        return replace(self, key=key, progress=unit / max(units, 1))


@dataclass(frozen=True)
class Within:
    """What passed inside a unit: the responses of its weight layers, and what met where shortcut and branch join.

    x: the unit's input as the shortcut has it; f: the branch's output; join: h of the two, before what stands behind;
    after: what stands behind, so that h = after(join(x, f)). The parts are computed where somebody asks.
    """

    responses: Responses
    x: Hidden
    f: Hidden
    join: Callable[[Hidden, Hidden], Hidden]
    after: Callable[[Hidden], Hidden]
    plain: bool
    widens: bool

    @property
    def skip(self) -> Hidden | None:
        """What the shortcut gives, join(x, 0); None where there is no shortcut."""
        if self.plain:
            return None
        return self.x if self.widens else self.join(self.x, jnp.zeros_like(self.f))

    @property
    def branch(self) -> Hidden:
        """What the branch gives, join(0, f) - join(0, 0): f, or as much of it as scales and gates let pass."""
        if self.plain or self.widens:
            return self.f
        nothing = jnp.zeros_like(self.x)
        return self.join(nothing, self.f) - self.join(nothing, jnp.zeros_like(self.f))


EVALUATE = Mode(train=False, group=1)
