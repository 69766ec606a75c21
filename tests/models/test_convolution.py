from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from by_hand import drawn
from jax import lax

from resjax.models.convolution import conv2d

SIZES = [(8, 8), (9, 11), (7, 10), (1, 2)]
pytestmark = pytest.mark.usefixtures("float64")


def reference(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """The same sum, its gradients by JAX's own rules."""
    pads = [(k // 2, k // 2) for k in kernel.shape[:2]]
    return lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def assert_equal(one: object, other: object) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12), one, other)


def value_and_pullback(convolve: Callable[..., jax.Array], x: jax.Array, kernel: jax.Array) -> tuple[object, ...]:
    y, pull = jax.vjp(convolve, x, kernel)
    return y, *pull(drawn(*y.shape))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_value_and_both_gradients(stride: int, side: int, size: tuple[int, int]) -> None:
    x, kernel = drawn(3, *size, 2), drawn(side, side, 2, 4)
    one, other = (
        jax.jit(partial(value_and_pullback, partial(f, stride=stride)))(x, kernel) for f in (conv2d, reference)
    )
    assert_equal(one, other)


@pytest.mark.parametrize(("channels", "out_channels"), [(3, 16), (16, 16), (32, 16), (8, 15), (16, 24)])
def test_few_channels_and_many(channels: int, out_channels: int) -> None:
    """Those that are computed two pixels at once, forward or backward, and those that are not."""
    x, kernel = drawn(2, 5, 6, channels), drawn(3, 3, channels, out_channels)
    one, other = (jax.jit(partial(value_and_pullback, partial(f, stride=1)))(x, kernel) for f in (conv2d, reference))
    assert_equal(one, other)


@pytest.mark.parametrize("size", [*SIZES, (8, 2), (2, 9)])
@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("channels", [2, 20])
def test_single_precision_which_is_written_differently(side: int, size: tuple[int, int], channels: int) -> None:
    x, kernel = drawn(3, *size, channels), drawn(side, side, channels, 4)
    narrowed = (x.astype(jnp.float32), kernel.astype(jnp.float32))

    def of(convolve: Callable[..., jax.Array], x: jax.Array, kernel: jax.Array) -> tuple[object, ...]:
        y, pull = jax.vjp(partial(convolve, stride=1), x, kernel)
        return y, *pull(drawn(*y.shape).astype(y.dtype))

    one, other = jax.jit(partial(of, conv2d))(*narrowed), jax.jit(partial(of, reference))(x, kernel)
    assert all(value.dtype == jnp.float32 for value in one)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-4), one, other)


def test_output_size() -> None:
    for stride in (1, 2, 3):
        for size in range(1, 12):
            shape = jax.eval_shape(partial(conv2d, stride=stride), drawn(1, size, 4, 1), drawn(3, 3, 1, 1)).shape
            assert shape[1] == (size - 1) // stride + 1


def test_inside_a_scan_over_units() -> None:
    x, kernels = drawn(3, 9, 6, 2), drawn(4, 3, 3, 2, 2)

    def chain(convolve: Callable[..., jax.Array], x: jax.Array, kernels: jax.Array) -> jax.Array:
        def unit(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, None]:
            return jnp.tanh(convolve(x, kernel, 1)), None

        return lax.scan(unit, x, kernels)[0]

    one, other = (jax.jit(partial(value_and_pullback, partial(chain, f)))(x, kernels) for f in (conv2d, reference))
    assert_equal(one, other)


@pytest.mark.parametrize(("size", "channels"), [((9, 6), 2), ((8, 8), 16), ((5, 4), 20)])
def test_second_derivatives_inside_a_scan_over_units(size: tuple[int, int], channels: int) -> None:
    """A constant in what a custom derivative computes is taken for one of its residuals there (jax 0.10.2)."""
    x, kernels, along = drawn(2, *size, channels), *(drawn(3, 3, 3, channels, channels) / 20 for _ in range(2))

    def product(convolve: Callable[..., jax.Array], x: jax.Array, kernels: jax.Array) -> object:
        def value(x: jax.Array, kernels: jax.Array) -> jax.Array:
            end, _ = lax.scan(lambda x, kernel: (jnp.tanh(convolve(x, kernel, 1)), None), x, kernels)
            return jnp.sum(end**3)

        def slope(x: jax.Array, kernels: jax.Array) -> jax.Array:
            of_x, of_kernels = jax.grad(value, (0, 1))(x, kernels)
            return jnp.vdot(of_x, x) + jnp.vdot(of_kernels, along)

        return jax.grad(slope, (0, 1))(x, kernels)

    assert_equal(*(jax.jit(partial(product, f))(x, kernels) for f in (conv2d, reference)))


def test_strided_inside_a_map_over_seeds() -> None:
    x, kernels = drawn(3, 9, 6, 2), drawn(2, 3, 3, 2, 4)

    def each(convolve: Callable[..., jax.Array], kernels: jax.Array) -> object:
        return lax.map(lambda kernel: value_and_pullback(partial(convolve, stride=2), x, kernel), kernels)

    assert_equal(jax.jit(partial(each, conv2d))(kernels), jax.jit(partial(each, reference))(kernels))


@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
@pytest.mark.parametrize("side", [1, 3, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_seeds_side_by_side_as_products(stride: int, side: int, size: tuple[int, int]) -> None:
    """Value and both gradients: beside what vmap makes of JAX's own rules, and beside one seed after the other."""
    x, kernels = drawn(2, 3, *size, 2), drawn(2, side, side, 2, 4)

    def of(convolve: Callable[..., jax.Array]) -> Callable[..., tuple[object, ...]]:
        return partial(value_and_pullback, partial(convolve, stride=stride))

    found = jax.jit(jax.vmap(of(partial(conv2d, products=True))))(x, kernels)
    assert_equal(found, jax.jit(jax.vmap(of(reference)))(x, kernels))
    assert_equal(found, jax.jit(lambda *trees: lax.map(lambda pair: of(conv2d)(*pair), trees))(x, kernels))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_second_derivatives(stride: int, side: int, size: tuple[int, int]) -> None:
    """Of a function that is no longer linear in anything: Hessians times vectors are made of them."""
    x, kernel = drawn(3, *size, 2), drawn(side, side, 2, 4)
    along = drawn(3, *size, 2), drawn(side, side, 2, 4)

    def product(convolve: Callable[..., jax.Array]) -> object:
        def loss(*at: jax.Array) -> jax.Array:
            return jnp.sum(jnp.tanh(convolve(*at, stride)))

        def along_it(*at: jax.Array) -> jax.Array:
            grads = jax.grad(loss, (0, 1))(*at)
            return sum(jnp.sum(grad * v) for grad, v in zip(grads, along, strict=True))

        return jax.jit(jax.grad(along_it, (0, 1)))(x, kernel)

    assert_equal(product(conv2d), product(reference))
