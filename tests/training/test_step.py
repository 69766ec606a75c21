"""What training descends, by hand, and the noise of a step."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import small

from resjax.config import ModelConfig
from resjax.models import Mode, Model, build
from resjax.models.build import Pass
from resjax.models.types import EVALUATE
from resjax.training.parallel import choose
from resjax.training.programs import make_probe
from resjax.training.state import create, optimizer
from resjax.training.step import objective, with_noise

GOOGLENET = {"name": "googlenet", "depth": 22, "width": 8, "shortcut": "none"}


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return -float(np.mean(np.log(shares[np.arange(len(labels)), labels])))


def passed(model: Model, mode: Mode) -> Pass:
    """The shapes of a forward pass."""
    params, batch_stats = model.shapes
    x = jax.ShapeDtypeStruct((4, *model.shape), model.dtype)
    return jax.eval_shape(partial(model.apply, mode=mode), params, batch_stats, x)


@pytest.mark.parametrize("weight", [0.3, 0.7])
def test_each_auxiliary_head_adds_its_cross_entropy_with_its_weight(weight: float) -> None:
    model = build(ModelConfig(auxiliary_weight=weight, **GOOGLENET), (16, 16, 3), 5)
    logits, *heads = np.random.default_rng(0).standard_normal((3, 4, 5))
    labels = np.array([0, 4, 1, 1])
    expected = cross_entropy(logits, labels) + weight * sum(cross_entropy(head, labels) for head in heads)
    out = Pass(jnp.asarray(logits), None, [], [jnp.asarray(head) for head in heads])
    assert float(objective(model, out, jnp.asarray(labels))) == pytest.approx(expected, rel=1e-5)
    bare = out._replace(auxiliary=[])
    assert float(objective(model, bare, jnp.asarray(labels))) == pytest.approx(cross_entropy(logits, labels), rel=1e-5)


def test_heads_on_the_way_are_there_in_training_only() -> None:
    model, without = (build(ModelConfig(auxiliary_weight=w, **GOOGLENET), (16, 16, 3), 5) for w in (0.3, 0.0))
    assert [head.shape for head in passed(model, Mode(train=True, group=2)).auxiliary] == [(4, 5), (4, 5)]
    assert passed(model, EVALUATE).auxiliary == []
    assert [model.units[unit].name for unit, _ in model.plan.auxiliary] == ["inception4a", "inception4d"]
    assert without.plan.auxiliary == ()


def test_the_noise_of_a_step_is_its_own() -> None:
    keys = [with_noise(Mode(True, 2), jax.random.key(0), jnp.asarray(step), jnp.arange(4)).key for step in (0, 1, 0)]
    first, second, again = (jax.random.key_data(key).tolist() for key in keys)
    assert first == again != second


@pytest.mark.parametrize(("shortcut", "noisy"), [("dropout", True), ("identity", False)])
def test_a_look_has_the_noise_of_its_step(shortcut: str, noisy: bool) -> None:
    config = small(model={"name": "mlp", "depth": 3, "width": 8, "shortcut": shortcut})
    model, tx = build(config.model, (8, 8, 1), 10), optimizer(config.optimizer)
    states, keys = create(model, tx, range(1))
    images, labels = jax.random.normal(jax.random.key(0), (16, 8, 8, 1)), jnp.arange(16) % 10
    probe = make_probe(config, model, tx, choose(config))
    first, second, again = (probe(states, keys, jnp.asarray(step), images, labels).loss for step in (0, 1, 0))
    assert first == again
    assert (first != second) == noisy
