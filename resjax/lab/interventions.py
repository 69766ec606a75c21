"""What an instrument does to a unit on the way forward: `around` functions of Model.apply. Nothing is trained anew."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax.models.junction import option_a
from resjax.models.stages import RunUnit
from resjax.models.types import Hidden, Within


def without_branch(within: Within) -> Hidden:
    """h of a unit whose branch is deleted, after(join(x, 0)): what comes by the shortcut (Veit et al. 2016, section 4).

    Where there is no shortcut the unit is taken out and its input passed on, h = x: where it subsamples or changes the
    channels, with every stride-th pixel, and zero channels more or the last channels less, as option A does.
    """
    if within.plain:
        return bridged(within.x, within.f.shape)
    return within.after(within.join(within.x, jnp.zeros_like(within.f)))


def bridged(x: Hidden, shape: tuple[int, ...]) -> Hidden:
    """x in the shape of a unit's output, without a weight; images in front of a dense layer as rows of pixels."""
    x = x.reshape(len(x), -1) if len(shape) == 2 else x
    return option_a(x[..., : shape[-1]], shape)


def kept_or_deleted(unit: RunUnit, x: Hidden, keep: Float[Array, ""]) -> tuple[Hidden, Within]:
    """The unit as it is where keep is 1, without its branch where it is 0."""
    h, within = unit(x)
    return jnp.where(keep > 0, h, without_branch(within)), within
