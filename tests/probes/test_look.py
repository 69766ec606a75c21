"""Every quantity of a look, of every family, against numpy and autodiff on a network written out unit by unit."""

import importlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes.unrolled import (
    AUXILIARY_WEIGHT,
    CLASSES,
    GROUP,
    NETWORKS,
    Lifts,
    Network,
    Passed,
    cross_entropies,
)

from resjax.config import ModelConfig
from resjax.models import Mode, Model, build
from resjax.models.build import Pass
from resjax.models.network import LayerInfo
from resjax.probes.look import Looks, look
from resjax.records.quantities import BOTH, QUANTITIES, UNITS, WEIGHTS

BATCH = 8
RARER = ("scaled", "gated mlp", "exclusive_gate", "projection_b")  # each family has another
PARTS = {name: 2 + number % 3 for number, name in enumerate(NETWORKS)}  # of 3, two examples are in none
MODE = Mode(train=True, group=GROUP)
STEP = 1e-6
Tree = Any


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def losses(out: Pass, labels: jax.Array) -> jax.Array:
    others = [cross_entropies(logits, labels) for logits in out.auxiliary]
    return cross_entropies(out.logits, labels) + AUXILIARY_WEIGHT * sum(others, jnp.zeros(len(labels)))


def step_of(grads: Tree) -> Tree:
    return jax.tree.map(lambda grad: -0.25 * grad, grads)


def images(shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    random = np.random.default_rng(0)
    return jnp.asarray(random.standard_normal((BATCH, *shape))), jnp.asarray(random.integers(CLASSES, size=BATCH))


def started(model: Model) -> tuple[Tree, Tree]:
    """Parameters with none at 0 or 1, and running statistics that are no numbers: they may not be read.

    The first of four or more channels of every norm is dead, where a relu stands behind it.
    """
    random = np.random.default_rng(1)

    def drawn(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        normal, name = random.standard_normal(leaf.shape), path[-1].key
        if name == "kernel":
            return normal * np.sqrt(2 / np.prod(leaf.shape[path[0].key == "segments" : -1]))
        value = (name == "scale") + 0.1 * normal
        if path[-2].key == "norm" and name == "bias" and leaf.shape[-1] >= 4 and model.config.name != "article":
            value[..., 0] = -100
        return value

    params, batch_stats = model.shapes
    return jax.tree.map_with_path(drawn, params), jax.tree.map(lambda leaf: np.full(leaf.shape, np.nan), batch_stats)


def built(name: str, **settings: Any) -> Model:
    """The model of a network that is written out. GoogLeNet has two of its nine inceptions, to compile quickly."""
    googlenet, few = importlib.import_module("resjax.plans.googlenet"), ("4a", "4b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(googlenet, "INCEPTIONS", {unit: googlenet.INCEPTIONS[unit] for unit in few})
        patch.setattr(googlenet, "AUXILIARY_AFTER", few)
        return build(ModelConfig(**NETWORKS[name].settings, **settings), NETWORKS[name].shape, CLASSES, jnp.float64)


def share(*examples: int) -> np.ndarray:
    """What each example counts for in the mean loss of these."""
    shares = np.zeros(BATCH)
    shares[list(examples)] = 1 / len(examples)
    return shares


WHOLE = share(*range(BATCH))
EACH = [share(example) for example in range(BATCH)]


class Case(NamedTuple):
    """A network, what a look says of it, and what passes by hand; gradients of the mean loss, of each part's, of each
    example's, an array a weight layer and lift.

    by_hand(params, lifts, shares) -> ((loss, passed), gradients in params and lifts).
    """

    network: Network
    model: Model
    parts: int
    params: Tree
    looks: Looks
    by_hand: Callable[..., Any]
    lifts: Lifts
    loss: float
    passed: list[Passed]
    grads: list[list[np.ndarray]]
    in_hidden: list[Lifts]


@cache
def examined(name: str) -> Case:
    network, model = NETWORKS[name], built(name)
    (params, batch_stats), (x, labels) = started(model), images(network.shape)
    parts, size = PARTS[name], BATCH // PARTS[name]
    looks = jax.jit(partial(look, model, MODE, losses, step_of, parts=parts, each=True))(params, batch_stats, x, labels)

    def mean_loss(params: Tree, lifts: Lifts, shares: jax.Array) -> tuple[jax.Array, list[Passed]]:
        values, passed = network.losses(params, x, labels, lifts)
        return values @ shares, passed

    by_hand = jax.jit(jax.value_and_grad(mean_loss, (0, 1), has_aux=True))
    nothing = [np.zeros(())] * len(model.units)
    hidden = [unit.h.shape for unit in jax.eval_shape(mean_loss, params, Lifts(nothing, nothing), WHOLE)[1]]
    lifts = Lifts([np.zeros(shape) for shape in (x.shape, *hidden[:-1])], [np.zeros(shape) for shape in hidden])
    of_parts = [share(*range(start, start + size)) for start in range(0, parts * size, size)]
    found = jax.device_get([by_hand(params, lifts, shares) for shares in (WHOLE, *of_parts, *EACH)])
    grads, in_hidden = [weights_of(model, grads) for _, (grads, _) in found], [lifts for _, (_, lifts) in found]
    return Case(network, model, parts, params, looks, by_hand, lifts, *found[0][0], grads, in_hidden)


def weights_of(model: Model, tree: Tree) -> list[np.ndarray]:
    """Each weight layer's own array."""
    return [weight_of(info, tree) for info in model.weight_layers]


def weight_of(info: LayerInfo, tree: Tree) -> np.ndarray:
    for key in info.path:
        tree = tree[key]
    return tree if info.index is None else tree[info.index]


@pytest.fixture(scope="module", params=[pytest.param(n, marks=pytest.mark.slow) if n in RARER else n for n in NETWORKS])
def case(request: pytest.FixtureRequest, double: None) -> Case:
    return examined(request.param)


def assert_close(one: Any, other: Any) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-9)


def norms(arrays: list[np.ndarray]) -> np.ndarray:
    return np.array([np.linalg.norm(array) for array in arrays])


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return np.sum(one * other) / np.linalg.norm(one) / np.linalg.norm(other) if one.shape == other.shape else np.nan


def variance(h: np.ndarray | None) -> float:
    """A channel on its own."""
    return np.nan if h is None else np.mean([np.var(channel) for channel in np.moveaxis(h, -1, 0)])


def correlation(h: np.ndarray) -> float:
    return np.mean([cosine(one, other) for number, one in enumerate(h) for other in h[:number]])


def rms(h: np.ndarray | None) -> float:
    return np.nan if h is None else np.sqrt(np.mean(h**2))


def test_loss(case: Case) -> None:
    assert_close(case.looks.loss, case.loss)


def test_gradients_and_weights(case: Case) -> None:
    grads, weights, found = case.grads[0], weights_of(case.model, case.params), case.looks.weights
    assert min(norms(grads)) > 0
    assert_close(found["grad_norm"], norms(grads))
    assert_close(found["grad_rms"], [rms(grad) for grad in grads])
    assert_close(found["weight_norm"], norms(weights))
    assert_close(found["update_ratio"], 0.25 * norms(grads) / norms(weights))


def test_grad_cosine_is_with_the_equal_unit_before(case: Case) -> None:
    names = [info.name for info in case.model.weight_layers]
    grads, expected = dict(zip(names, case.grads[0], strict=True)), dict.fromkeys(names, np.nan)
    for twin in case.network.twins:
        before = f"{twin[:-1]}{int(twin[-1]) - 1}"
        for name in names:
            if name.startswith(f"{twin}."):
                expected[name] = cosine(grads[name], grads[name.replace(twin, before)])
    assert_close(case.looks.weights["grad_cosine"], list(expected.values()))


def signal_to_noise(grads: list[np.ndarray], of_parts: list[list[np.ndarray]]) -> np.ndarray:
    away = np.array([[np.sum((p - g) ** 2) for p, g in zip(part, grads, strict=True)] for part in of_parts])
    return norms(grads) / np.sqrt(away.sum(0) / (len(of_parts) - 1))


def test_grad_snr(case: Case) -> None:
    assert_close(case.looks.weights["grad_snr"], signal_to_noise(case.grads[0], case.grads[1 : 1 + case.parts]))


def test_act_grad(case: Case) -> None:
    """The cosine is of what goes in and out of the unit; what an auxiliary head adds to the latter comes behind."""
    grads, in_inputs = case.in_hidden[0].outputs, case.in_hidden[0].inputs
    assert min(norms(grads)) > 0
    assert_close(case.looks.units["act_grad_norm"], norms(grads))
    assert_close(case.looks.units["act_grad_cosine"], [cosine(*pair) for pair in zip(grads, in_inputs, strict=True)])


def test_smallest_and_largest_of_the_examples(case: Case) -> None:
    of_weights = [norms(grads) for grads in case.grads[1 + case.parts :]]
    of_units = [norms(lifts.outputs) for lifts in case.in_hidden[1 + case.parts :]]
    for found, name, values in (
        (case.looks.weights, "example_grad_norm", of_weights),
        (case.looks.units, "example_act_grad_norm", of_units),
    ):
        assert len(values) == BATCH
        assert_close(found[f"{name}_min"], np.min(values, axis=0))
        assert_close(found[f"{name}_max"], np.max(values, axis=0))


def test_forward_quantities_of_units(case: Case) -> None:
    found, passed = case.looks.units, case.passed
    dead = [np.mean([not channel.any() for channel in np.moveaxis(unit.h, -1, 0)]) for unit in passed]
    assert_close(found["dead_fraction"], dead)
    assert_close(found["act_rms"], [rms(unit.h) for unit in passed])
    assert_close(found["act_var"], [variance(unit.h) for unit in passed])
    assert_close(found["act_correlation"], [correlation(unit.h) for unit in passed])
    assert_close(found["branch_var"], [variance(unit.branch) for unit in passed])
    assert_close(found["skip_var"], [variance(unit.skip) for unit in passed])
    assert_close(found["branch_ratio"], [rms(unit.branch) / rms(unit.skip) for unit in passed])


def test_response_std(case: Case) -> None:
    """Of the branches' weight layers, one after the other; of units with paths side by side none is the last."""
    responses = [[np.std(response) for response in unit.responses] for unit in case.passed]
    kinds = [info.kind if "head" not in info.name else "head" for info in case.model.weight_layers]
    expected = chain.from_iterable(responses)
    found = [next(expected) if kind in ("conv", "dense") else np.nan for kind in kinds]
    assert_close(case.looks.weights["response_std"], found)
    assert next(expected, None) is None
    side_by_side = ["inception" in unit.name for unit in case.model.units]
    last = [np.nan if paths else seen[-1] for paths, seen in zip(side_by_side, responses, strict=True)]
    assert_close(case.looks.units["response_std"], last)


def test_the_cases_see_dead_channels_and_shortcuts() -> None:
    cases = [examined(name) for name in ("residual", "article", "googlenet")]
    dead, skips = ([case.looks.units[name] for case in cases] for name in ("dead_fraction", "skip_var"))
    assert [np.min(found) > 0 for found in dead] == [True, False, True]
    assert [np.isfinite(found).sum() for found in skips] == [6, 4, 0]


# Finite differences, which know of no derivative.


def chosen(model: Model) -> list[int]:
    """The first, the middle and the last weight layer; the last of each other kind: projection, gate, auxiliary."""
    kinds = {info.kind: number for number, info in enumerate(model.weight_layers)}
    return sorted({0, len(model.weight_layers) // 2, *kinds.values()})


def nudged(params: Tree, info: LayerInfo, entry: int, step: float) -> Tree:
    """The parameters with a step added to one entry of a weight layer."""

    def nudge(path: tuple[Any, ...], leaf: np.ndarray) -> np.ndarray:
        if tuple(key.key for key in path) != info.path:
            return leaf
        leaf = leaf.copy()
        (leaf if info.index is None else leaf[info.index]).flat[entry] += step
        return leaf

    return jax.tree.map_with_path(nudge, params)


def test_weight_gradients_are_finite_differences(case: Case) -> None:
    """Of the model's mean loss, to 1e-5: every entry of the smallest layer, and three of some others."""
    model, (x, labels) = case.model, images(case.network.shape)
    batch_stats = started(model)[1]
    loss = jax.jit(lambda params: losses(model.apply(params, batch_stats, x, MODE), labels).mean())
    sizes = [grad.size for grad in case.grads[0]]
    smallest = int(np.argmin(sizes))
    for number in {*chosen(model), smallest}:
        info, size = model.weight_layers[number], sizes[number]
        entries = range(size) if number == smallest else np.random.default_rng(number).integers(size, size=3)
        ends = [[loss(nudged(case.params, info, entry, step)) for step in (STEP, -STEP)] for entry in entries]
        slopes = np.array([above - below for above, below in ends]) / (2 * STEP)
        grad = case.grads[0][number]
        np.testing.assert_allclose(slopes, grad.flat[list(entries)], rtol=1e-5, atol=1e-5 * rms(grad))
        if number == smallest:
            np.testing.assert_allclose(np.linalg.norm(slopes), case.looks.weights["grad_norm"][number], rtol=1e-5)


def test_hidden_gradients_are_finite_differences(case: Case) -> None:
    """Of the loss by hand in a random direction of each unit's output, to 1e-5.

    Zeros stay, as several may be the largest of a window. No other values are equal, so that none hangs on rounding.
    """
    for number, (unit, grad) in enumerate(zip(case.passed, case.in_hidden[0].outputs, strict=True)):
        assert len(np.unique(unit.h.round(12))) == np.count_nonzero(unit.h) + (not unit.h.all())
        direction = np.random.default_rng(number).standard_normal(grad.shape) * (unit.h != 0)
        ends = []
        for step in (STEP, -STEP):
            outputs = list(case.lifts.outputs)
            outputs[number] = step * direction
            ends.append(case.by_hand(case.params, case.lifts._replace(outputs=outputs), WHOLE)[0][0])
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * STEP), np.sum(grad * direction), rtol=1e-5)


# What is asked for.


def test_every_quantity_is_there_and_no_other() -> None:
    looks = examined("mlp").looks
    for found, kind in ((looks.weights, WEIGHTS), (looks.units, UNITS)):
        assert found.keys() == {name for name, quantity in QUANTITIES.items() if quantity.of in (kind, BOTH)}


@pytest.mark.parametrize("how", ["unroll", "remat"])
def test_a_look_without_parts_and_examples_is_the_same_otherwise(how: str) -> None:
    case, model = examined("mlp"), built("mlp", **{how: True})
    looks = jax.jit(partial(look, model, MODE, losses, step_of))(*started(model), *images(case.network.shape))
    asked = {
        "grad_snr",
        *(f"example_{name}_{end}" for name in ("grad_norm", "act_grad_norm") for end in ("min", "max")),
    }
    for found, whole in ((looks.weights, case.looks.weights), (looks.units, case.looks.units)):
        assert found.keys() == whole.keys() - asked
        for name in found:
            assert_close(found[name], whole[name])


def test_a_group_larger_than_the_probe_batch_is_the_batch() -> None:
    case = examined("mlp")
    (params, batch_stats), (x, _) = started(case.model), images(case.network.shape)
    run = jax.jit(lambda group: case.model.apply(params, batch_stats, x, Mode(True, group)).logits, static_argnums=0)
    assert_close(run(64), run(BATCH))
    assert not np.allclose(run(64), run(GROUP))
