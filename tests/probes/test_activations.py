import jax.numpy as jnp
import numpy as np
import pytest

from resjax.probes.activations import act_rms, dead_fraction, response_std


def constructed() -> np.ndarray:
    """(batch, height, width, channel): zeros, a single one, a constant 3, the numbers -1 and 1 in turn."""
    h = np.zeros((2, 2, 2, 4), np.float32)
    h[1, 0, 1, 1] = 1
    h[..., 2] = 3
    h[..., 3] = np.array([-1, 1] * 4).reshape(2, 2, 2)
    return h


def test_dead_is_zero_on_every_example_and_at_every_place() -> None:
    assert float(dead_fraction(jnp.asarray(constructed()))) == 1 / 4
    assert float(dead_fraction(jnp.asarray(constructed()[:1]))) == 2 / 4
    assert float(dead_fraction(jnp.zeros((3, 5)))) == 1
    assert float(dead_fraction(jnp.eye(5))) == 0


def test_response_std_is_over_batch_space_and_channels() -> None:
    h = constructed()
    assert float(response_std(jnp.asarray(h))) == pytest.approx(h.std(), rel=1e-6)
    assert float(response_std(jnp.asarray(h) - 100)) == pytest.approx(h.std(), rel=1e-4)
    assert float(response_std(jnp.full((3, 2), 7.0))) == 0


def test_act_rms() -> None:
    # 1 + 8 * 9 + 8 * 1 over 32 entries
    assert float(act_rms(jnp.asarray(constructed()))) == pytest.approx(np.sqrt(81 / 32), rel=1e-6)


def test_large_activations_do_not_overflow() -> None:
    h = jnp.asarray(constructed()) * 1e25
    assert float(act_rms(h)) == pytest.approx(1e25 * np.sqrt(81 / 32), rel=1e-6)
    assert float(response_std(h)) == pytest.approx(1e25 * constructed().std(), rel=1e-6)
