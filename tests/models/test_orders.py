"""Where norm and activation stand: each order of He et al. 2016, table 2, written out, in double precision."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from by_hand import convolved, drawn, normed, relu
from flax import nnx

from resjax.config import ModelConfig, completed
from resjax.models import Mode, Model, build
from resjax.models.parts import Parts
from resjax.models.units import Unit
from resjax.orders import ORDERS
from resjax.plans.plan import Path, UnitPlan
from resjax.plans.resnet import resnet, specs_of

Tree = Any
BATCH, GROUP = 6, 3
MODE = Mode(train=True, group=GROUP)
WIDTHS = {"basic": 4, "bottleneck": 1}  # four channels behind either
pytestmark = pytest.mark.usefixtures("float64")


def unit_plan(branch: str, order: str, **settings: Any) -> UnitPlan:
    path = Path(specs_of(branch, WIDTHS[branch], settings.pop("stride", 1), settings.pop("version", "v1")))
    return UnitPlan(1, settings.pop("before", 4), (path,), ORDERS[order], **({"shortcut": "identity"} | settings))


def made(plan: UnitPlan, norm: str) -> tuple[Tree, Callable[..., tuple[jax.Array, Any]]]:
    """Parameters with none at 0 or 1, and the unit as a function of (parameters, x)."""
    config = ModelConfig(norm=norm, shortcut=plan.shortcut)
    graph, params, statistics = nnx.split(Unit(jax.random.key(0), plan, Parts(config, jnp.float64)), nnx.Param, ...)
    random, statistics = np.random.default_rng(0), nnx.as_pure(statistics)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * random.standard_normal(leaf.shape), nnx.as_pure(params))
    return params, lambda params, x: nnx.merge(graph, params, statistics)(x, MODE)


class Hand(NamedTuple):
    """A unit's parameters. c: weight layer i of its branch; before, behind: the norm in front of it, behind it."""

    params: Tree
    strides: tuple[int, ...] = (1, 1, 1)

    def c(self, i: int, x: jax.Array) -> jax.Array:
        return convolved(x, self.params["branch"][0]["layers"][i - 1]["weight"]["kernel"], self.strides[i - 1])

    def before(self, i: int, x: jax.Array) -> jax.Array:
        pre = self.params["pre"] if i == 1 else self.params["branch"][0]["layers"][i - 1]["pre"]
        return normed(x, pre["norm"], GROUP)

    def behind(self, i: int, x: jax.Array) -> jax.Array:
        return normed(x, self.params["branch"][0]["layers"][i - 1]["post"]["norm"], GROUP)

    def added(self, x: jax.Array) -> jax.Array:
        return normed(x, self.params["after"]["norm"], GROUP)


def original_basic(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, x))
    f = u.behind(2, u.c(2, relu(f)))
    return relu(x + f)


def original_bottleneck(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, x))
    f = u.behind(2, u.c(2, relu(f)))
    f = u.behind(3, u.c(3, relu(f)))
    return relu(x + f)


def norm_after_addition_basic(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, x))
    f = u.c(2, relu(f))
    return relu(u.added(x + f))


def norm_after_addition_bottleneck(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, x))
    f = u.behind(2, u.c(2, relu(f)))
    f = u.c(3, relu(f))
    return relu(u.added(x + f))


def relu_before_addition_basic(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, x))
    f = u.behind(2, u.c(2, relu(f)))
    return x + relu(f)


def relu_before_addition_bottleneck(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, x))
    f = u.behind(2, u.c(2, relu(f)))
    f = u.behind(3, u.c(3, relu(f)))
    return x + relu(f)


def relu_only_preactivation_basic(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, relu(x)))
    f = u.behind(2, u.c(2, relu(f)))
    return x + f


def relu_only_preactivation_bottleneck(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, relu(x)))
    f = u.behind(2, u.c(2, relu(f)))
    f = u.behind(3, u.c(3, relu(f)))
    return x + f


def full_preactivation_basic(u: Hand, x: jax.Array) -> jax.Array:
    f = u.c(1, relu(u.before(1, x)))
    f = u.c(2, relu(u.before(2, f)))
    return x + f


def full_preactivation_bottleneck(u: Hand, x: jax.Array) -> jax.Array:
    f = u.c(1, relu(u.before(1, x)))
    f = u.c(2, relu(u.before(2, f)))
    f = u.c(3, relu(u.before(3, f)))
    return x + f


def bias_of_last(u: Hand, i: int, x: jax.Array) -> jax.Array:
    return x + jnp.broadcast_to(u.params["branch"][0]["layers"][i - 1]["post"]["norm"]["bias"], x.shape)


def bare_addition_basic(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, x))
    return x + bias_of_last(u, 2, u.c(2, relu(f)))


def bare_addition_bottleneck(u: Hand, x: jax.Array) -> jax.Array:
    f = u.behind(1, u.c(1, x))
    f = u.behind(2, u.c(2, relu(f)))
    return x + bias_of_last(u, 3, u.c(3, relu(f)))


BY_HAND: dict[tuple[str, str], Callable[[Hand, jax.Array], jax.Array]] = {
    ("original", "basic"): original_basic,
    ("original", "bottleneck"): original_bottleneck,
    ("norm_after_addition", "basic"): norm_after_addition_basic,
    ("norm_after_addition", "bottleneck"): norm_after_addition_bottleneck,
    ("relu_before_addition", "basic"): relu_before_addition_basic,
    ("relu_before_addition", "bottleneck"): relu_before_addition_bottleneck,
    ("relu_only_preactivation", "basic"): relu_only_preactivation_basic,
    ("relu_only_preactivation", "bottleneck"): relu_only_preactivation_bottleneck,
    ("full_preactivation", "basic"): full_preactivation_basic,
    ("full_preactivation", "bottleneck"): full_preactivation_bottleneck,
    ("bare_addition", "basic"): bare_addition_basic,
    ("bare_addition", "bottleneck"): bare_addition_bottleneck,
}


def assert_same(plan: UnitPlan, norm: str, by_hand: Callable[[Hand, jax.Array], jax.Array]) -> None:
    """Values, and the gradients of a weighted sum of them in x and in every parameter."""
    params, run = made(plan, norm)
    x = drawn(BATCH, 5, 5, plan.before)
    h, pull, _ = jax.vjp(run, params, x, has_aux=True)
    expected, pull_expected = jax.vjp(lambda params, x: by_hand(Hand(params), x), params, x)
    np.testing.assert_allclose(h, expected, rtol=1e-11, atol=1e-11)
    weight = drawn(*h.shape)
    grads = pull(weight)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-10), grads, pull_expected(weight))
    assert all(leaf.any() for leaf in jax.tree.leaves(grads))


def test_every_order_is_written_out_here() -> None:
    assert {order for order, _ in BY_HAND} == ORDERS.keys()


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize(("order", "branch"), BY_HAND)
def test_value_and_gradients(order: str, branch: str, norm: str) -> None:
    assert_same(unit_plan(branch, order), norm, BY_HAND[order, branch])


@pytest.mark.parametrize("order", ["full_preactivation", "relu_only_preactivation"])
@pytest.mark.parametrize("shortcut", ["identity", "projection_c"])
@pytest.mark.parametrize("shared", [True, False])
def test_a_shared_shortcut_starts_behind_the_first_activation(shared: bool, shortcut: str, order: str) -> None:
    def by_hand(u: Hand, x: jax.Array) -> jax.Array:
        f = BY_HAND[order, "basic"](u, x) - x
        entered = relu(u.before(1, x)) if order == "full_preactivation" else relu(x)
        start = entered if shared else x
        if shortcut == "identity":
            return start + f
        projected = convolved(start, u.params["shortcut"]["weight"]["kernel"])
        if order == "relu_only_preactivation":  # where a norm stands behind the branch's last convolution
            projected = normed(projected, u.params["shortcut"]["post"]["norm"], GROUP)
        return f + projected

    assert_same(unit_plan("basic", order, shared=shared, shortcut=shortcut), "batch", by_hand)


@pytest.mark.parametrize(("version", "strides"), [("v1", (2, 1, 1)), ("v1.5", (1, 2, 1))])
def test_a_bottlenecks_stride_is_in_its_first_or_second_convolution(version: str, strides: tuple[int, ...]) -> None:
    plan = unit_plan("bottleneck", "original", stride=2, version=version)
    params, run = made(plan, "batch")
    u, x = Hand(params, strides), drawn(BATCH, 5, 5, 4)
    f = u.behind(1, u.c(1, x))
    f = u.behind(2, u.c(2, relu(f)))
    f = u.behind(3, u.c(3, relu(f)))
    np.testing.assert_allclose(run(params, x)[0], relu(x[:, ::2, ::2] + f), rtol=1e-11, atol=1e-11)


# Whole networks.


def units_of(**settings: Any) -> tuple[UnitPlan, ...]:
    return resnet(completed(ModelConfig(width=4, **settings)), (8, 8, 3)).units


@pytest.mark.parametrize(
    ("version", "strides"),
    [("v1", [(1, 1, 1), (2, 1, 1), (2, 1, 1)]), ("v1.5", [(1, 1, 1), (1, 2, 1), (1, 2, 1)])],
)
def test_strides_of_the_stages_first_units(version: str, strides: list[tuple[int, ...]]) -> None:
    units = units_of(depth=20, branch="bottleneck", bottleneck=version)
    found = [tuple(spec.stride for spec in unit.paths[0].specs) for unit in units if unit.stage]
    assert found == [one for first in strides for one in (first, (1, 1, 1))]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("settings", "sharing"),
    [
        ({"shortcut": "identity"}, ["stage1.1"]),
        ({"shortcut": "none"}, ["stage1.1"]),
        ({"shortcut": "projection_b"}, ["stage1.1", "stage2.1", "stage3.1"]),
        ({"shortcut": "projection_c"}, ["stage1.1", "stage2.1", "stage3.1"]),
        ({"shortcut": "projection_b", "branch": "bottleneck"}, ["stage1.1", "stage2.1", "stage3.1"]),
    ],
)
def test_the_first_preactivation_unit_and_projections_that_change_the_shape_share(
    settings: dict[str, str], sharing: list[str], order: str
) -> None:
    """BN and ReLU stand before both ways there (He et al. 2016, appendix)."""
    units = units_of(depth=20, order=order, **settings)[1:]
    first_of = {unit.stage: number for number, unit in reversed(list(enumerate(units)))}
    found = [f"stage{unit.stage}.{n - first_of[unit.stage] + 1}" for n, unit in enumerate(units) if unit.shared]
    assert found == (sharing if "preactivation" in order else [])


def network(order: str) -> Model:
    return build(ModelConfig(depth=5, width=4, branch="single", order=order), (8, 8, 1), 3, jnp.float64)


@pytest.mark.parametrize("order", ORDERS)
def test_the_ends_of_a_network(order: str) -> None:
    """Post-activation: norm and ReLU behind the stem, none before pooling. Pre-activation: the other way round.

    relu_only_preactivation moves the ReLU alone: its norm stays behind the stem.
    """
    model = network(order)
    params, batch_stats = model.init(jax.random.key(0))
    random = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * random.standard_normal(leaf.shape), params)
    x = drawn(BATCH, 8, 8, 1)
    apply = partial(model.apply, mode=MODE, observe=lambda h, responses: h)
    logits, _, seen, _ = apply(params, batch_stats, x)
    stem = params["segments"][0]["units"]["branch"][0]["layers"][0]
    expected = convolved(x, stem["weight"]["kernel"][0])
    if order != "full_preactivation":
        expected = normed(expected, jax.tree.map(lambda leaf: leaf[0], stem["post"]["norm"]), GROUP)
    expected = expected if "preactivation" in order else relu(expected)
    np.testing.assert_allclose(seen[0][0], expected, rtol=1e-10, atol=1e-10)
    last = seen[-1][-1]
    if order == "full_preactivation":
        last = normed(last, params["head"]["pre"]["norm"], GROUP)
    last = relu(last) if "preactivation" in order else last
    head = last.mean((1, 2)) @ params["head"]["dense"]["kernel"]
    np.testing.assert_allclose(logits, head + jnp.broadcast_to(params["head"]["bias"], head.shape), rtol=1e-10)
    has_norms = {"stem": "post" in stem, "head": "pre" in params["head"]}
    assert has_norms == {"stem": order != "full_preactivation", "head": order == "full_preactivation"}
