from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.models.norms import NORMS, BatchNorm, Bias, normalise
from resjax.models.types import EVALUATE, Mode

BATCH, CHANNELS = 8, 3
SPACES = [(), (4, 5)]
pytestmark = pytest.mark.usefixtures("float64")


def drawn(*shape: int) -> np.ndarray:
    return 3 + 2 * np.random.default_rng(sum(shape)).standard_normal(shape)


def batch_norm() -> BatchNorm:
    """One with no value left at 0 or 1."""
    norm = BatchNorm(CHANNELS, jnp.float64)
    for shift, variable in enumerate((norm.scale, norm.bias, norm.mean, norm.var), start=1):
        variable[...] = jnp.arange(1.0, CHANNELS + 1) / shift
    return norm


def closed_form(x: np.ndarray, mean: np.ndarray, var: np.ndarray) -> np.ndarray:
    scale, bias = np.arange(1.0, CHANNELS + 1), np.arange(1.0, CHANNELS + 1) / 2
    return scale * (x - mean) / np.sqrt(var + 1e-5) + bias


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    over = tuple(range(x.ndim - 1))
    return x.mean(over), x.var(over)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("group", [2, 4, BATCH])
def test_each_group_has_its_own_moments(group: int, space: tuple[int, ...]) -> None:
    x = drawn(BATCH, *space, CHANNELS)
    parts = [x[start : start + group] for start in range(0, BATCH, group)]
    expected = np.concatenate([closed_form(part, *moments(part)) for part in parts])
    np.testing.assert_allclose(batch_norm()(jnp.asarray(x), Mode(True, group)), expected, rtol=1e-12)


def test_a_tenth_of_the_groups_mean_moments_enters_the_running_ones() -> None:
    x, norm = drawn(BATCH, 4, 5, CHANNELS), batch_norm()
    means, variances = zip(*map(moments, np.split(x, 2)), strict=True)
    for variable, now in ((norm.mean, means), (norm.var, variances)):
        before = np.asarray(variable[...])
        norm_after = batch_norm()
        norm_after(jnp.asarray(x), Mode(True, BATCH // 2))
        after = norm_after.mean if variable is norm.mean else norm_after.var
        np.testing.assert_allclose(after[...], 0.9 * before + 0.1 * np.mean(now, axis=0), rtol=1e-12)


def test_evaluation_uses_the_running_moments_and_leaves_them() -> None:
    x, norm = drawn(BATCH, 4, 5, CHANNELS), batch_norm()
    before = np.asarray(norm.mean[...]), np.asarray(norm.var[...])
    np.testing.assert_allclose(norm(jnp.asarray(x), EVALUATE), closed_form(x, *before), rtol=1e-12)
    np.testing.assert_array_equal(norm.mean[...], before[0])
    np.testing.assert_array_equal(norm.var[...], before[1])


@pytest.mark.parametrize("group", [1, 2, 4, 8])
def test_a_group_may_span_devices(group: int) -> None:
    """Four devices of two examples give what one device of eight gives: values, gradients, running moments."""
    x, weight = jnp.asarray(drawn(BATCH, 4, 5, CHANNELS)), jnp.asarray(drawn(BATCH, 4, 5, CHANNELS))

    def run(x: jax.Array, mode: Mode) -> tuple[jax.Array, jax.Array, jax.Array]:
        norm = batch_norm()
        return norm(x, mode), norm.mean[...], norm.var[...]

    def both(x: jax.Array, weight: jax.Array, mode: Mode) -> tuple[tuple[jax.Array, ...], jax.Array]:
        """The outputs, and what a gradient of `weight` in the first becomes in x, taken where the step takes it."""
        outputs, pull = jax.vjp(partial(run, mode=mode), x)
        return outputs, pull((weight, *map(jnp.zeros_like, outputs[1:])))[0]

    whole, gradient = jax.jit(partial(both, mode=Mode(True, group)))(x, weight)
    share = jax.jit(jax.vmap(partial(both, mode=Mode(True, group, "device")), axis_name="device"))
    parts, gradients = share(*(value.reshape(4, 2, 4, 5, CHANNELS) for value in (x, weight)))
    np.testing.assert_allclose(parts[0].reshape(x.shape), whole[0], rtol=1e-12)
    for running, expected in zip(parts[1:], whole[1:], strict=True):
        np.testing.assert_allclose(running.mean(0), expected, rtol=1e-12)
    np.testing.assert_allclose(gradients.reshape(x.shape), gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("group", [2, BATCH])
def test_the_gradients_are_those_of_the_closed_form(group: int, space: tuple[int, ...]) -> None:
    """In x, scale and bias, by JAX's own rules through the equation."""
    x, weight = jnp.asarray(drawn(BATCH, *space, CHANNELS)), jnp.asarray(drawn(BATCH, *space, CHANNELS))
    scale, bias = jnp.arange(1.0, CHANNELS + 1), jnp.arange(1.0, CHANNELS + 1) / 2

    def by_hand(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        parts = x.reshape(-1, group, *x.shape[1:])
        over = tuple(range(1, parts.ndim - 1))
        mean, var = parts.mean(over, keepdims=True), parts.var(over, keepdims=True)
        scale, bias = (value.reshape((1,) * (parts.ndim - 1) + (-1,)) for value in (scale, bias))
        return (scale * (parts - mean) / jnp.sqrt(var + 1e-5) + bias).reshape(x.shape)

    def ours(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        return normalise(x, scale, bias, group, None)[0]

    gradients = [jax.jit(lambda *at, f=f: jax.vjp(f, *at)[1](weight))(x, scale, bias) for f in (ours, by_hand)]
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


def test_without_norm_a_bias_remains() -> None:
    norm = Bias(CHANNELS, jnp.float64)
    np.testing.assert_array_equal(norm.bias[...], 0)
    norm.bias[...] = jnp.arange(1.0, CHANNELS + 1)
    x = drawn(BATCH, 4, 5, CHANNELS)
    np.testing.assert_array_equal(norm(jnp.asarray(x), Mode(True, 2)), x + np.arange(1.0, CHANNELS + 1))


@pytest.mark.parametrize("name", NORMS)
def test_at_initialisation_no_scale_is_zero(name: str) -> None:
    """A zero scale of a branch's last norm would make the residual net start as the identity."""
    out = NORMS[name](CHANNELS, jnp.float64, 1)(jnp.asarray(drawn(BATCH, CHANNELS)), Mode(True, BATCH))
    assert np.all(np.std(out, axis=0) > 0.5)
