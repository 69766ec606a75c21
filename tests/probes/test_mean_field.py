"""What theory says of a wide net at initialisation comes out of the probes, and what the recursions say beside it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import Mode, build
from resjax.models.build import Pass
from resjax.probes.look import look
from resjax.theory import profile

BATCH, SEEDS, IMAGE = 128, 5, (16, 16, 1)
WITHIN = 0.03


def losses(out: Pass, labels: jax.Array) -> jax.Array:
    return -jnp.sum(jax.nn.log_softmax(out.logits) * jax.nn.one_hot(labels, 10), axis=1)


def probed(config: ModelConfig) -> dict[str, np.ndarray]:
    """Every quantity of the units, (seeds, units), and of the weight layers, as weights/NAME."""
    model = build(config, IMAGE, 10)

    def one(key: jax.Array) -> dict[str, jax.Array]:
        x = jax.random.normal(jax.random.fold_in(key, 1), (BATCH, *IMAGE))
        labels = jax.random.randint(jax.random.fold_in(key, 2), BATCH, 0, 10)
        params, batch_stats = model.init(key)
        step_of = partial(jax.tree.map, jnp.negative)
        mode = Mode(True, BATCH, key=jax.random.fold_in(key, 3), places=jnp.arange(BATCH))
        looks = look(model, mode, losses, step_of, params, batch_stats, x, labels)
        weights = {f"weights/{name}": values for name, values in looks.weights.items()}
        return looks.units | weights

    run = jax.jit(one)
    seen = [run(jax.random.key(seed)) for seed in range(SEEDS)]
    return {name: np.stack([np.asarray(found[name]) for found in seen]) for name in seen[0]}


def mlp(depth: int = 30, **settings: object) -> ModelConfig:
    return ModelConfig(**{"name": "mlp", "depth": depth, "width": 256, "shortcut": "none"} | settings)


def rate(logs: np.ndarray, inner: slice) -> float:
    """The factor a unit towards the input, mean over seeds; at the ends the images and the loss are still felt."""
    rows = np.atleast_2d(logs)[:, inner]
    return float(np.exp(-np.polyfit(np.arange(rows.shape[1]), rows.mean(0), 1)[0]))


def growth(config: ModelConfig, inner: slice = slice(4, -4)) -> float:
    return rate(np.log(probed(config)["act_grad_norm"]), inner)


def test_batch_norm_explodes() -> None:
    """sqrt(pi / (pi - 1)) = 1.211 a layer for large batches (Yang et al. 2019, arXiv:1902.08129)."""
    assert growth(mlp()) == pytest.approx(np.sqrt(np.pi / (np.pi - 1)), rel=WITHIN)


def test_he_initialisation_keeps_the_gradient() -> None:
    assert growth(mlp(norm="none")) == pytest.approx(1, rel=WITHIN)


def test_variance_one_over_n_vanishes() -> None:
    assert growth(mlp(norm="none", init_gain=float(np.sqrt(0.5)))) == pytest.approx(np.sqrt(0.5), rel=WITHIN)


def test_preactivation_grows_in_variance_and_as_a_power_in_the_gradient() -> None:
    """(pi - 1) / pi = 0.682 a block in the variance; |dL/dh_l| ~ (l + l_0)^-0.733, l_0 the stem's variance in blocks.

    |dL/dh_(l-1)|^2 / |dL/dh_l|^2 = 1 + 1 / Var(h_(l-1)) and Var(h_l) = Var(h_0) + 0.682 l, so the exponent is
    -pi / (2 (pi - 1)).
    """
    seen = probed(mlp(depth=62, shortcut="identity", order="full_preactivation"))
    variance = seen["act_var"].mean(0)
    block = (np.pi - 1) / np.pi
    assert np.polyfit(np.arange(61), variance, 1)[0] == pytest.approx(block, rel=WITHIN)
    place = np.arange(61) + variance[0] / block
    slope = np.polyfit(np.log(place), np.log(seen["act_grad_norm"]).mean(0), 1)[0]
    assert slope == pytest.approx(-np.pi / (2 * (np.pi - 1)), rel=WITHIN)


def test_scaled_shortcuts_multiply_where_the_branches_are_zero() -> None:
    """lambda^L (He et al. 2016, section 3.1)."""
    zero = mlp(depth=20, norm="none", shortcut="scaled", shortcut_scale=0.5, branch_scale=0.0)
    assert growth(zero, slice(None)) == pytest.approx(0.5, rel=1e-4)


LIVE = {"shortcut": "scaled", "shortcut_scale": 0.5, "order": "original"}
CASES = {
    "plain, batch norm": {},
    "plain, gain 1": {"norm": "none", "init": "lecun"},
    "post-activation": {"shortcut": "identity", "order": "original"},
    "post-activation without norm": {"shortcut": "identity", "order": "original", "norm": "none"},
    "pre-activation": {"shortcut": "identity", "order": "full_preactivation"},
    "activation before the addition": {"shortcut": "identity"},
    "scaled by 0.5": LIVE,
    "scaled by 0.5 without norm": LIVE | {"norm": "none"},
    "tanh": {"norm": "none", "init": "lecun", "activation": "tanh"},
    "tanh, batch norm": {"activation": "tanh"},
    "linear, residual": {"activation": "linear", "shortcut": "identity", "norm": "none", "init_gain": 0.2},
    "dropout on the shortcut": {"shortcut": "dropout", "order": "original", "shortcut_dropout": 0.2, "norm": "none"},
    "layer norm": {"shortcut": "identity", "order": "original", "norm": "layer"},
}


IN_THE_SUITE = (
    "post-activation",
    "pre-activation",
    "scaled by 0.5",
    "scaled by 0.5 without norm",
    "tanh",
)
# Residual without norm: at width 256 the gain of a unit still fluctuates, and the growth is above that of wide nets
# (numpy, width 1500: 1.43 a unit, as the recursion says; width 256: 1.45).
LOOSER = {"post-activation without norm": 2.0, "dropout on the shortcut": 2.0}


@pytest.mark.parametrize(
    "name", [name if name in IN_THE_SUITE else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_the_recursions_say_what_the_probes_see(name: str) -> None:
    config = mlp(**CASES[name])
    seen, expected = probed(config), profile(config, IMAGE, BATCH)
    inner, looser = slice(1, -1), LOOSER.get(name, 1.0)
    predicted = np.array([unit.log_grad for unit in expected.units])
    assert rate(np.log(seen["act_grad_norm"]), inner) == pytest.approx(rate(predicted, inner), rel=WITHIN * looser)
    q = np.array([unit.act_q for unit in expected.units])
    moments = np.log(seen["act_rms"] ** 2).mean(0)
    assert np.exp(np.mean((moments - np.log(q))[inner])) == pytest.approx(1, rel=0.1 * looser)
    if config.norm != "none":
        added = np.array([unit.branch_var for unit in expected.units])
        assert np.exp(np.log(seen["branch_var"] / added)[:, inner].mean()) == pytest.approx(1, rel=0.05)
    correlations = np.array([unit.correlation for unit in expected.units])
    np.testing.assert_allclose(seen["act_correlation"].mean(0), correlations, atol=0.05)


def test_weight_gradients_of_a_plain_net_with_batch_norm() -> None:
    """|dL/dw| over |dL/dh| of the last unit within a factor of two, layer by layer; |w| within 3 %.

    What examples add to it is taken as not aligned, which it is in part: measured / predicted was 0.7 throughout.
    """
    seen, expected = probed(mlp()), profile(mlp(), IMAGE, BATCH)
    logs = np.log(seen["weights/grad_norm"]).mean(0)[:-1] - np.log(seen["act_grad_norm"]).mean(0)[-1]
    ratio = np.exp(logs - np.array([weight.log_grad for weight in expected.weights]))
    assert ratio.min() > 0.5
    assert ratio.max() < 2
    lengths = np.log(seen["weights/weight_norm"]).mean(0)[:-1]
    np.testing.assert_allclose(lengths, [weight.log_norm for weight in expected.weights], atol=0.03)


@pytest.mark.parametrize("init", ["he", "fixup"])
def test_lengths_and_moments_of_a_net_of_convolutions(init: str) -> None:
    """Without norm, on small maps, whose kernels lie on the zeros in part: |w|, and E h^2 of the first units."""
    config = ModelConfig(depth=14, width=16, init=init, norm="none")
    model = build(config, (8, 8, 3), 10)
    expected = profile(config, (8, 8, 3), BATCH)
    x, labels = jax.random.normal(jax.random.key(1), (BATCH, 8, 8, 3)), jnp.arange(BATCH) % 10
    step_of = partial(jax.tree.map, jnp.negative)

    @jax.jit
    def seen(key: jax.Array) -> dict[str, jax.Array]:
        looks = look(model, Mode(True, BATCH), losses, step_of, *model.init(key), x, labels)
        return {"q": looks.units["act_rms"] ** 2, "w": looks.weights["weight_norm"]}

    found = [seen(jax.random.key(seed)) for seed in range(SEEDS)]
    lengths = np.log(np.stack([one["w"] for one in found]) + 1e-30).mean(0)
    responds = [info.responds for info in model.weight_layers]
    told = np.array([weight.log_norm for weight in expected.weights])
    known = np.isfinite(told)
    np.testing.assert_allclose(lengths[np.array(responds)][known], told[known], atol=0.05)
    q = np.log(np.stack([one["q"] for one in found])).mean(0)
    np.testing.assert_allclose(q[:3], np.log([unit.act_q for unit in expected.units[:3]]), atol=0.4)
