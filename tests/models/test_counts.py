from functools import partial

import jax
import pytest

from resjax.config import ModelConfig
from resjax.models import Mode, build
from resjax.models.counts import multiply_adds, parameters

CIFAR = ((32, 32, 3), 10)

# Parameters and multiply-adds of the nets of He et al. 2015, section 4.2: exact arithmetic.
PUBLISHED = {
    20: (269_722, "40.55 M"),
    32: (464_154, "68.86 M"),
    44: (658_586, "97.17 M"),
    56: (853_018, "125.49 M"),
    110: (1_727_962, "252.89 M"),
    1202: (19_421_274, "2.83 G"),
}


@pytest.mark.parametrize("depth", PUBLISHED)
def test_the_papers_nets(depth: int) -> None:
    model = build(ModelConfig(depth=depth), *CIFAR)
    millions = multiply_adds(model) / 1e6
    rounded = f"{millions:.2f} M" if millions < 1000 else f"{millions / 1000:.2f} G"
    assert (parameters(model), rounded) == PUBLISHED[depth]


@pytest.mark.parametrize("depth", [20, 110])
def test_the_plain_net_counts_the_same(depth: int) -> None:
    plain, residual = (build(ModelConfig(depth=depth, shortcut=name), *CIFAR) for name in ("none", "identity"))
    assert parameters(plain) == parameters(residual)
    assert multiply_adds(plain) == multiply_adds(residual)


@pytest.mark.parametrize("depth", [20, 56])
def test_option_b_adds_two_projections(depth: int) -> None:
    model = build(ModelConfig(depth=depth, shortcut="projection_b"), *CIFAR)
    assert parameters(model) == PUBLISHED[depth][0] + 2_752
    plain = multiply_adds(build(ModelConfig(depth=depth), *CIFAR))
    assert multiply_adds(model) == plain + 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64


def test_mlp() -> None:
    model = build(ModelConfig(name="mlp", depth=5, width=7, norm="none"), (2, 3, 1), 4)
    assert multiply_adds(model) == 6 * 7 + 3 * 7 * 7 + 7 * 4
    assert parameters(model) == multiply_adds(model) + 4 * 7 + 4


def test_against_the_count_that_xla_makes_of_the_unrolled_net() -> None:
    """XLA leaves out the taps that fall on the padding, and adds what is not a weight layer.

    With 3x3 taps on n places from n or 2n pixels a side, 3n - 2 or 3n - 1 of 3n taps a side fall on pixels. What is
    not a weight layer is three operations an output (bias, addition, relu) beside at least 2 * 27 for the stem and
    2 * 9 * 16 for the others: below 3 % of the whole.
    """
    width, size = 16, 16
    model = build(ModelConfig(depth=14, width=width, norm="none", unroll=True), (size, size, 3), 10)

    def conv(places: int, taps: int, before: int, after: int) -> tuple[int, int]:
        return taps**2 * before * after, 9 * places**2 * before * after

    convs = [conv(size, 3 * size - 2, 3, width)] + 4 * [conv(size, 3 * size - 2, width, width)]
    for before, places in ((width, size // 2), (2 * width, size // 4)):
        after = 2 * before
        convs.append(conv(places, 3 * places - 1, before, after))
        convs += 3 * [conv(places, 3 * places - 2, after, after)]
    head = 4 * width * 10
    assert multiply_adds(model) == sum(padded for _, padded in convs) + head

    params, batch_stats = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((1, size, size, 3), model.dtype)
    run = jax.jit(partial(model.apply, mode=Mode(train=True, group=1)))
    flops = run.lower(params, batch_stats, x).cost_analysis()["flops"]
    ratio = flops / (2 * (sum(inside for inside, _ in convs) + head))
    assert 1 <= ratio < 1.03
