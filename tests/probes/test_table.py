from typing import Any

import jax
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import Model, build
from resjax.probes.look import Looks
from resjax.probes.table import columns, first_bad_layer, train_columns

WEIGHTS, UNITS = ("grad_norm", "response_std"), ("act_rms", "response_std")


@pytest.fixture(scope="module")
def model() -> Model:
    return build(ModelConfig(depth=8, width=4), (8, 8, 1), 10)


def numbered(model: Model, seeds: int) -> Looks:
    """seed + layer / 100, negative for units: no two alike within a quantity."""

    def table(count: int, sign: int) -> np.ndarray:
        return sign * (np.arange(seeds)[:, None] + np.arange(1, count + 1)[None] / 100)

    weights = {name: table(len(model.weight_layers), 1) for name in WEIGHTS}
    return Looks(np.zeros(seeds), weights, {name: table(len(model.units), -1) for name in UNITS})


def test_a_row_a_seed_and_layer(model: Model) -> None:
    """Places 2 and 0 of three, which are seeds 7 and 5."""
    table = columns(model, numbered(model, 3), {7: 2, 5: 0})
    weights, units = len(model.weight_layers), len(model.units)
    assert {len(column) for column in table.values()} == {2 * (weights + units)}
    np.testing.assert_array_equal(table["seed"], [7] * (weights + units) + [5] * (weights + units))
    np.testing.assert_array_equal(table["layer"], 2 * [*range(weights), *range(units)])
    names = [info.name for info in (*model.weight_layers, *model.units)]
    assert list(table["name"]) == 2 * names
    depths = [*range(1, 9), 1, 3, 5, 7]  # the stem, three units of two layers each, the head; then the units
    np.testing.assert_array_equal(table["layer_depth"], 2 * depths)
    rows = list(zip(table["seed"], table["kind"], table["layer"], range(len(names) * 2), strict=True))
    for seed, kind, layer, row in rows:
        value = {7: 2, 5: 0}[seed] + (layer + 1) / 100
        is_unit = kind == "unit"
        expected = [np.nan if is_unit else value, -value if is_unit else np.nan, -value if is_unit else value]
        found = [table[name][row] for name in ("grad_norm", "act_rms", "response_std")]
        np.testing.assert_allclose(found, expected)


@pytest.fixture
def looks(model: Model) -> Looks:
    """Those of one seed, all finite."""
    return jax.tree.map(lambda leaf: np.array(leaf[0]), numbered(model, 1))


def test_nothing_is_bad(model: Model, looks: Looks) -> None:
    assert first_bad_layer(model, looks) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_first_bad_layer(model: Model, looks: Looks, bad: float) -> None:
    looks.weights["grad_norm"][[0, 2]] = bad  # going backward, the third weight layer comes before the first
    assert first_bad_layer(model, looks) == model.weight_layers[2].name
    assert first_bad_layer(model, looks._replace(loss=bad)) == "head"
    looks.units["act_rms"][2:] = bad
    assert first_bad_layer(model, looks._replace(loss=bad)) == model.units[2].name


def test_training_gradients_have_a_row_a_step_seed_and_weight_layer(model: Model) -> None:
    """Steps 10 and 12 of seed 5, and 12 of seed 7."""
    layers = len(model.weight_layers)
    norms, which = np.arange(3 * 2 * layers).reshape(3, 2, layers), np.array([[1, 0], [0, 0], [1, 1]])
    table = train_columns(model, 10, norms, which, [5, 7])
    np.testing.assert_array_equal(table["step"], np.repeat([10, 12, 12], layers))
    np.testing.assert_array_equal(table["seed"], np.repeat([5, 5, 7], layers))
    np.testing.assert_array_equal(table["layer"], 3 * [*range(layers)])
    np.testing.assert_array_equal(table["layer_depth"], 3 * [*range(1, 9)])
    np.testing.assert_array_equal(table["train_grad_norm"], np.concatenate([norms[0, 0], norms[2, 0], norms[2, 1]]))


# Weight layers on the longest way from the images.
SHAPES = {"vgg": (32, 32, 3), "googlenet": (32, 32, 3)}
DEPTHS: list[tuple[dict[str, Any], dict[str, int]]] = [
    (
        {"depth": 14, "shortcut": "projection_c"},
        {"stem": 1, "stem.conv": 1, "stage1.unit1": 3, "stage1.unit1.conv1": 2, "stage1.unit1.conv2": 3}
        | {"stage1.unit1.projection": 2, "stage1.unit2": 5, "stage2.unit1.projection": 6, "stage2.unit1.conv1": 6}
        | {"stage3.unit2.projection": 12, "stage3.unit2.conv2": 13, "stage3.unit2": 13, "head": 14},
    ),
    (
        {"depth": 11, "branch": "bottleneck", "shortcut": "projection_b"},
        {"stage1.unit1.conv1": 2, "stage1.unit1.conv3": 4, "stage1.unit1.projection": 2, "stage1.unit1": 4}
        | {"stage2.unit1.projection": 5, "stage3.unit1.conv3": 10, "head": 11},
    ),
    (
        {"depth": 8, "branch": "single", "shortcut": "highway"},
        {"stage1.unit1.conv": 2, "stage1.unit1.gate": 2, "stage1.unit1": 2, "stage3.unit2.gate": 7, "head": 8},
    ),
    ({"name": "mlp", "depth": 5}, {"stem.dense": 1, "stem": 1, "stage1.unit1.dense": 2, "stage1.unit3": 4, "head": 5}),
    (
        {"name": "vgg", "depth": 11},
        {"stage1.unit1.conv": 1, "stage1.unit1": 1, "stage2.unit1": 2, "stage5.unit2": 8, "head": 9},
    ),
    ({"name": "vgg", "depth": 11, "head": "fc"}, {"stage5.unit2": 8, "head.fc1": 9, "head.fc2": 10, "head": 11}),
    (
        {"name": "googlenet", "depth": 22, "shortcut": "none"},
        {"stem": 1, "conv2.reduce": 2, "conv2.conv": 3, "conv2": 3, "inception3a": 5}
        | {"inception3a.conv1x1": 4, "inception3a.reduce3x3": 4, "inception3a.conv3x3": 5}
        | {"inception3a.reduce5x5": 4, "inception3a.conv5x5": 5, "inception3a.conv_pool": 4}
        | {"inception4a": 9, "auxiliary1.conv": 10, "auxiliary1.fc": 11, "auxiliary1": 12, "inception4b.conv1x1": 10}
        | {"inception4d": 15, "auxiliary2.conv": 16, "auxiliary2": 18, "inception5b": 21, "head": 22},
    ),
    (
        {"name": "densenet", "depth": 10, "shortcut": "concat"},
        {"stem": 1, "stage1.unit1.conv": 2, "stage1.unit2": 3, "stage1.transition.conv": 4, "stage1.transition": 4}
        | {"stage2.unit1": 5, "stage3.unit2": 9, "head": 10},
    ),
    (
        {"name": "article", "depth": 9},
        {"stage1.unit1.conv1": 1, "stage1.unit1.conv2": 2, "stage1.unit1": 2, "stage2.unit3": 8, "head": 9},
    ),
]


@pytest.mark.parametrize(("settings", "expected"), DEPTHS)
def test_layer_depth(settings: dict[str, Any], expected: dict[str, int]) -> None:
    model = build(ModelConfig(width=8, **settings), SHAPES.get(settings.get("name", ""), (8, 8, 3)), 10)
    found = {info.name: info.layer_depth for info in (*model.weight_layers, *model.units)}
    assert {name: found[name] for name in expected} == expected
    assert max(found.values()) == expected["head"]
