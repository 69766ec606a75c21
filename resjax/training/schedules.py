"""The learning rate as a function of the step, inside jit."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from resjax.config import ScheduleConfig

ERROR_DECAY = 0.9


def base_rate(config: ScheduleConfig, step: Int[Array, ""], steps: int) -> Float[Array, ""]:
    """The learning rate of update number `step` of `steps`, warm-up apart.

    step:     rate * decay^(boundaries passed), boundary b at step round(b steps): He et al. 2015's 32k and 48k of 64k.
    cosine:   rate (1 + cos(pi step / steps)) / 2 (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts).
    constant: rate.
    """
    rate = jnp.asarray(config.learning_rate)
    if config.name == "step":
        passed = jnp.sum(step >= jnp.array([round(b * steps) for b in config.boundaries], jnp.int32))
        return rate * jnp.asarray(config.decay) ** passed
    if config.name == "cosine":
        return rate * 0.5 * (1 + jnp.cos(jnp.pi * step / steps))
    return rate


def learning_rate(
    config: ScheduleConfig, step: Int[Array, ""], steps: int, warming: Bool[Array, ""]
) -> Float[Array, ""]:
    """The warm-up's rate while it lasts, then the usual schedule (He et al. 2015, section 4.2, n = 18)."""
    rate = base_rate(config, step, steps)
    if config.warmup_learning_rate is None:
        return rate
    return jnp.where(warming, config.warmup_learning_rate, rate)


def still_warming(
    config: ScheduleConfig, step: Int[Array, ""], warming: Bool[Array, ""], running_error: Float[Array, ""]
) -> Bool[Array, ""]:
    """Whether the warm-up goes on after update number `step`. Once ended it never comes back.

    It ends when the running training error falls below `warmup_error`, at `warmup_max_steps` at the latest.
    """
    return warming & (running_error >= config.warmup_error) & (step + 1 < config.warmup_max_steps)


def track_error(running_error: Float[Array, ""], batch_error: Float[Array, ""]) -> Float[Array, ""]:
    """The running training error: an exponential mean with decay 0.9 that starts at 1."""
    return ERROR_DECAY * running_error + (1 - ERROR_DECAY) * batch_error
