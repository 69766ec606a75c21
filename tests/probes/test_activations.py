import jax.numpy as jnp
import numpy as np
import pytest

from resjax.probes.activations import act_correlation, act_rms, act_var, dead_fraction, response_std


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


def test_act_var_is_of_each_channel_alone() -> None:
    """A single one among 8 has 1/8 - 1/64, a constant 0, the numbers -1 and 1 in turn 1. No level counts."""
    expected = (7 / 64 + 1) / 4
    levels = jnp.array([-5.0, 0, 5, 10]).reshape(1, 1, 1, 4)
    assert float(act_var(jnp.asarray(constructed()))) == pytest.approx(expected, rel=1e-6)
    assert float(act_var(jnp.asarray(constructed()) + levels)) == pytest.approx(expected, rel=1e-5)
    assert float(act_var(jnp.asarray(constructed().reshape(8, 4)))) == pytest.approx(expected, rel=1e-6)
    assert float(act_var(1e15 * jnp.asarray(constructed()))) == pytest.approx(1e30 * expected, rel=1e-5)
    assert not np.isfinite(act_var(1e25 * jnp.asarray(constructed())))  # it is no number of float32


ONE, OTHER, ZEROS = [[1.0, 2.0], [-2.0, 4.0]], [[2.0, 1.0], [4.0, -2.0]], [[0.0, 0.0], [0.0, 0.0]]  # at 117 degrees


@pytest.mark.parametrize("size", [1e25, 1.0, 1e-25])
@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        ([ONE, ONE, ONE], 1),
        ([ONE, (3 * np.array(ONE)).tolist()], 1),
        ([ONE, (-np.array(ONE)).tolist()], -1),
        ([[[1.0, 0.0]], [[0.0, 1.0]]], 0),
        ([ONE, OTHER], -12 / 25),
        ([ONE, ONE, ZEROS], 1 / 3),
        ([ONE, OTHER, ONE, ZEROS], (1 - 2 * 12 / 25) / 6),
        ([ZEROS, ZEROS], 0),
    ],
)
def test_act_correlation_is_the_mean_cosine_of_pairs(examples: list[list[float]], expected: float, size: float) -> None:
    h = size * jnp.asarray(examples)[..., None]
    assert float(act_correlation(h)) == pytest.approx(expected, abs=1e-6)


def test_act_correlation_does_not_see_how_long_an_example_is() -> None:
    h = np.random.default_rng(0).standard_normal((6, 3, 2, 4)).astype(np.float32)
    rows = h.reshape(6, -1)
    cosines = np.corrcoef(np.concatenate([rows, -rows], axis=1))  # of rows without a mean
    expected = cosines[np.triu_indices(6, 1)].mean()
    lengths = np.array([1e25, 1, 1e-25, 1e10, 3, 1e-10], np.float32).reshape(6, 1, 1, 1)
    for times in (1, lengths):
        assert float(act_correlation(jnp.asarray(h * times))) == pytest.approx(expected, rel=1e-4)
