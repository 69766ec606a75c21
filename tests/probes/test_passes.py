import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.models.types import Hidden, Within
from resjax.probes.look import signal_to_noise
from resjax.probes.passes import Backward, cotangents, tapped


def test_every_pass_weighs_the_losses() -> None:
    """The mean's; three parts of two examples, which leave one; every example alone."""
    parts = np.array([[1, 1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1, 0]]) / 2
    expected = np.concatenate([np.full((1, 7), 1 / 7), parts, np.eye(7)])
    np.testing.assert_allclose(cotangents(7, 3, True, jnp.float32), expected, rtol=1e-6)
    np.testing.assert_array_equal(cotangents(7, 3, False, jnp.float32), expected[:4].astype(np.float32))
    np.testing.assert_array_equal(cotangents(7, 0, True, jnp.float32)[1:], np.eye(7))


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_that_divide_the_batch_average_to_the_mean(parts: int) -> None:
    rows = cotangents(8, parts, False, jnp.float32)
    assert rows.shape == (1 + parts, 8)
    np.testing.assert_array_equal(rows[1:].mean(0), rows[0])
    np.testing.assert_array_equal(rows[1:].sum(1), np.ones(parts))


def drawn(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(sum(shape)).standard_normal(shape), jnp.float32)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_tap_changes_no_value_and_no_gradient(channels: int) -> None:
    """Its own gradient is the norm of dL/dh and, where x has h's shape, the cosine of dL/dh and dL/dx."""
    x, kernel, dh = drawn(5, 3), drawn(3, channels), drawn(5, channels)
    seen = slice(2 if channels == 3 else 1)

    def unit(x: Hidden) -> tuple[Hidden, Within]:
        h = jnp.tanh(x @ kernel)
        return h, Within((h,), x, h, lambda x, f: f, lambda h: h, True, False)

    expected, pull_expected = jax.vjp(lambda x: unit(x)[0], x)
    h, pull = jax.vjp(lambda x, tap: tapped(unit, x, tap)[0], x, jnp.array([5.0, 7.0])[seen])
    np.testing.assert_array_equal(h, expected)
    (dx_expected,), (dx, in_tap) = pull_expected(dh), pull(dh)
    np.testing.assert_array_equal(dx, dx_expected)
    cosine = np.vdot(dh, dx) / np.linalg.norm(dh) / np.linalg.norm(dx) if channels == 3 else np.nan
    np.testing.assert_allclose(in_tap, [np.linalg.norm(dh), cosine][seen], rtol=1e-5)


def passes_of(parts: np.ndarray) -> Backward:
    """Of gradients (part, layer, entry) and their mean; behind them come an example's, far away."""
    mean = parts.mean(0)
    rows = np.stack([mean, *parts, 100 * parts[0]])
    norms, away = (jnp.asarray(np.linalg.norm(of, axis=-1), jnp.float32) for of in (rows, rows - mean))
    return Backward(None, norms, away, norms, norms)


@pytest.mark.parametrize("size", [1e25, 1.0, 1e-25])
@pytest.mark.parametrize("parts", [2, 3, 4])
def test_signal_to_noise_is_the_mean_over_the_samples_deviation(parts: int, size: float) -> None:
    grads = 0.5 + np.random.default_rng(parts).standard_normal((parts, 3, 50)) * np.array([[[0.1], [1], [10]]])
    expected = np.linalg.norm(grads.mean(0), axis=-1) / np.sqrt(np.var(grads, axis=0, ddof=1).sum(-1))
    np.testing.assert_allclose(signal_to_noise(passes_of(size * grads), parts), expected, rtol=1e-5)


@pytest.mark.parametrize("parts", [2, 4, 16])
def test_signal_to_noise_of_noise_alone(parts: int) -> None:
    """One over the root of the parts; 3000 entries are 5 deviations from being 7 percent off."""
    noise = np.random.default_rng(0).standard_normal((parts, 1, 3000))
    assert float(signal_to_noise(passes_of(noise), parts)[0]) == pytest.approx(1 / np.sqrt(parts), rel=0.07)


def test_signal_to_noise_of_equal_parts_is_infinite() -> None:
    assert np.isinf(signal_to_noise(passes_of(np.ones((4, 2, 5))), 4)).all()
