import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from resjax.config import ModelConfig
from resjax.lab.directions import filter_normalised
from resjax.models import build
from resjax.models.types import EVALUATE


def by_name(tree: object) -> dict[str, np.ndarray]:
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(tree)}


@pytest.mark.parametrize(
    "settings", [{"depth": 14, "width": 2}, {"depth": 8, "width": 2, "init": "fixup"}, {"name": "mlp", "depth": 4}]
)
def test_every_filter_gets_the_norm_of_its_weights_and_nothing_else_moves(settings: dict[str, object]) -> None:
    model = build(ModelConfig(**settings), (8, 8, 1), 10)  # type: ignore[arg-type]
    params, _ = model.init(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + 0.5, params)
    direction = filter_normalised(jax.random.key(1), params, model.weight_layers)
    weights, moves = by_name(params), by_name(direction)
    assert weights.keys() == moves.keys()
    kernels = {name for name in weights if name.endswith("['kernel']")}
    assert kernels
    for name, weight in weights.items():
        if name not in kernels:
            assert not moves[name].any()
            continue
        # Filter by filter, and unit by unit where units are stacked.
        units = range(len(weight)) if "segments" in name else [...]
        for unit in units:
            for channel in range(weight.shape[-1]):
                filter_, move = (np.asarray(of[unit][..., channel], np.float64) for of in (weight, moves[name]))
                assert np.linalg.norm(move) == pytest.approx(np.linalg.norm(filter_), rel=1e-5)
                assert np.std(move / np.linalg.norm(move) - filter_ / np.linalg.norm(filter_)) > 1e-3  # not w itself


def test_equal_units_move_differently() -> None:
    model = build(ModelConfig(depth=14, width=2), (8, 8, 1), 10)
    params = jax.tree.map(jnp.ones_like, model.init(jax.random.key(0))[0])
    direction = filter_normalised(jax.random.key(1), params, model.weight_layers)
    for segment in direction["segments"].values():
        kernel = segment["units"]["branch"][0]["layers"][0]["weight"]["kernel"]
        flat = np.asarray(kernel).reshape(len(kernel), -1)
        assert len(np.unique(flat, axis=0)) == len(kernel)


def test_a_net_whose_layers_are_rescaled_has_the_same_slice(float64: None) -> None:
    """Of ReLU: with w1 c and w2 / c the function is the same, and so it is all along a filter-normalised direction."""
    model = build(ModelConfig(name="mlp", depth=3, shortcut="none", norm="none"), (8, 8, 1), 10, jnp.float64)
    params, stats = model.init(jax.random.key(0))
    layer = params["segments"][0]["units"]["branch"][0]["layers"][0]
    other = jax.tree.map(lambda leaf: leaf, params)
    other["segments"][0]["units"]["branch"][0]["layers"][0] = jax.tree.map(lambda leaf: 7.0 * leaf, layer)
    after = other["segments"][1]["units"]["branch"][0]["layers"][0]["weight"]
    after["kernel"] = after["kernel"] / 7.0
    x = jax.random.normal(jax.random.key(2), (4, 8, 8, 1), jnp.float64)

    def slice_of(params: object) -> np.ndarray:
        direction = filter_normalised(jax.random.key(3), params, model.weight_layers)
        moved = [jax.tree.map(lambda w, d, step=step: w + step * d, params, direction) for step in (0.0, 0.5, -1.0)]
        return np.stack([np.asarray(model.apply(one, stats, x, EVALUATE).logits) for one in moved])

    assert np.abs(ravel_pytree(params)[0] - ravel_pytree(other)[0]).max() > 0.1
    one, rescaled = slice_of(params), slice_of(other)
    np.testing.assert_allclose(rescaled, one, rtol=1e-10)
    assert np.abs(one[1] - one[0]).max() > 0.1
