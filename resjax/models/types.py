"""What passes between the parts of a network."""

from dataclasses import dataclass, replace

import jax
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
    """

    train: bool
    group: int
    axis: str | None = None
    key: Array | None = None
    places: Array | None = None
    progress: Array | float = 0.0

    def at(self, unit: Array, units: int) -> "Mode":
        """The mode in unit l of `units`, whose noise is its own; the stem is unit 0."""
        key = None if self.key is None else fold(self.key, unit)
        return replace(self, key=key, progress=unit / max(units, 1))


EVALUATE = Mode(train=False, group=1)
