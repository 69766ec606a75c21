import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from resjax.models.norms import NORMS, BatchNorm, NoNorm
from resjax.models.shortcuts import identity, none, option_a
from resjax.models.units import BasicUnit, Dense, DenseUnit, Layer, Mode

WIDTH, BATCH = 6, 8
MODE = Mode(train=True, group=4)
pytestmark = pytest.mark.usefixtures("float64")


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def normalised(x: np.ndarray, norm: NoNorm | BatchNorm) -> np.ndarray:
    """Batch norm over MODE's groups with scale 1, or nothing; then the bias."""
    if isinstance(norm, BatchNorm):
        over = tuple(range(x.ndim - 1))
        x = np.concatenate([(p - p.mean(over)) / np.sqrt(p.var(over) + 1e-5) for p in np.split(x, BATCH // MODE.group)])
    return x + np.asarray(norm.bias[...])


def shift(norm: NoNorm | BatchNorm) -> NoNorm | BatchNorm:
    norm.bias[...] = jnp.asarray(drawn(*norm.bias.shape))
    return norm


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("shortcut", [none, identity])
def test_dense_unit_is_g_of_wx_plus_b_plus_x(shortcut: object, name: str) -> None:
    unit = DenseUnit(jax.random.key(0), WIDTH, shortcut, NORMS[name], jnp.float64)
    x = drawn(BATCH, WIDTH)
    response = normalised(x @ np.asarray(unit.dense.kernel[...]), shift(unit.norm))
    h, responses = unit(jnp.asarray(x), MODE)
    expected = np.maximum(response, 0) + (x if shortcut is identity else 0)
    np.testing.assert_allclose(h, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(responses[0], response, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shortcut", [none, identity])
def test_basic_unit_is_relu_after_the_addition(shortcut: object, stride: int, name: str) -> None:
    after = WIDTH * stride
    unit = BasicUnit(jax.random.key(0), (WIDTH, after), stride, shortcut, NORMS[name], jnp.float64)
    x = drawn(BATCH, 5, 7, WIDTH)

    def convolved(x: np.ndarray, kernel: jax.Array, stride: int) -> np.ndarray:
        layout = ("NHWC", "HWIO", "NHWC")
        pads = [(1, 1), (1, 1)]
        return np.asarray(
            lax.conv_general_dilated(jnp.asarray(x), kernel, (stride, stride), pads, dimension_numbers=layout)
        )

    first = normalised(convolved(x, unit.conv1.kernel[...], stride), shift(unit.norm1))
    f = normalised(convolved(np.maximum(first, 0), unit.conv2.kernel[...], 1), shift(unit.norm2))
    kept = np.asarray(option_a(jnp.asarray(x), f.shape)) if shortcut is identity else 0
    h, responses = unit(jnp.asarray(x), MODE)
    np.testing.assert_allclose(h, np.maximum(f + kept, 0), rtol=1e-11, atol=1e-11)
    for response, expected in zip(responses, (first, f), strict=True):
        np.testing.assert_allclose(response, expected, rtol=1e-11, atol=1e-11)


def test_the_two_kernels_of_a_unit_are_drawn_apart() -> None:
    unit = BasicUnit(jax.random.key(0), (WIDTH, WIDTH), 1, none, NoNorm, jnp.float64)
    assert jnp.all(unit.conv1.kernel[...] != unit.conv2.kernel[...])


def test_a_layer_flattens_images() -> None:
    layer = Layer(Dense(jax.random.key(0), (12, WIDTH), jnp.float64), shift(NoNorm(WIDTH, jnp.float64)))
    x = drawn(BATCH, 2, 2, 3)
    response = x.reshape(BATCH, 12) @ np.asarray(layer.weight.kernel[...]) + np.asarray(layer.norm.bias[...])
    h, responses = layer(jnp.asarray(x), MODE)
    np.testing.assert_allclose(responses[0], response, rtol=1e-12)
    np.testing.assert_allclose(h, np.maximum(response, 0), rtol=1e-12)
