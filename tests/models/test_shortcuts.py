"""Every row of SHORTCUTS in a real unit, against its equation written out by hand, in double precision."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from by_hand import across, convolved, drawn, normed, relu
from flax import nnx
from scipy import stats

from resjax.config import ModelConfig
from resjax.models import Mode, Model, build
from resjax.models.junction import option_a
from resjax.models.parts import Parts
from resjax.models.units import Unit
from resjax.orders import ORDERS
from resjax.plans.plan import Path, UnitPlan, WeightSpec
from resjax.shortcuts import SHORTCUTS

Tree = Any
Run = Callable[[Tree, jax.Array], jax.Array]
BATCH, GROUP, UNITS = 6, 3, 10
TRAIN = Mode(train=True, group=GROUP, key=jax.random.key(3), places=jnp.arange(BATCH))
NOISY = replace(TRAIN, progress=4 / UNITS)
TEST = replace(NOISY, train=False)
SETTINGS = {"shortcut_scale": 0.7, "branch_scale": -0.3, "gate_bias": -0.4, "survival": 0.3}
PLANS = {
    "kept": UnitPlan(1, 6, (Path((WeightSpec(3, 6), WeightSpec(3, 6))),), ORDERS["original"]),
    "strided": UnitPlan(1, 3, (Path((WeightSpec(3, 6, 2), WeightSpec(3, 6))),), ORDERS["original"]),
    "dense": UnitPlan(1, 4, (Path((WeightSpec(0, 4),)),), ORDERS["relu_before_addition"]),
}
pytestmark = pytest.mark.usefixtures("float64")


def images(plan: UnitPlan) -> jax.Array:
    """For the kept unit as large as the strided one's output, so that JAX compiles both at once."""
    if plan.dense:
        return drawn(BATCH, plan.before)
    return drawn(BATCH, 5, 7, plan.before) if plan.changes else drawn(BATCH, 3, 4, plan.before)


def made(plan: UnitPlan, **settings: object) -> tuple[Tree, Callable[..., jax.Array]]:
    """A unit's initial parameters, and h as a function of (parameters, x, mode)."""
    config = ModelConfig(shortcut=plan.shortcut, **(SETTINGS | settings))
    unit = Unit(jax.random.key(0), plan, Parts(config, jnp.float64))
    graph, params, statistics = nnx.split(unit, nnx.Param, nnx.BatchStat)
    statistics = nnx.as_pure(statistics)
    return nnx.as_pure(params), lambda params, x, mode=NOISY: nnx.merge(graph, params, statistics)(x, mode)[0]


def moved(params: Tree) -> Tree:
    """The parameters with none left at 0 or 1."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + 0.3 * random.standard_normal(leaf.shape), params)


def assert_same(run: Run, by_hand: Run, params: Tree, x: jax.Array) -> None:
    """Values, and the gradients of a weighted sum of them in x and in every parameter."""
    h, pull = jax.vjp(run, params, x)
    expected, pull_expected = jax.vjp(by_hand, params, x)
    np.testing.assert_allclose(h, expected, rtol=1e-11, atol=1e-11)
    weight = drawn(*h.shape)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-10), pull(weight), pull_expected(weight))


def padded(x: jax.Array, plan: UnitPlan) -> jax.Array:
    """Option A by hand."""
    if plan.dense:
        return x
    x = x[:, :: plan.stride, :: plan.stride]
    return jnp.concatenate([x, jnp.zeros((*x.shape[:-1], plan.branch_channels - plan.before))], axis=-1)


def branch(x: jax.Array, layers: Tree, plan: UnitPlan) -> jax.Array:
    """norm(conv(relu(norm(conv(x))))), or relu(norm(x W))."""
    first = normed(convolved(x, layers[0]["weight"]["kernel"], plan.stride), layers[0]["post"]["norm"], GROUP)
    if plan.dense:
        return relu(first)
    return normed(convolved(relu(first), layers[1]["weight"]["kernel"]), layers[1]["post"]["norm"], GROUP)


class Place(NamedTuple):
    """One unit on one batch: its input, the same through option A, its branch's output, its shortcut's parameters."""

    raw: jax.Array
    x: jax.Array
    f: jax.Array
    p: Tree
    stride: int
    chance: jax.Array

    @property
    def wx(self) -> jax.Array:
        return convolved(self.raw, self.p["weight"]["kernel"], self.stride)

    @property
    def g(self) -> jax.Array:
        return 1 / (1 + jnp.exp(-self.wx - across(self.p["bias"], self.wx)))


EQUATIONS: dict[str, Callable[[Place], jax.Array]] = {
    "none": lambda u: u.f,
    "identity": lambda u: u.x + u.f,
    "projection_b": lambda u: (normed(u.wx, u.p["post"]["norm"], GROUP) if u.raw.shape != u.f.shape else u.raw) + u.f,
    "projection_c": lambda u: normed(u.wx, u.p["post"]["norm"], GROUP) + u.f,
    "scaled": lambda u: 0.7 * u.x - 0.3 * u.f,
    "exclusive_gate": lambda u: (1 - u.g) * u.x + u.g * u.f,
    "shortcut_gate": lambda u: (1 - u.g) * u.x + u.f,
    "conv1x1": lambda u: u.wx + u.f,
    "dropout": lambda u: u.chance * u.x + u.f,
    "highway": lambda u: (1 - u.g) * u.x + u.g * u.f,
    "rezero": lambda u: u.x + u.p["scale"] * u.f,
    "skipinit": lambda u: u.x + u.p["scale"] * u.f,
    "stochastic_depth": lambda u: u.x + u.chance * u.f,
    "concat": lambda u: jnp.concatenate([u.raw, u.f], axis=-1),
}
CASES = [
    (name, kind, norm)
    for kind, norm in (("kept", "none"), ("strided", "batch"), ("strided", "none"), ("dense", "batch"))
    for name, row in SHORTCUTS.items()
    if kind != "strided" or not row.widens
]


def bare(plan: UnitPlan) -> UnitPlan:
    """The unit with nothing behind the addition and a bias at the branch's end."""
    return replace(plan, order=ORDERS["bare_addition"])


def constant_branch(params: Tree, value: float) -> Tree:
    """The parameters with f = `value` everywhere, in a bare unit."""
    layers = params["branch"][0]["layers"]
    last = layers[max(layers)]
    last["weight"]["kernel"] *= 0
    last["post"]["norm"]["bias"] = jnp.full_like(last["post"]["norm"]["bias"], value)
    return params


def chance(plan: UnitPlan, mode: Mode) -> jax.Array:
    """What multiplies x or f in this mode, seen in a bare unit with x = 1 and f = 0, or the other way round."""
    at_x = plan.shortcut == "dropout"
    params, run = made(bare(plan))
    return run(constant_branch(params, 1.0 - at_x), jnp.full_like(images(plan), at_x), mode)


def by_hand(plan: UnitPlan, factor: jax.Array) -> Run:
    def unit(params: Tree, x: jax.Array) -> jax.Array:
        f = branch(x, params["branch"][0]["layers"], plan)
        place = Place(x, padded(x, plan), f, params.get("shortcut"), plan.stride, factor)
        h = EQUATIONS[plan.shortcut](place)
        return h if plan.dense else relu(h)

    return unit


def test_every_row_has_its_equation_here() -> None:
    assert EQUATIONS.keys() == SHORTCUTS.keys()


@pytest.mark.parametrize(("name", "kind", "norm"), CASES)
def test_value_and_gradients(name: str, kind: str, norm: str) -> None:
    plan = replace(PLANS[kind], shortcut=name)
    params, run = made(plan, norm=norm)
    noisy = name in ("dropout", "stochastic_depth")
    factor = chance(plan, NOISY) if noisy else jnp.nan
    assert_same(run, by_hand(plan, factor), moved(params), images(plan))


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(("name", "factor"), [("dropout", 1.0), ("stochastic_depth", 1 - 4 / UNITS * 0.7)])
def test_value_and_gradients_in_testing(name: str, factor: float, kind: str) -> None:
    plan = replace(PLANS[kind], shortcut=name)
    params, run = made(plan, norm="none")
    assert_same(partial(run, mode=TEST), by_hand(plan, factor), moved(params), images(plan))


@pytest.mark.parametrize(
    ("name", "kind", "shapes"),
    [
        ("identity", "strided", {}),
        ("projection_b", "kept", {}),
        ("projection_b", "strided", {(1, 1, 3, 6)}),
        ("projection_c", "kept", {(1, 1, 6, 6)}),
        ("conv1x1", "strided", {(1, 1, 3, 6)}),
        ("exclusive_gate", "strided", {(1, 1, 3, 6), (6,)}),
        ("shortcut_gate", "dense", {(4, 4), (4,)}),
        ("highway", "strided", {(3, 3, 3, 6), (6,)}),
        ("highway", "dense", {(4, 4), (4,)}),
        ("rezero", "strided", {()}),
        ("skipinit", "kept", {()}),
        ("stochastic_depth", "strided", {}),
    ],
)
def test_a_shortcuts_own_weights(name: str, kind: str, shapes: set[tuple[int, ...]]) -> None:
    params = made(replace(PLANS[kind], shortcut=name))[0].get("shortcut", {})
    own = {where: leaf.shape for where, leaf in jax.tree.leaves_with_path(params) if "post" not in str(where)}
    assert set(own.values()) == set(shapes)


def test_dropout_zeroes_half_of_the_entries_and_doubles_the_others() -> None:
    plan = replace(PLANS["strided"], shortcut="dropout", before=6)
    params, run = made(bare(plan))
    mode = replace(NOISY, places=jnp.arange(120))
    mask = np.asarray(run(constant_branch(params, 0), jnp.ones((120, 9, 9, 6)), mode))
    assert set(np.unique(mask)) == {0, 2}
    kept = (mask > 0).ravel()
    assert stats.binomtest(int(kept.sum()), kept.size, 0.5).pvalue > 0.001
    assert abs(np.corrcoef(kept[1:], kept[:-1])[0, 1]) < 4 / np.sqrt(kept.size)


def test_in_testing_dropout_is_the_identity_shortcut_exactly() -> None:
    plan, x = PLANS["strided"], images(PLANS["strided"])
    runs = [made(replace(plan, shortcut=name)) for name in ("dropout", "identity")]
    one, other = (run(params, x, TEST) for params, run in runs)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["kept", "dense"])
@pytest.mark.parametrize("name", ["exclusive_gate", "highway"])
def test_an_exclusive_gate_carries_x_when_closed_and_f_when_open(name: str, kind: str) -> None:
    plan, x = bare(replace(PLANS[kind], shortcut=name)), images(PLANS[kind])
    params, run = made(plan, gate_bias=-1000.0)
    np.testing.assert_array_equal(run(params, x), x)
    params, run = made(plan, gate_bias=1000.0)
    plain, run_plain = made(replace(plan, shortcut="none"))
    np.testing.assert_array_equal(run(params, x), run_plain(plain, x))


@pytest.mark.parametrize(("bias", "same_as"), [(-1000.0, "identity"), (1000.0, "none")])
@pytest.mark.parametrize("kind", PLANS)
def test_a_shortcut_gate_lets_x_pass_when_closed(kind: str, bias: float, same_as: str) -> None:
    x = images(PLANS[kind])
    params, run = made(replace(PLANS[kind], shortcut="shortcut_gate"), gate_bias=bias)
    expected, run_expected = made(replace(PLANS[kind], shortcut=same_as))
    np.testing.assert_array_equal(run(params, x), run_expected(expected, x))


@pytest.mark.parametrize("name", ["rezero", "skipinit"])
@pytest.mark.parametrize("kind", PLANS)
def test_a_learned_scale_starts_as_the_identity_map(kind: str, name: str) -> None:
    """Exactly; and its gradient is there, so that it moves."""
    plan = bare(replace(PLANS[kind], shortcut=name))
    params, run = made(plan)
    x = images(plan)
    h, pull = jax.vjp(run, params, x)
    np.testing.assert_array_equal(h, padded(x, plan))
    grads, _ = pull(drawn(*h.shape))
    assert abs(grads["shortcut"]["scale"]) > 1e-3
    assert not any(leaf.any() for leaf in jax.tree.leaves(grads["branch"]))


@pytest.mark.parametrize("order", ["full_preactivation", "bare_addition"])
@pytest.mark.parametrize("kind", ["kept", "dense"])
@pytest.mark.parametrize("factor", [0.5, 1.0, 1.25])
def test_the_gradient_along_the_shortcut_falls_as_the_product_of_the_factors(
    factor: float, kind: str, order: str
) -> None:
    """dL/dx = lambda^n dL/dh through n units whose branches are at zero (He et al. 2016, section 3, eq. 8)."""
    plan = replace(PLANS[kind], shortcut="scaled", order=ORDERS[order])
    params, run = made(plan, shortcut_scale=factor, branch_scale=0.0)

    def chain(x: jax.Array) -> jax.Array:
        for _ in range(UNITS):
            x = run(params, x)
        return x

    _, pull = jax.vjp(chain, images(plan))
    weight = drawn(*images(plan).shape)
    np.testing.assert_allclose(pull(weight)[0], factor**UNITS * weight, rtol=1e-13)


# Whole networks.


def network(**settings: object) -> Model:
    return build(ModelConfig(**({"depth": 8, "width": 4, "norm": "none"} | settings)), (8, 8, 1), 10, jnp.float64)


def logits_and_gradients(model: Model) -> Tree:
    """In training with noise, from one seed: the logits, and the gradients of a weighted sum of them."""
    mode = Mode(train=True, group=4, key=jax.random.key(1), places=jnp.arange(8))

    params, batch_stats = model.init(jax.random.key(0))

    @jax.jit
    def run(params: Tree) -> Tree:
        logits, pull = jax.vjp(lambda params: model.apply(params, batch_stats, drawn(8, 8, 8, 1), mode).logits, params)
        return logits, pull(drawn(8, 10))

    return run(params)


@pytest.fixture(scope="module")
def references() -> dict[str, Tree]:
    jax.config.update("jax_enable_x64", True)
    return {name: logits_and_gradients(network(shortcut=name)) for name in ("none", "identity")}


@pytest.mark.parametrize(
    ("settings", "same_as"),
    [
        ({"shortcut": "scaled", "shortcut_scale": 0.0, "branch_scale": 1.0}, "none"),
        ({"shortcut": "stochastic_depth", "survival": 1.0}, "identity"),
        ({"shortcut": "dropout", "shortcut_dropout": 0.0}, "identity"),
    ],
)
def test_networks_that_are_the_same(references: dict[str, Tree], settings: dict[str, object], same_as: str) -> None:
    jax.tree.map(np.testing.assert_array_equal, logits_and_gradients(network(**settings)), references[same_as])


def test_the_references_are_not_the_same(references: dict[str, Tree]) -> None:
    assert np.min(np.abs(references["none"][0] - references["identity"][0])) > 1e-6


@pytest.mark.parametrize("name", ["rezero", "skipinit"])
def test_a_network_of_learned_scales_starts_as_stem_and_head(name: str) -> None:
    """Pre-activation: stem, the first unit's shared norm and ReLU, option A twice, norm, ReLU, mean, classifier."""
    model = network(shortcut=name, order="full_preactivation", norm="batch")
    params, batch_stats = model.init(jax.random.key(0))
    x = drawn(BATCH, 8, 8, 1)
    fresh = {"scale": jnp.ones(4), "bias": jnp.zeros(4)}
    stem = params["segments"][0]["units"]["branch"][0]["layers"][0]["weight"]["kernel"][0]
    h = relu(normed(convolved(x, stem), fresh, GROUP))
    h = jnp.pad(h[:, ::4, ::4], [(0, 0), (0, 0), (0, 0), (0, 12)])
    h = relu(normed(h, {"scale": jnp.ones(16), "bias": jnp.zeros(16)}, GROUP))
    logits = model.apply(params, batch_stats, x, Mode(True, GROUP)).logits
    np.testing.assert_allclose(logits, h.mean((1, 2)) @ params["head"]["dense"]["kernel"], rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module")
def survived() -> dict[str, np.ndarray]:
    """h_l - x_l, of every draw, unit and example, in a net whose branches give 1, in training and in testing."""
    jax.config.update("jax_enable_x64", True)
    settings = {"branch": "single", "order": "bare_addition", "shortcut": "stochastic_depth", "survival": 0.3}
    model = network(depth=11, width=1, **settings)
    params, batch_stats = model.shapes
    params, batch_stats = (jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), tree) for tree in (params, batch_stats))
    for number, segment in params["segments"].items():
        if number:
            norm = segment["units"]["branch"][0]["layers"][0]["post"]["norm"]
            norm["bias"] = jnp.ones_like(norm["bias"])

    @partial(jax.jit, static_argnames="train")
    def first_entries(key: jax.Array, train: bool) -> jax.Array:
        mode = Mode(train, 3, key=key, places=jnp.arange(3))
        seen = model.apply(params, batch_stats, jnp.ones((3, 8, 8, 1)), mode, observe=lambda h, _: h[:, 0, 0, 0]).seen
        return jnp.diff(jnp.concatenate(seen), axis=0)

    keys = jax.random.split(jax.random.key(0), 4000)
    return {
        "training": np.asarray(jax.lax.map(partial(first_entries, train=True), keys, batch_size=500)),
        "testing": np.asarray(first_entries(keys[0], train=False)),
    }


def linear_survival(units: int) -> np.ndarray:
    return 1 - np.arange(1, units + 1) / units * (1 - 0.3)


def test_a_branch_is_kept_whole_or_dropped_for_the_whole_batch(survived: dict[str, np.ndarray]) -> None:
    drawn_there = survived["training"]
    assert set(np.unique(drawn_there)) == {0, 1}
    assert np.all(drawn_there == drawn_there[..., :1])


def test_units_survive_independently_and_less_with_depth(survived: dict[str, np.ndarray]) -> None:
    kept = survived["training"][..., 0]
    draws, units = kept.shape
    p = linear_survival(units)
    assert units == 9
    np.testing.assert_array_less(np.abs(kept.mean(0) - p), 4 * np.sqrt(p * (1 - p) / draws))
    correlations = np.corrcoef(kept.T) - np.eye(units)
    assert np.max(np.abs(correlations)) < 4.5 / np.sqrt(draws)


def test_in_testing_every_branch_counts_by_its_probability(survived: dict[str, np.ndarray]) -> None:
    expected = np.repeat(linear_survival(9)[:, None], 3, axis=1)
    np.testing.assert_allclose(survived["testing"], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("shortcut", "projected"),
    [
        ("none", []),
        ("identity", []),
        ("projection_b", ["stage2.unit1", "stage3.unit1"]),
        ("projection_c", [f"stage{stage}.unit{unit}" for stage in (1, 2, 3) for unit in (1, 2)]),
        ("conv1x1", [f"stage{stage}.unit{unit}" for stage in (1, 2, 3) for unit in (1, 2)]),
    ],
)
def test_units_with_a_projection(shortcut: str, projected: list[str]) -> None:
    model = network(depth=14, shortcut=shortcut)
    found = [info.name for info in model.weight_layers if info.kind == "projection"]
    assert found == [f"{unit}.projection" for unit in projected]


# Option A.


@pytest.mark.parametrize(("size", "after"), [((8, 8), (4, 4)), ((9, 11), (5, 6)), ((7, 10), (4, 5)), ((1, 8), (1, 4))])
@pytest.mark.parametrize(("pad", "ahead", "behind"), [("end", 0, 3), ("split", 1, 2)])
def test_option_a_takes_every_second_pixel_and_adds_zero_channels(
    pad: str, ahead: int, behind: int, size: tuple[int, int], after: tuple[int, int]
) -> None:
    x = drawn(2, *size, 3)
    expected = np.zeros((2, *after, 6))
    expected[..., ahead : 6 - behind] = x[:, ::2, ::2]
    np.testing.assert_array_equal(option_a(x, (2, *after, 6), pad), expected)


@pytest.mark.parametrize("pad", ["end", "split"])
def test_option_a_of_equal_shapes_is_the_identity(pad: str) -> None:
    x = drawn(2, 4, 4, 3)
    np.testing.assert_array_equal(option_a(x, x.shape, pad), x)


def test_option_a_of_rows_adds_zeros() -> None:
    x = drawn(2, 3)
    np.testing.assert_array_equal(option_a(x, (2, 5)), np.pad(x, [(0, 0), (0, 2)]))
    np.testing.assert_array_equal(option_a(x, (2, 5), "split"), np.pad(x, [(0, 0), (1, 1)]))


def test_zero_channels_stand_where_the_setting_says() -> None:
    """In a unit with f = 0, h is option A's x."""
    plan, x = bare(replace(PLANS["strided"], shortcut="identity")), images(PLANS["strided"])
    for pad, ahead in (("end", 0), ("split", 1)):
        params, run = made(plan, pad_channels=pad)
        expected = np.pad(x[:, ::2, ::2], [(0, 0), (0, 0), (0, 0), (ahead, 3 - ahead)])
        np.testing.assert_array_equal(run(constant_branch(params, 0), x), expected)


def test_a_shortcut_reads_the_settings_that_its_row_names_and_no_others() -> None:
    params, run = made(replace(PLANS["kept"], shortcut="identity"), **SETTINGS)
    wild, run_wild = made(replace(PLANS["kept"], shortcut="identity"), shortcut_scale=9.0, gate_bias=9.0, survival=0.1)
    np.testing.assert_array_equal(run(params, images(PLANS["kept"])), run_wild(wild, images(PLANS["kept"])))
