import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from resjax.config import ModelConfig
from resjax.models import Mode
from resjax.models.norms import NORMS, BatchNorm, Bias, GroupNorm
from resjax.models.parts import Parts
from resjax.models.units import Layer, Unit
from resjax.orders import ORDERS
from resjax.plans.plan import Path, Pool, UnitPlan, WeightSpec

WIDTH, BATCH, CHANNEL_GROUPS = 6, 8, 3
MODE = Mode(train=True, group=4)
Norm = BatchNorm | GroupNorm | Bias
pytestmark = pytest.mark.usefixtures("float64")


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def parts(norm: str) -> Parts:
    return Parts(ModelConfig(norm=norm, norm_channel_groups=CHANNEL_GROUPS), jnp.float64)


def dense_unit(shortcut: str, norm: str) -> Unit:
    path = Path((WeightSpec(0, WIDTH, name="dense"),))
    plan = UnitPlan(1, WIDTH, (path,), ORDERS["relu_before_addition"], shortcut)
    return Unit(jax.random.key(0), plan, parts(norm))


def basic_unit(shortcut: str, norm: str, stride: int) -> Unit:
    after = WIDTH * stride
    path = Path((WeightSpec(3, after, stride, "conv1"), WeightSpec(3, after, 1, "conv2")))
    return Unit(jax.random.key(0), UnitPlan(1, WIDTH, (path,), ORDERS["original"], shortcut), parts(norm))


def layers_of(unit: Unit) -> list[Layer]:
    (chain,) = unit.branch
    return list(chain.layers)


def normalised(x: np.ndarray, norm: Norm) -> np.ndarray:
    """With scale 1 over MODE's groups, over space and channel groups of each example, or not at all; then the bias."""
    if isinstance(norm, BatchNorm):
        over = tuple(range(x.ndim - 1))
        x = np.concatenate([(p - p.mean(over)) / np.sqrt(p.var(over) + 1e-5) for p in np.split(x, BATCH // MODE.group)])
    if isinstance(norm, GroupNorm):
        over = tuple(range(1, x.ndim))
        pieces = np.split(x, norm.groups, axis=-1)
        pieces = [(p - p.mean(over, keepdims=True)) / np.sqrt(p.var(over, keepdims=True) + 1e-5) for p in pieces]
        x = np.concatenate(pieces, axis=-1)
    return x + np.asarray(norm.bias[...])


def shift(norm: Norm) -> Norm:
    norm.bias[...] = jnp.asarray(drawn(*norm.bias.shape))
    return norm


def convolved(x: np.ndarray, kernel: jax.Array, stride: int) -> np.ndarray:
    layout = ("NHWC", "HWIO", "NHWC")
    pads = [(1, 1), (1, 1)]
    return np.asarray(
        lax.conv_general_dilated(jnp.asarray(x), kernel, (stride, stride), pads, dimension_numbers=layout)
    )


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("shortcut", ["none", "identity"])
def test_dense_unit_is_g_of_wx_plus_b_plus_x(shortcut: str, name: str) -> None:
    unit = dense_unit(shortcut, name)
    (layer,) = layers_of(unit)
    x = drawn(BATCH, WIDTH)
    response = normalised(x @ np.asarray(layer.weight.kernel[...]), shift(layer.post.norm))
    h, within = unit(jnp.asarray(x), MODE)
    (seen,) = within.responses
    expected = np.maximum(response, 0) + (x if shortcut == "identity" else 0)
    np.testing.assert_allclose(h, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(seen, response, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shortcut", ["none", "identity"])
def test_basic_unit_is_relu_after_the_addition(shortcut: str, stride: int, name: str) -> None:
    unit = basic_unit(shortcut, name, stride)
    one, two = layers_of(unit)
    x = drawn(BATCH, 5, 7, WIDTH)
    first = normalised(convolved(x, one.weight.kernel[...], stride), shift(one.post.norm))
    f = normalised(convolved(np.maximum(first, 0), two.weight.kernel[...], 1), shift(two.post.norm))
    kept = np.zeros(f.shape)
    if shortcut == "identity":
        kept[..., :WIDTH] = x[:, ::stride, ::stride]
    h, within = unit(jnp.asarray(x), MODE)
    np.testing.assert_allclose(h, np.maximum(f + kept, 0), rtol=1e-11, atol=1e-11)
    for response, expected in zip(within.responses, (first, f), strict=True):
        np.testing.assert_allclose(response, expected, rtol=1e-11, atol=1e-11)


def test_the_two_kernels_of_a_unit_are_drawn_apart() -> None:
    one, two = layers_of(basic_unit("none", "none", 1))
    assert jnp.all(one.weight.kernel[...] != two.weight.kernel[...])


def test_a_layer_flattens_images() -> None:
    layer = Layer(jax.random.key(0), WeightSpec(0, WIDTH, name="dense"), 12, "", "na", "stem", parts("none"))
    shift(layer.post.norm)
    x = drawn(BATCH, 2, 2, 3)
    expected = x.reshape(BATCH, 12) @ np.asarray(layer.weight.kernel[...]) + np.asarray(layer.post.norm.bias[...])
    h, response = layer(jnp.asarray(x), MODE)
    np.testing.assert_allclose(response, expected, rtol=1e-12)
    np.testing.assert_allclose(h, np.maximum(expected, 0), rtol=1e-12)


def largest_of_neighbours(x: np.ndarray) -> np.ndarray:
    """Over 3x3 pixels, of which those outside count for nothing."""
    x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return windows.max((-2, -1))


def test_paths_side_by_side_each_begin_at_the_pooled_input() -> None:
    """Of GoogLeNet: a path of two layers, and one behind its own pooling; both behind the unit's."""
    two = Path((WeightSpec(3, 5, name="first"), WeightSpec(3, 4, name="second")))
    pooled = Path((WeightSpec(3, 2, name="other"),), Pool("max", 3, 1, padded=True))
    plan = UnitPlan(1, 3, (two, pooled), ORDERS["relu_before_addition"], pool=Pool("mean", 2, 2))
    unit = Unit(jax.random.key(0), plan, parts("none"))
    (first, second), (other,) = (list(chain.layers) for chain in unit.branch)
    whole = drawn(BATCH, 8, 6, 3)
    x = whole.reshape(BATCH, 4, 2, 3, 2, 3).mean((2, 4))

    def response(x: np.ndarray, layer: Layer) -> np.ndarray:
        return normalised(convolved(x, layer.weight.kernel[...], 1), shift(layer.post.norm))

    one = response(x, first)
    expected = [one, response(np.maximum(one, 0), second), response(largest_of_neighbours(x), other)]
    h, within = unit(jnp.asarray(whole), MODE)
    np.testing.assert_allclose(h, np.maximum(np.concatenate(expected[1:], axis=-1), 0), rtol=1e-12, atol=1e-12)
    for seen, by_hand in zip(within.responses, expected, strict=True):
        np.testing.assert_allclose(seen, by_hand, rtol=1e-12, atol=1e-12)
