"""What an instrument does to a unit on the way forward or back: `around` functions of Model.apply.

Nothing is trained anew.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from resjax.models import Model
from resjax.models.junction import option_a
from resjax.models.stages import Around, RunUnit
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


def lifted(unit: RunUnit, x: Hidden, lift: Hidden) -> tuple[Hidden, Within]:
    """The unit with h + lift for h: the gradient in a lift of zeros is the gradient in h."""
    h, within = unit(x)
    return h + lift, within


def no_lifts(model: Model, batch: int) -> list[Float[Array, "unit batch *_space channel"]]:
    """Zeros for every unit's output, an array a segment."""
    return [jnp.zeros(h.shape, h.dtype) for h in model.hidden_shapes(batch)]


def lifted_or(around: Around) -> Around:
    """`lifted` where the tap is a lift, (batch, ..., channel), and `around` where it has at most one axis."""

    def found(unit: RunUnit, x: Hidden, tap: Array) -> tuple[Hidden, Within]:
        return (lifted if tap.ndim > 1 else around)(unit, x, tap)

    return found


def by_branch_or_shortcut(unit: RunUnit, x: Hidden, branch: Float[Array, ""]) -> tuple[Hidden, Within]:
    """The unit as it is, whose gradient comes back through the branch alone (branch = 1) or the shortcut alone (0).

    Where there is no shortcut it comes through the branch, whatever is asked.
    """
    return apart(unit, x, lambda x: gated(x, branch), lambda x: gated(x, 1 - branch))


def turned_branch(unit: RunUnit, x: Hidden, z: Float[Array, "2"]) -> tuple[Hidden, Within]:
    """The unit as it is; what comes back through the branch is multiplied by z = z_0 + i z_1 where there is a shortcut.

    Complex gradients: examples 2k and 2k + 1 are the same image, and hold the real and the imaginary part.
    """
    return apart(unit, x, lambda x: turned(x, z), lambda x: x)


def apart(
    unit: RunUnit, x: Hidden, for_branch: Callable[[Hidden], Hidden], for_shortcut: Callable[[Hidden], Hidden]
) -> tuple[Hidden, Within]:
    """The unit whose branch gets for_branch(x), and all else for_shortcut(x): projections and gates too.

    Both are x on the way forward, so that XLA, which merges what is the same, computes the unit once.
    """
    h, within = unit(x)
    if within.plain:
        return h, within
    (_, branch), (_, shortcut) = unit(for_branch(x)), unit(for_shortcut(x))
    return shortcut.after(shortcut.join(shortcut.x, branch.f)), within


@jax.custom_vjp
def gated(x: Hidden, opens: Float[Array, ""]) -> Hidden:
    """x; the gradient is multiplied by `opens` on its way back."""
    return x


@jax.custom_vjp
def turned(x: Hidden, z: Float[Array, "2"]) -> Hidden:
    """x; the gradient, of which two neighbours are a complex one, is multiplied by z on its way back."""
    return x


def _turn(z: Float[Array, "2"], dx: Hidden) -> tuple[Hidden, None]:
    real, imaginary = jnp.moveaxis(dx.reshape(-1, 2, *dx.shape[1:]), 1, 0)
    pair = z[0] * real - z[1] * imaginary, z[1] * real + z[0] * imaginary
    return jnp.stack(pair, axis=1).reshape(dx.shape), None


gated.defvjp(lambda x, opens: (x, opens), lambda opens, dx: (opens * dx, None))
turned.defvjp(lambda x, z: (x, z), _turn)
