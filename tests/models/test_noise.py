from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import furthest, small, steps_of
from scipy import stats

from resjax.config import ModelConfig
from resjax.models import Mode, build
from resjax.models.network import Network
from resjax.models.noise import dropout, survives
from resjax.models.parts import Parts
from resjax.models.types import EVALUATE
from resjax.orders import ORDERS
from resjax.plans.plan import HeadPlan, NetworkPlan, Path, UnitPlan, WeightSpec

BATCH = 40
MODE = Mode(train=True, group=BATCH, key=jax.random.key(5), places=jnp.arange(BATCH))
ONES = jnp.ones((BATCH, 6, 5, 4))


def part(start: int, stop: int) -> Mode:
    return replace(MODE, places=jnp.arange(start, stop))


def masks_of(values: Any) -> list[np.ndarray]:
    return [np.asarray(value) > 0 for value in values]


def assert_independent(one: np.ndarray, other: np.ndarray) -> None:
    """Two masks of probability 1/2 agree in half of their entries."""
    agreeing = int(np.sum(one == other))
    assert stats.binomtest(agreeing, one.size, 0.5).pvalue > 0.001


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
def test_dropout_zeroes_at_its_rate_and_scales_the_rest(rate: float) -> None:
    x = np.random.default_rng(0).standard_normal(ONES.shape).astype(np.float32)
    out = np.asarray(dropout(jnp.asarray(x), rate, MODE, "here"))
    kept = out != 0
    assert stats.binomtest(int(kept.sum()), kept.size, 1 - rate).pvalue > 0.001
    np.testing.assert_allclose(out[kept], x[kept] / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_no_axis_shares_a_mask(axis: int) -> None:
    kept = np.asarray(dropout(ONES, 0.5, MODE, "here")) > 0
    assert_independent(kept.take(0, axis), kept.take(1, axis))


@pytest.mark.parametrize("cuts", [(20,), (10, 20, 30), (7,)])
def test_an_examples_mask_depends_on_its_place_and_not_on_its_part(cuts: tuple[int, ...]) -> None:
    whole = dropout(ONES, 0.5, MODE, "here")
    ends = (0, *cuts, BATCH)
    parts = [dropout(ONES[start:stop], 0.5, part(start, stop), "here") for start, stop in pairwise(ends)]
    np.testing.assert_array_equal(jnp.concatenate(parts), whole)


def test_streams_steps_and_units_have_masks_of_their_own() -> None:
    modes = {
        "first": (MODE, "here"),
        "stream": (MODE, "there"),
        "step": (replace(MODE, key=jax.random.key(6)), "here"),
        "unit 0": (MODE.at(jnp.asarray(0), 9), "here"),
        "unit 1": (MODE.at(jnp.asarray(1), 9), "here"),
        "unit 2": (MODE.at(jnp.asarray(2), 9), "here"),
    }
    masks = masks_of(dropout(ONES, 0.5, mode, stream) for mode, stream in modes.values())
    for number, mask in enumerate(masks):
        for other in masks[:number]:
            assert_independent(mask, other)


@pytest.mark.parametrize(
    ("rate", "mode"),
    [(0.5, EVALUATE), (0.5, replace(MODE, train=False)), (0.5, replace(MODE, key=None)), (0.0, MODE)],
    ids=["evaluation", "evaluation with a key", "no key", "rate 0"],
)
def test_nothing_is_dropped(rate: float, mode: Mode) -> None:
    assert dropout(ONES, rate, mode, "here") is ONES


def survived(probability: float, mode: Mode) -> float:
    return float(survives(jnp.asarray(probability), mode, jnp.dtype("float32")))


def test_a_branch_survives_on_every_part_or_on_none() -> None:
    modes = [(MODE.at(jnp.asarray(unit), 64), part(10, 20).at(jnp.asarray(unit), 64)) for unit in range(64)]
    alive = [(survived(0.5, whole), survived(0.5, its_part)) for whole, its_part in modes]
    assert set(alive) == {(0.0, 0.0), (1.0, 1.0)}
    assert stats.binomtest(alive.count((1.0, 1.0)), 64, 0.5).pvalue > 0.001


def test_in_evaluation_a_branch_counts_by_its_probability() -> None:
    assert survived(0.25, EVALUATE) == survived(0.25, replace(MODE, key=None)) == 0.25


WIDTH = 60


def masks_of_heads() -> list[np.ndarray]:
    """The masks in the hidden layers of two heads on the way and of the last head: each shows its own as its logits."""
    dense = UnitPlan(1, WIDTH, (Path((WeightSpec(0, WIDTH),)),), ORDERS["bare_addition"], "identity")
    hidden = (WeightSpec(0, WIDTH, name="fc", dropout=0.5),)
    units = (dense, replace(dense, shortcut="none"), dense)
    heads = [HeadPlan(key, mean=False, hidden=hidden) for key in (2, 3, 4)]
    plan = NetworkPlan(units, heads[0], ((0, heads[1]), (1, heads[2])))
    network = Network(plan, jax.random.key(0), (1, 1, WIDTH), WIDTH, Parts(ModelConfig(norm="none"), jnp.float32))
    for head in (network.head, *network.auxiliary):
        layer = head.hidden[0]
        layer.weight.kernel[...] = jnp.zeros((WIDTH, WIDTH))
        layer.post.norm.bias[...] = jnp.ones(WIDTH)
        head.dense.kernel[...] = jnp.eye(WIDTH)
    outputs = network(jnp.ones((BATCH, WIDTH)), MODE)
    return masks_of([outputs.logits, *outputs.auxiliary])


def test_heads_drop_by_themselves() -> None:
    """GoogLeNet's two auxiliary heads, and the last one."""
    last, *auxiliary = masks_of_heads()
    for mask in (last, *auxiliary):
        assert stats.binomtest(int(mask.sum()), mask.size, 0.5).pvalue > 0.001
    for one, other in ((auxiliary[0], auxiliary[1]), (last, auxiliary[0]), (last, auxiliary[1])):
        assert_independent(one, other)


@pytest.mark.parametrize("shortcut", ["dropout", "stochastic_depth"])
def test_a_network_is_noisy_in_training_alone(shortcut: str) -> None:
    model = build(ModelConfig(name="mlp", depth=6, width=8, norm="none", shortcut=shortcut), (2, 2, 3), 4)
    params, batch_stats = model.init(jax.random.key(0))
    x, places = jax.random.normal(jax.random.key(1), (8, 2, 2, 3)), jnp.arange(8)
    logits = jax.jit(
        lambda key, train: model.apply(params, batch_stats, x, Mode(train, 8, None, key, places)).logits,
        static_argnums=1,
    )
    steps = [logits(jax.random.key(step), True) for step in range(4)]
    assert any(np.max(np.abs(steps[0] - other)) > 1e-3 for other in steps[1:])
    np.testing.assert_array_equal(logits(jax.random.key(0), True), steps[0])
    tested = [logits(jax.random.key(step), False) for step in range(2)]
    np.testing.assert_array_equal(tested[0], tested[1])


# Through training: as the config says, whatever the number of devices.

STEPS = 3


@pytest.fixture(scope="module")
def trained() -> Iterator[Any]:
    """The state and the losses in double precision, of each layout once."""
    jax.config.update("jax_enable_x64", True)

    @cache
    def train(shortcut: str, devices: int, strategy: str = "pmap") -> Any:
        config = small(
            model={"name": "mlp", "depth": 6, "width": 8, "norm": "none", "shortcut": shortcut},
            train={"precision": "float64"},
            parallel={"strategy": strategy, "devices": devices},
        )
        return steps_of(config, STEPS)

    yield train
    jax.config.update("jax_enable_x64", False)


@pytest.mark.parametrize(("devices", "strategy"), [(4, "pmap"), (4, "jit")])
@pytest.mark.parametrize("shortcut", ["dropout", "stochastic_depth"])
def test_the_number_of_devices_changes_no_noise(trained: Any, shortcut: str, devices: int, strategy: str) -> None:
    (one, losses), (other, other_losses) = trained(shortcut, 1), trained(shortcut, devices, strategy)
    assert len(losses) == STEPS
    assert other_losses == pytest.approx(losses, rel=1e-9)
    assert furthest(one, other) < 1e-6


@pytest.mark.parametrize("shortcut", ["dropout", "stochastic_depth"])
def test_the_noise_is_in_the_training(trained: Any, shortcut: str) -> None:
    losses, without = trained(shortcut, 1)[1], trained("identity", 1)[1]
    assert losses != pytest.approx(without, rel=1e-2)
