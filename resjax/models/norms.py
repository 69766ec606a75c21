"""Norms. Batch statistics are over a stated number of examples, however they are laid out on devices."""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from resjax.errors import InputError
from resjax.models.types import Hidden, Mode

EPSILON = 1e-5
RUNNING_DECAY = 0.9


class BatchNorm(nnx.Module):
    """y = scale (x - mean) / sqrt(var + 1e-5) + bias (Ioffe and Szegedy 2015, arXiv:1502.03167).

    In training mean and var are those of `mode.group` examples: the batch is cut into groups in order, and a group
    may span devices. Otherwise they are running means: decay 0.9, the variance without Bessel's correction; over the
    device axis the caller has to average them.
    """

    def __init__(self, channels: int, dtype: DTypeLike) -> None:
        self.scale = nnx.Param(jnp.ones(channels, dtype))
        self.bias = nnx.Param(jnp.zeros(channels, dtype))
        self.mean = nnx.BatchStat(jnp.zeros(channels, dtype))
        self.var = nnx.BatchStat(jnp.ones(channels, dtype))

    def __call__(self, x: Hidden, mode: Mode) -> Hidden:
        if mode.train:
            y, mean, var = normalise(x, self.scale[...], self.bias[...], mode.group, mode.axis)
            self._track(mean, var)
            return y
        mean, var, scale, bias = (per_channel(v, x.ndim) for v in (self.mean, self.var, self.scale, self.bias))
        return ((x - mean) * (lax.rsqrt(var + EPSILON) * scale) + bias).astype(x.dtype)

    def _track(self, mean: Array, var: Array) -> None:
        for running, moments in ((self.mean, mean), (self.var, var)):
            now = lax.stop_gradient(moments.reshape(-1, moments.shape[-1]).mean(0))
            # Not running[...] = ...: flax would compare shardings, which takes milliseconds while tracing.
            running.set_value(RUNNING_DECAY * running[...] + (1 - RUNNING_DECAY) * now)


def per_channel(variable: nnx.Variable[Array], ndim: int) -> Array:
    """(1, ..., 1, channel), to meet an array of `ndim` axes."""
    return variable[...].reshape((1,) * (ndim - 1) + (-1,))


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def normalise(
    x: Hidden, scale: Float[Array, " channel"], bias: Float[Array, " channel"], group: int, axis: str | None
) -> tuple[Hidden, Array, Array]:
    """y = scale (x - mean) / sqrt(var + 1e-5) + bias; the mean and variance of each group, (groups, 1, ..., channel).

    group, axis: as in `grouped_moments`. With an axis, differentiate inside the mapped function; in reverse mode.

    The gradient goes through y alone, written by hand (Ioffe and Szegedy 2015, section 3): with g = dL/dy and z = (x -
    mean) / sqrt(var + 1e-5), dL/dx = scale / sqrt(var + 1e-5) (g - mean(g) - z mean(g z)), the means over each group.
    It keeps x alone, and reads x and g twice. x may be of fewer bits than scale, in whose type all is computed.
    """
    return _forward(x, scale, bias, group, axis)[0]


def _forward(
    x: Hidden, scale: Array, bias: Array, group: int, axis: str | None
) -> tuple[tuple[Hidden, Array, Array], tuple[Array, ...]]:
    grouped, mean, var = grouped_moments(x.astype(scale.dtype), group, axis)
    inverse = lax.rsqrt(var + EPSILON)
    y = (grouped - mean) * (inverse * _to_meet(scale, grouped)) + _to_meet(bias, grouped)
    return (y.reshape(x.shape).astype(x.dtype), mean, var), (x, mean, inverse, scale)


def _backward(
    group: int, axis: str | None, saved: tuple[Array, ...], of_outputs: tuple[Array, ...]
) -> tuple[Hidden, Array, Array]:
    x, mean, inverse, scale = saved
    x_groups, g = (_in_groups(value, group).astype(scale.dtype) for value in (x, of_outputs[0]))
    over, span = tuple(range(1, g.ndim - 1)), group // g.shape[1]
    d_bias = g.sum(over, keepdims=True)
    d_scale = (g * ((x_groups - mean) * inverse)).sum(over, keepdims=True)
    count = math.prod(g.shape[1:-1])
    mean_g, mean_gz = (_mean_over_devices(value / count, span, axis) for value in (d_bias, d_scale))
    dx = (g - mean_g - (x_groups - mean) * (inverse * mean_gz)) * (inverse * _to_meet(scale, g))
    d_scale, d_bias = (value.reshape(-1, len(scale)).sum(0) for value in (d_scale, d_bias))
    return dx.reshape(x.shape).astype(x.dtype), d_scale, d_bias


normalise.defvjp(_forward, _backward)


def grouped_moments(x: Hidden, group: int, axis: str | None) -> tuple[Array, Array, Array]:
    """x as (groups, group, ..., channel), and each group's mean and variance over all but the channels.

    `axis` names the device axis when x is one device's part of the batch; None when x is the whole batch.
    A group larger than the part is averaged over the devices that hold it.
    """
    grouped = _in_groups(x, group)
    over, span = tuple(range(1, grouped.ndim - 1)), group // grouped.shape[1]
    mean = _mean_over_devices(grouped.mean(over, keepdims=True), span, axis)
    var = jnp.square(grouped - mean).mean(over, keepdims=True)
    return grouped, mean, _mean_over_devices(var, span, axis)


def _in_groups(x: Hidden, group: int) -> Array:
    """(groups, group, ..., channel); a group larger than x is a part of one."""
    within = min(group, len(x))
    return x.reshape(len(x) // within, within, *x.shape[1:])


def _to_meet(parameter: Float[Array, " channel"], x: Array) -> Array:
    """(1, ..., 1, channel), as many axes as x has."""
    return parameter.reshape((1,) * (x.ndim - 1) + (-1,))


def _mean_over_devices(value: Array, span: int, axis: str | None) -> Array:
    """The mean of `value` over each run of `span` neighbouring devices."""
    if axis is None or span == 1:
        return value
    everyone = lax.all_gather(value, axis)
    first = lax.axis_index(axis) // span * span
    return lax.dynamic_slice_in_dim(everyone, first, span).mean(0)


class GroupNorm(nnx.Module):
    """y = scale (x - mean) / sqrt(var + 1e-5) + bias, over space and a group of channels (Wu and He 2018).

    The channels are cut into `groups` in order. Nothing runs, and no example sees another.
    """

    def __init__(self, channels: int, groups: int, dtype: DTypeLike) -> None:
        if channels % groups:
            legal = [count for count in range(1, channels + 1) if channels % count == 0]
            common = math.gcd(channels, groups)  # divides the layers before, too; 1 is layer norm
            fewer = f", or model.norm_channel_groups={common}" if common > 1 else ""
            raise InputError(
                f"model.norm_channel_groups={groups} does not divide the {channels} channels of a layer.\n"
                f"Expected one of: {', '.join(map(str, legal))}, and the same in every layer.\n"
                f"Type: model.norm=layer{fewer}"
            )
        self.groups = groups
        self.scale = nnx.Param(jnp.ones(channels, dtype))
        self.bias = nnx.Param(jnp.zeros(channels, dtype))

    def __call__(self, x: Hidden, mode: Mode) -> Hidden:
        grouped = x.astype(self.scale.dtype).reshape(x.shape[0], -1, self.groups, x.shape[-1] // self.groups)
        mean = grouped.mean((1, 3), keepdims=True)
        var = jnp.square(grouped - mean).mean((1, 3), keepdims=True)
        standard = ((grouped - mean) * lax.rsqrt(var + EPSILON)).reshape(x.shape)
        return (standard * per_channel(self.scale, x.ndim) + per_channel(self.bias, x.ndim)).astype(x.dtype)


class Bias(nnx.Module):
    """y = x + bias, one a channel: where nothing normalises, a weight layer keeps its bias."""

    def __init__(self, channels: int, dtype: DTypeLike) -> None:
        self.bias = nnx.Param(jnp.zeros(channels, dtype))

    def __call__(self, x: Hidden, mode: Mode) -> Hidden:
        return (x + per_channel(self.bias, x.ndim)).astype(x.dtype)


class ScalarBias(nnx.Module):
    """y = x + b, one number (Zhang et al. 2019, section 3)."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.bias = nnx.Param(jnp.zeros((), dtype))

    def __call__(self, x: Hidden, mode: Mode) -> Hidden:
        return (x + self.bias[...]).astype(x.dtype)


# By name: the norm of so many channels, in so many groups.
NORMS: dict[str, Callable[[int, DTypeLike, int], nnx.Module]] = {
    "batch": lambda channels, dtype, groups: BatchNorm(channels, dtype),
    "group": lambda channels, dtype, groups: GroupNorm(channels, groups, dtype),
    "layer": lambda channels, dtype, groups: GroupNorm(channels, 1, dtype),
    "none": lambda channels, dtype, groups: Bias(channels, dtype),
}
