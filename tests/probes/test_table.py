import jax
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import Model, build
from resjax.probes.look import Looks
from resjax.probes.table import columns, first_bad_layer

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
