import math
from functools import partial

import jax
import pytest

from resjax.config import ModelConfig
from resjax.models import Mode, Model, build
from resjax.models.counts import activation_bytes, by_stage, multiply_adds, parameters

CIFAR, IMAGENET = ((32, 32, 3), 10), ((224, 224, 3), 1000)

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


PAPER = {"layout": "imagenet", "stem": "7x7", "width": 64}

# Parameters and 10^9 multiply-adds of the nets of He et al. 2015, table 1, stride in the first 1x1 and projections
# where the shape changes: exact arithmetic.
PUBLISHED_IMAGENET = {
    18: (11_689_512, "1.81"),
    34: (21_797_672, "3.66"),
    50: (25_557_032, "3.86"),
    101: (44_549_160, "7.57"),
    152: (60_192_808, "11.28"),
}


def billions(model: Model) -> str:
    return f"{multiply_adds(model) / 1e9:.2f}"


@pytest.mark.parametrize("depth", PUBLISHED_IMAGENET)
def test_the_papers_nets_for_imagenet(depth: int) -> None:
    model = build(ModelConfig(depth=depth, shortcut="projection_b", **PAPER), *IMAGENET)
    assert (parameters(model), billions(model)) == PUBLISHED_IMAGENET[depth]


def test_the_stride_in_the_3x3_costs_more_and_weighs_the_same() -> None:
    """v1.5, as most implementations have it: 4.09 G at depth 50."""
    model = build(ModelConfig(depth=50, shortcut="projection_b", bottleneck="v1.5", **PAPER), *IMAGENET)
    assert (parameters(model), billions(model)) == (PUBLISHED_IMAGENET[50][0], "4.09")


@pytest.mark.parametrize(("depth", "count"), [(18, 11_515_688), (34, 21_623_848)])
def test_plain_and_option_a_for_imagenet(depth: int, count: int) -> None:
    """Less than option B by three projections, with their norms."""
    plain, residual = (
        build(ModelConfig(depth=depth, shortcut=name, **PAPER), *IMAGENET) for name in ("none", "identity")
    )
    assert parameters(plain) == parameters(residual) == count
    assert multiply_adds(plain) == multiply_adds(residual)
    projections = sum(before * 2 * before + 2 * 2 * before for before in (64, 128, 256))
    assert PUBLISHED_IMAGENET[depth][0] - count == projections


def test_stages_are_those_of_the_papers_table() -> None:
    """He et al. 2015, table 1, of 50 layers: output sizes and units; the sums are the whole's."""
    model = build(ModelConfig(depth=50, shortcut="projection_b", **PAPER), *IMAGENET)
    rows = by_stage(model)
    assert [(row.stage, row.units, row.shape) for row in rows] == [
        ("stem", 1, (112, 112, 64)),
        ("stage1", 3, (56, 56, 256)),
        ("stage2", 4, (28, 28, 512)),
        ("stage3", 6, (14, 14, 1024)),
        ("stage4", 3, (7, 7, 2048)),
        ("head", 1, (1000,)),
    ]
    assert sum(row.parameters for row in rows) == parameters(model)
    assert sum(row.multiply_adds for row in rows) == multiply_adds(model)
    assert (rows[0].parameters, rows[0].multiply_adds) == (7 * 7 * 3 * 64 + 2 * 64, 112 * 112 * 7 * 7 * 3 * 64)
    assert (rows[-1].parameters, rows[-1].multiply_adds) == (2048 * 1000 + 1000, 2048 * 1000)


@pytest.mark.parametrize(("depth", "count"), [(164, 1_703_258), (1001, 10_327_706)])
def test_pre_activation_bottlenecks(depth: int, count: int) -> None:
    """He et al. 2016: widths 64, 128, 256 behind a stem of 16: exact arithmetic (its 10.2 M leave the norms out)."""
    settings = {"branch": "bottleneck", "order": "full_preactivation", "shortcut": "projection_b"}
    assert parameters(build(ModelConfig(depth=depth, **settings), *CIFAR)) == count


# Depth, growth, parameters of Huang et al. 2017, table 2: exact arithmetic.
DENSENETS = [
    (40, 12, 1_019_722),
    pytest.param(100, 12, 6_979_642, marks=pytest.mark.slow),
    pytest.param(100, 24, 27_249_082, marks=pytest.mark.slow),
]
DENSENETS_BC = [
    (100, 12, 769_162),
    pytest.param(250, 24, 15_324_406, marks=pytest.mark.slow),
    pytest.param(190, 40, 25_624_430, marks=pytest.mark.slow),
]
DENSE, BC = {"name": "densenet", "shortcut": "concat"}, {"branch": "bottleneck", "compression": 0.5}


@pytest.mark.parametrize(("depth", "growth", "count"), DENSENETS)
def test_densenets(depth: int, growth: int, count: int) -> None:
    assert parameters(build(ModelConfig(depth=depth, growth=growth, **DENSE), *CIFAR)) == count


@pytest.mark.parametrize(("depth", "growth", "count"), DENSENETS_BC)
def test_densenets_bc(depth: int, growth: int, count: int) -> None:
    assert parameters(build(ModelConfig(depth=depth, growth=growth, **DENSE, **BC), *CIFAR)) == count


def densenet_by_hand(layers: tuple[int, ...], growth: int, classes: int) -> int:
    """Huang et al. 2017, table 1: norms have a scale and a bias, convolutions have none, a transition halves."""
    channels = 2 * growth
    count = 7 * 7 * 3 * channels + 2 * channels
    for block, number in enumerate(layers, start=1):
        for _ in range(number):
            inner = 4 * growth
            count += 2 * channels + channels * inner + 2 * inner + 3 * 3 * inner * growth
            channels += growth
        if block < len(layers):
            count += 2 * channels + channels * (channels // 2)
            channels //= 2
    return count + 2 * channels + channels * classes + classes


@pytest.mark.parametrize(
    ("depth", "growth", "layers", "count"),
    [
        (121, 32, (6, 12, 24, 16), 7_978_856),
        pytest.param(161, 48, (6, 12, 36, 24), 28_681_000, marks=pytest.mark.slow),
        pytest.param(169, 32, (6, 12, 32, 32), 14_149_480, marks=pytest.mark.slow),
        pytest.param(201, 32, (6, 12, 48, 32), 20_013_928, marks=pytest.mark.slow),
    ],
)
def test_densenets_for_imagenet(depth: int, growth: int, layers: tuple[int, ...], count: int) -> None:
    assert densenet_by_hand(layers, growth, 1000) == count
    settings = {"depth": depth, "growth": growth, "layout": "imagenet", "compression": 0.5}
    assert parameters(build(ModelConfig(**settings, **DENSE), *IMAGENET)) == count


# Simonyan and Zisserman 2015, table 2 (133, 133, 134, 138, 144 millions): exact arithmetic.
VGGS = {
    "A": (11, False, 132_863_336),
    "B": (13, False, 133_047_848),
    "C": (16, True, 133_638_952),
    "D": (16, False, 138_357_544),
    "E": (19, False, 143_667_240),
}


@pytest.mark.parametrize("name", VGGS)
def test_vggs(name: str) -> None:
    depth, vgg_c, count = VGGS[name]
    settings = {"name": "vgg", "width": 64, "head": "fc", "norm": "none", "shortcut": "none"}
    assert parameters(build(ModelConfig(depth=depth, vgg_c=vgg_c, **settings), *IMAGENET)) == count


GOOGLENET = {"name": "googlenet", "depth": 22, "width": 64, "stem": "7x7", "norm": "none", "shortcut": "none"}


def test_googlenet() -> None:
    """Szegedy et al. 2015, table 1: exact arithmetic from its channels. Output sizes are the table's."""
    model = build(ModelConfig(auxiliary_weight=0, **GOOGLENET), *IMAGENET)
    assert (parameters(model), billions(model)) == (6_998_552, "1.58")
    outputs = [(112, 64), (56, 192), (28, 256), (28, 480), (14, 512), (14, 512), (14, 512), (14, 528), (14, 832)]
    outputs += [(7, 832), (7, 1024)]
    assert [h.shape[2:] for h in model.hidden_shapes(1)] == [(size, size, channels) for size, channels in outputs]


def test_googlenets_heads_on_the_way_count_in_training_only() -> None:
    """On 4 x 4 places of 4a and 4d: 1x1 to 128, a layer of 1024, a classifier, each with a bias (section 5)."""
    model, bare = (build(ModelConfig(auxiliary_weight=weight, **GOOGLENET), *IMAGENET) for weight in (0.3, 0.0))
    heads = [before * 128 + 128 + 4 * 4 * 128 * 1024 + 1024 + 1024 * 1000 + 1000 for before in (512, 528)]
    assert parameters(model) - parameters(bare) == sum(heads)
    assert multiply_adds(model) == multiply_adds(bare)
    assert [(row.stage, row.units, row.parameters) for row in by_stage(model)[-1:]] == [("auxiliary", 2, sum(heads))]


def test_the_articles_network() -> None:
    """Keras's build_residual_network with 64 filters and 18 layers, none of them strided."""
    model = build(ModelConfig(name="article", depth=39, width=64, dropout=0.5), (224, 224, 3), 10)
    first, later = 9 * (3 * 64 + 64 * 64), 9 * (64 * 128 + 35 * 128 * 128)
    assert multiply_adds(model) == 224 * 224 * (first + later) + 128 * 10
    assert round(multiply_adds(model) / 1e9) == 265
    units = [h.shape[1:] for h in model.hidden_shapes(1) for _ in range(h.shape[0])]
    assert units == [(1, 224, 224, 64), *[(1, 224, 224, 128)] * 18]


def test_mlp() -> None:
    model = build(ModelConfig(name="mlp", depth=5, width=7, norm="none"), (2, 3, 1), 4)
    assert multiply_adds(model) == 6 * 7 + 3 * 7 * 7 + 7 * 4
    assert parameters(model) == multiply_adds(model) + 4 * 7 + 4


def test_against_the_count_that_xla_makes_of_the_unrolled_net() -> None:
    """XLA leaves out the taps that fall on the padding, and adds what is not a weight layer.

    With 3x3 taps on n places from n or 2n pixels a side, 3n - 2 or 3n - 1 of 3n taps a side fall on pixels. What is
    not a weight layer is three operations an output (bias, addition, relu) beside at least 2 * 27 for the stem and
    2 * 9 * 32 for the others: below 3 % of the whole. (With fewer channels the CPU computes two pixels at once, and XLA
    would count the zeros in it.)
    """
    width, size = 32, 16
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

    params, batch_stats = model.shapes
    x = jax.ShapeDtypeStruct((1, size, size, 3), model.dtype)
    run = jax.jit(partial(model.apply, mode=Mode(train=True, group=1)))
    flops = run.lower(params, batch_stats, x).cost_analysis()["flops"]
    ratio = flops / (2 * (sum(inside for inside, _ in convs) + head))
    assert 1 <= ratio < 1.03


def linear_mlp(**settings: object) -> Model:
    defaults = {"name": "mlp", "depth": 5, "width": 8, "norm": "none", "activation": "linear", "shortcut": "none"}
    return build(ModelConfig(**(defaults | settings)), (3, 4, 1), 10)


@pytest.mark.parametrize("batch", [1, 2, 100])
@pytest.mark.parametrize("unroll", [False, True])
def test_activation_bytes_of_a_linear_net(unroll: bool, batch: int) -> None:
    """A product W x keeps x: an image of 12 pixels, then what the stem and three units put out, 8 numbers each."""
    assert activation_bytes(linear_mlp(unroll=unroll), batch) == 4 * batch * (12 + 4 * 8)


def test_activation_bytes_in_double_precision() -> None:
    with jax.enable_x64(True):
        model = build(linear_mlp().config, (3, 4, 1), 10, jax.numpy.float64)
        assert activation_bytes(model, 100) == 8 * 100 * (12 + 4 * 8)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_activation_bytes_grow_linearly_in_the_batch(norm: str) -> None:
    model = build(ModelConfig(depth=8, width=4, norm=norm), (8, 8, 3), 10)
    one, two, four = (activation_bytes(model, batch) for batch in (8, 16, 32))
    h = sum(math.prod(segment.shape) for segment in model.hidden_shapes(8))
    assert two - one > 4 * h  # at least every unit's output
    assert four - two == 2 * (two - one)
    assert one == pytest.approx(two - one, rel=0.01)  # and nearly nothing else


def test_activation_bytes_of_a_deeper_net() -> None:
    """More by what each unit puts out. The addition of x keeps nothing."""
    plain, residual, deeper = (
        activation_bytes(linear_mlp(depth=depth, shortcut=shortcut), 100)
        for depth, shortcut in ((5, "none"), (5, "identity"), (9, "none"))
    )
    assert residual == plain
    assert deeper - plain == 4 * 100 * 4 * 8
