"""What theory says of dL/dh_l at initialisation, layer by layer towards the input, of a wide plain ReLU net."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import Mode, build
from resjax.models.build import Pass
from resjax.probes.gradients import norm
from resjax.probes.look import hidden_grads

BATCH, DEPTH, SEEDS = 128, 30, 5
INNER = slice(4, -4)  # what the input and the loss are like has faded


def growth(norm_name: str, gain: float) -> float:
    """The factor a layer of act_grad_norm, mean of five seeds. gain: of every weight, after He's initialisation."""
    config = ModelConfig(name="mlp", depth=DEPTH, width=256, shortcut="none", norm=norm_name)
    model = build(config, (16, 16, 1), 10)

    def loss(out: Pass, labels: jax.Array) -> jax.Array:
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(out.logits) * jax.nn.one_hot(labels, 10), axis=1))

    @jax.jit
    def act_grad_norm(key: jax.Array) -> Any:
        x = jax.random.normal(jax.random.fold_in(key, 1), (BATCH, 16, 16, 1))
        labels = jax.random.randint(jax.random.fold_in(key, 2), BATCH, 0, 10)
        params, batch_stats = model.init(key)
        params = jax.tree.map(partial(jnp.multiply, gain), params)
        *_, in_hidden = hidden_grads(model, Mode(True, BATCH), loss, params, batch_stats, x, labels)
        return jnp.concatenate([jax.vmap(norm)(part) for part in in_hidden])

    slopes = []
    for seed in range(SEEDS):
        norms = np.asarray(act_grad_norm(jax.random.key(seed)))[INNER]
        slopes.append(np.polyfit(np.arange(len(norms)), np.log(norms), 1)[0])
    return float(np.exp(-np.mean(slopes)))


def test_batch_norm_explodes() -> None:
    """sqrt(pi / (pi - 1)) = 1.211 a layer for large batches (Yang et al. 2019, arXiv:1902.08129)."""
    assert growth("batch", 1) == pytest.approx(np.sqrt(np.pi / (np.pi - 1)), rel=0.03)


def test_he_initialisation_keeps_the_gradient() -> None:
    assert growth("none", 1) == pytest.approx(1, rel=0.03)


def test_variance_one_over_n_vanishes() -> None:
    assert growth("none", np.sqrt(0.5)) == pytest.approx(np.sqrt(0.5), rel=0.03)
