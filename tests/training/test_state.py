import jax
import numpy as np
import pytest

from resjax.config import ModelConfig, OptimizerConfig
from resjax.models import Model, build
from resjax.training.packing import packings
from resjax.training.state import create, digest, optimizer, seed_keys, to_arrays


@pytest.fixture(scope="module")
def model() -> Model:
    return build(ModelConfig(name="mlp", depth=4, width=8), (8, 8, 1), 10)


def test_a_packed_tree_comes_back_whole(model: Model) -> None:
    params, batch_stats = model.init(jax.random.key(0))
    for packing, tree in zip(packings(model), (params, batch_stats), strict=True):
        vector = packing.pack(tree)
        assert vector.shape == (packing.size,)
        jax.tree.map(np.testing.assert_array_equal, packing.unpack(vector), tree)


def test_a_leading_axis_stays_leading(model: Model) -> None:
    params_packing, _ = packings(model)
    vector = np.arange(2 * params_packing.size, dtype=np.float32).reshape(2, -1)
    both = params_packing.unpack(vector)
    jax.tree.map(
        np.testing.assert_array_equal, jax.tree.map(lambda leaf: leaf[1], both), params_packing.unpack(vector[1])
    )


def test_a_net_without_statistics_packs_to_nothing() -> None:
    bare = build(ModelConfig(name="mlp", depth=4, width=8, norm="none"), (8, 8, 1), 10)
    _, batch_stats = bare.init(jax.random.key(0))
    assert packings(bare)[1].pack(batch_stats).shape == (0,)


def test_initial_values_are_the_models_own_and_do_not_depend_on_the_other_seeds(model: Model) -> None:
    tx = optimizer(OptimizerConfig())
    states, _ = create(model, tx, range(3, 6))
    params, _ = model.init(seed_keys(4).init)
    np.testing.assert_allclose(states.params[1], packings(model)[0].pack(params), rtol=1e-6)


def test_arrays_are_named_by_their_layer(model: Model) -> None:
    arrays = to_arrays(model, create(model, optimizer(OptimizerConfig(name="adam")), range(2))[0])
    assert arrays["params/head/dense/kernel"].shape == (2, 8, 10)
    assert arrays["batch_stats/segments/1/units/branch/0/layers/0/post/norm/var"].shape == (2, 2, 8)
    moments = [name for name in arrays if name.startswith("opt_state") and name.endswith("head/dense/kernel")]
    assert len(moments) == 2, "Adam keeps two moments of every parameter"


def test_the_digest_sees_names_types_shapes_and_bits() -> None:
    array = np.arange(4, dtype=np.float32)
    same = digest({"a": array, "b": array})
    assert same == digest({"b": array.copy(), "a": array})
    flipped = array.copy()
    flipped.view(np.uint32)[2] ^= 1
    others = [{"a": array, "b": flipped}, {"a": array, "c": array}, {"a": array, "b": array.astype(np.float64)}]
    assert same not in [digest(other) for other in [*others, {"a": array, "b": array.reshape(2, 2)}]]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        # Two updates with the gradient 1 on w = 2, weight decay 0.1: g = 1 + 0.2.
        (OptimizerConfig(momentum=0.5, weight_decay=0.1), [1.2, 1.8]),
        (OptimizerConfig(momentum=0.5, weight_decay=0.1, nesterov=True), [1.8, 2.1]),
        (OptimizerConfig(name="adam", weight_decay=0.1), [1.0, 1.0]),
    ],
)
def test_the_update_rules(config: OptimizerConfig, expected: list[float]) -> None:
    tx, weights = optimizer(config), np.array([2.0], np.float32)
    state = tx.init(weights)
    for value in expected:
        update, state = tx.update(np.ones(1, np.float32), state, weights)
        np.testing.assert_allclose(update, [value], rtol=1e-4)
