"""Every quantity of a look against a chain of units written out here, which knows nothing of the package."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from resjax.config import ModelConfig
from resjax.models import Mode, Model, build
from resjax.models.build import Pass
from resjax.probes.look import Looks, look

BATCH, GROUP, CLASSES, SHAPE = 8, 4, 5, (6, 7, 2)
MODE = Mode(train=True, group=GROUP)
Unit = Callable[[jax.Array], tuple[jax.Array, list[jax.Array]]]
CASES = {
    "plain": ModelConfig(depth=8, width=4, shortcut="none"),
    "residual": ModelConfig(depth=8, width=4),
    "preactivation": ModelConfig(depth=8, width=4, order="full_preactivation"),
    "mlp": ModelConfig(name="mlp", depth=5, width=6),
    "plain mlp without norm": ModelConfig(name="mlp", depth=5, width=6, shortcut="none", norm="none"),
}


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(logits) * jax.nn.one_hot(labels, CLASSES), axis=1))


def objective(out: Pass, labels: jax.Array) -> jax.Array:
    return cross_entropy(out.logits, labels)


def step_of(grads: Any) -> Any:
    return jax.tree.map(lambda grad: -0.25 * grad, grads)


def normalised(x: jax.Array, norm: dict[str, jax.Array]) -> jax.Array:
    ones = (1,) * (x.ndim - 1)
    if "scale" in norm:
        over = tuple(range(x.ndim - 1))
        parts = [x[start : start + GROUP] for start in range(0, BATCH, GROUP)]
        parts = [(p - p.mean(over, keepdims=True)) / jnp.sqrt(p.var(over, keepdims=True) + 1e-5) for p in parts]
        x = jnp.concatenate(parts) * norm["scale"].reshape(*ones, -1)
    return x + norm["bias"].reshape(*ones, -1)


def convolved(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), [(1, 1), (1, 1)], dimension_numbers=layout)


def option_a(x: jax.Array, f: jax.Array) -> jax.Array:
    stride = -(-x.shape[1] // f.shape[1])
    return jnp.concatenate([x[:, ::stride, ::stride], jnp.zeros((*f.shape[:-1], f.shape[-1] - x.shape[-1]))], axis=-1)


def conv_unit(weights: Any, residual: bool, x: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    one, two = layers_of(weights)
    before, after = one["weight"]["kernel"].shape[-2:]
    first = normalised(convolved(x, one["weight"]["kernel"], after // before), one["post"]["norm"])
    f = normalised(convolved(jax.nn.relu(first), two["weight"]["kernel"], 1), two["post"]["norm"])
    return jax.nn.relu(f + option_a(x, f) if residual else f), [first, f]


def preactivation_unit(weights: Any, residual: bool, x: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    """The shortcut of the first of all, which is as wide as the stem and not strided, begins behind norm and relu."""
    one, two = layers_of(weights)
    before, after = one["weight"]["kernel"].shape[-2:]
    entered = jax.nn.relu(normalised(x, weights["pre"]["norm"]))
    first = convolved(entered, one["weight"]["kernel"], after // before)
    f = convolved(jax.nn.relu(normalised(first, two["pre"]["norm"])), two["weight"]["kernel"], 1)
    return f + option_a(entered if before == after else x, f), [first, f]


def dense_unit(weights: Any, residual: bool, x: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    (layer,) = layers_of(weights)
    response = normalised(x @ layer["weight"]["kernel"], layer["post"]["norm"])
    return jax.nn.relu(response) + (x if residual else 0), [response]


def preactivated(config: ModelConfig) -> bool:
    """Whether norm and relu stand before a weight layer, so that the stem has none and the head some."""
    return config.order == "full_preactivation"


def stem(weights: Any, bare: bool, x: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    (layer,) = layers_of(weights)
    kernel = layer["weight"]["kernel"]
    response = convolved(x, kernel, 1) if kernel.ndim == 4 else x.reshape(BATCH, -1) @ kernel
    if bare:
        return response, [response]
    response = normalised(response, layer["post"]["norm"])
    return jax.nn.relu(response), [response]


def layers_of(weights: Any) -> list[Any]:
    """Those of a unit's only path."""
    (path,) = weights["branch"].values()
    return [path["layers"][number] for number in range(len(path["layers"]))]


def chain(config: ModelConfig, params: Any) -> list[Unit]:
    """The units one after the other, each with its own weights."""
    unit = dense_unit if config.name == "mlp" else preactivation_unit if preactivated(config) else conv_unit
    first, *segments = (params["segments"][number]["units"] for number in range(len(params["segments"])))
    apart = [
        jax.tree.map(lambda leaf, index=index: leaf[index], segment)
        for segment in segments
        for index in range(len(jax.tree.leaves(segment)[0]))
    ]
    residual = config.shortcut == "identity"
    begins = partial(stem, jax.tree.map(lambda leaf: leaf[0], first), preactivated(config))
    return [begins, *(partial(unit, weights, residual) for weights in apart)]


def tail(config: ModelConfig, params: Any, labels: jax.Array, layer: int, h: jax.Array) -> jax.Array:
    """The loss, from the output of unit `layer` on."""
    for unit in chain(config, params)[layer + 1 :]:
        h, _ = unit(h)
    head = params["head"]
    h = jax.nn.relu(normalised(h, head["pre"]["norm"])) if preactivated(config) else h
    h = h.mean(tuple(range(1, h.ndim - 1)))
    return cross_entropy(h @ head["dense"]["kernel"] + head["bias"].reshape(1, -1), labels)


class Expected(NamedTuple):
    loss: jax.Array
    hidden: list[jax.Array]
    hidden_grads: list[jax.Array]
    responses: list[list[jax.Array]]
    grads: Any


def expected_of(config: ModelConfig, params: Any, x: jax.Array, labels: jax.Array) -> Expected:
    hidden, responses, h = [], [], x
    for unit in chain(config, params):
        h, seen = unit(h)
        hidden.append(h)
        responses.append(seen)
    in_hidden = [jax.grad(partial(tail, config, params, labels, layer))(h) for layer, h in enumerate(hidden)]
    loss, grads = jax.value_and_grad(lambda params: tail(config, params, labels, -1, x))(params)
    return Expected(loss, hidden, in_hidden, responses, grads)


class Case(NamedTuple):
    model: Model
    params: Any
    batch_stats: Any
    run: Callable[..., Looks]
    looks: Looks
    expected: Expected


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def images() -> tuple[jax.Array, jax.Array]:
    random = np.random.default_rng(0)
    return jnp.asarray(random.standard_normal((BATCH, *SHAPE))), jnp.asarray(random.integers(CLASSES, size=BATCH))


def started(config: ModelConfig) -> tuple[Model, Any, Any]:
    """No value at 0 or 1, and the first channel of every norm dead."""
    model = build(config, SHAPE, CLASSES, jnp.float64)
    params, batch_stats = jax.jit(model.init)(jax.random.key(0))
    random = np.random.default_rng(1)

    def shaken(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        leaf = leaf + 0.1 * random.standard_normal(leaf.shape)
        dead = path[-1].key == "bias" and path[0].key == "segments"
        return leaf.at[:, 0].set(-100) if dead else leaf

    return model, jax.tree.map_with_path(shaken, params), batch_stats


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, double: None) -> Case:
    config = CASES[request.param]
    model, params, batch_stats = started(config)
    run = jax.jit(partial(look, model, MODE, objective, step_of))
    looks = run(params, batch_stats, *images())
    return Case(model, params, batch_stats, run, looks, jax.jit(partial(expected_of, config))(params, *images()))


def assert_close(one: Any, other: Any) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-9)


def weights_of(case: Case, tree: Any) -> list[np.ndarray]:
    """Each weight layer's own array."""
    found = []
    for info in case.model.weight_layers:
        leaf = tree
        for key in info.path:
            leaf = leaf[key]
        found.append(np.asarray(leaf if info.index is None else leaf[info.index]))
    return found


def test_loss(case: Case) -> None:
    assert_close(case.looks.loss, case.expected.loss)


def test_act_grad_norm_is_the_gradient_in_each_units_output(case: Case) -> None:
    norms = [np.linalg.norm(grad) for grad in case.expected.hidden_grads]
    assert min(norms) > 0
    assert_close(case.looks.units["act_grad_norm"], norms)


def test_gradients_and_weights(case: Case) -> None:
    grads, weights = weights_of(case, case.expected.grads), weights_of(case, case.params)
    norms = [np.linalg.norm(grad) for grad in grads]
    sizes = [np.linalg.norm(weight) for weight in weights]
    found = case.looks.weights
    assert_close(found["grad_norm"], norms)
    assert_close(found["grad_rms"], [np.sqrt(np.mean(grad**2)) for grad in grads])
    assert_close(found["weight_norm"], sizes)
    assert_close(found["update_ratio"], 0.25 * np.array(norms) / sizes)


def test_forward_quantities_of_units(case: Case) -> None:
    hidden = [np.asarray(h) for h in case.expected.hidden]
    dead = [np.mean(np.all(h.reshape(-1, h.shape[-1]) == 0, axis=0)) for h in hidden]
    assert (min(dead) > 0) == (case.model.config.order != "full_preactivation")  # there h is not behind a relu
    assert_close(case.looks.units["dead_fraction"], dead)
    assert_close(case.looks.units["act_rms"], [np.sqrt(np.mean(h**2)) for h in hidden])
    assert_close(case.looks.units["response_std"], [np.std(seen[-1]) for seen in case.expected.responses])


def test_response_std_of_weight_layers(case: Case) -> None:
    responses = [np.std(response) for seen in case.expected.responses for response in seen]
    assert_close(case.looks.weights["response_std"], [*responses, np.nan])  # the head has none


def test_running_statistics_are_neither_read_nor_moved(case: Case) -> None:
    """A look is in train mode: running statistics of nan leave it as it is."""
    before = jax.tree.map(np.array, case.batch_stats)
    spoiled = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), case.batch_stats)
    again = case.run(case.params, spoiled, *images())
    jax.tree.map(np.testing.assert_array_equal, again, case.looks)
    jax.tree.map(np.testing.assert_array_equal, case.batch_stats, before)
    assert not any(leaf.size and np.isnan(leaf).any() for leaf in jax.tree.leaves(case.looks.units))


def test_scanned_and_unrolled_nets_look_alike() -> None:
    settings = {"depth": 14, "width": 4, "shortcut": "projection_b"}
    scanned, params, batch_stats = started(ModelConfig(**settings))
    unrolled = build(ModelConfig(**settings, unroll=True), SHAPE, CLASSES, jnp.float64)
    one, other = (
        jax.jit(partial(look, model, MODE, objective, step_of))(params, batch_stats, *images())
        for model in (scanned, unrolled)
    )
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(assert_close, one, other)
    projections = [info.kind == "projection" for info in scanned.weight_layers]
    np.testing.assert_array_equal(np.isnan(one.weights["response_std"]), [*projections[:-1], True])
    last = [info.name.endswith(("stem.conv", ".conv2")) for info in scanned.weight_layers]  # of their units
    np.testing.assert_array_equal(one.weights["response_std"][np.array(last)], one.units["response_std"])


def test_a_group_larger_than_the_probe_batch_is_the_batch() -> None:
    model, params, batch_stats = started(ModelConfig(name="mlp", depth=3, width=6))
    one, other = (
        jax.jit(partial(look, model, Mode(True, group), objective, step_of))(params, batch_stats, *images())
        for group in (64, BATCH)
    )
    jax.tree.map(assert_close, one, other)
