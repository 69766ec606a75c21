import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import build
from resjax.probes.gradients import norm, per_layer, rms


@pytest.mark.parametrize("size", [1e25, 1.0, 1e-30])
def test_norm_of_large_and_small_entries(size: float) -> None:
    """Their squares are not float32 numbers."""
    tree = {"a": jnp.full((3, 4), size), "b": [jnp.full(4, -size)]}
    assert float(norm(tree)) == pytest.approx(4 * size, rel=1e-6)
    assert float(rms(tree["a"])) == pytest.approx(size, rel=1e-6)


def test_norm_against_numpy() -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 50, 3)).astype(np.float32)
    assert float(norm([x, y])) == pytest.approx(np.linalg.norm([x, y]), rel=1e-6)
    assert float(rms(jnp.asarray(x))) == pytest.approx(np.sqrt(np.mean(x**2)), rel=1e-6)


def test_norm_of_zeros() -> None:
    assert float(norm([jnp.zeros(3), jnp.zeros((2, 2))])) == 0
    assert float(rms(jnp.zeros(3))) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_norm_of_what_is_not_finite_is_not_finite(bad: float) -> None:
    for tree in ([jnp.array([1.0, bad])], [jnp.ones(3), jnp.array([[bad]]), jnp.zeros(2)]):
        assert not np.isfinite(norm(tree))
        assert not np.isfinite(jax.jit(norm)(tree))


@pytest.mark.parametrize("shortcut", ["identity", "projection_c"])
def test_per_layer_against_a_loop_over_layers(shortcut: str) -> None:
    model = build(ModelConfig(depth=14, width=4, shortcut=shortcut), (8, 8, 3), 10)
    random = np.random.default_rng(0)
    shapes = model.shapes[0]
    one, other = (
        jax.tree.map(lambda leaf: jnp.asarray(random.standard_normal(leaf.shape), leaf.dtype), shapes) for _ in range(2)
    )
    expected = []
    for info in model.weight_layers:
        ours = []
        for tree in (one, other):
            for key in info.path:
                tree = tree[key]
            ours.append(tree if info.index is None else tree[info.index])
        expected.append(np.linalg.norm(ours[0]) / np.linalg.norm(ours[1]))
    found = per_layer(lambda u, w: norm(u) / norm(w), model.weight_layers, one, other)
    assert len(set(expected)) == len(model.weight_layers)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
