import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from resjax.models.initializers import he_normal


@pytest.mark.parametrize(("shape", "fan_in"), [((3, 3, 16, 64), 144), ((1, 1, 64, 128), 64), ((128, 100), 128)])
def test_normal_with_variance_two_over_fan_in(shape: tuple[int, ...], fan_in: int) -> None:
    drawn = np.asarray(he_normal(jax.random.key(1), shape, jnp.float32))
    assert drawn.shape == shape
    assert drawn.dtype == np.float32
    standard = drawn.ravel() * np.sqrt(fan_in / 2)
    four_errors = 4 / np.sqrt(2 * standard.size)  # of a standard deviation
    assert standard.std() == pytest.approx(1, abs=four_errors)
    assert stats.kstest(standard, "norm").pvalue > 0.001


@pytest.mark.usefixtures("float64")
def test_double_precision_is_drawn_in_double_precision() -> None:
    drawn = he_normal(jax.random.key(0), (64, 64), jnp.float64)
    assert drawn.dtype == jnp.float64
    assert jnp.any(drawn != drawn.astype(jnp.float32))
