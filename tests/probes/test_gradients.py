import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import build
from resjax.probes.gradients import cosine, cosine_before, norm, per_layer, rms


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


@pytest.mark.parametrize("size", [1e25, 1.0, 1e-25])
def test_cosine(size: float) -> None:
    one, other = jnp.array([[3.0, 4.0], [0.0, 0.0]]), jnp.array([[4.0, 3.0], [0.0, 12.0]])
    assert float(cosine(size * one, size * one)) == pytest.approx(1, rel=1e-6)
    assert float(cosine(size * one, -one)) == pytest.approx(-1, rel=1e-6)
    assert float(cosine(size * one, one[::-1])) == 0
    assert float(cosine(size * one, other)) == pytest.approx(24 / (5 * 13), rel=1e-6)


def test_zero_has_no_direction() -> None:
    for one, other in ((jnp.zeros(3), jnp.ones(3)), (jnp.ones(3), jnp.zeros(3)), (jnp.zeros(3), jnp.zeros(3))):
        assert np.isnan(cosine(one, other))


def test_the_cosine_is_with_the_same_layer_of_the_equal_unit_before() -> None:
    """Every array points at its own angle: of two layers the cosine is that of the difference.

    Of a net of depth 20, units 2 and 3 of each stage are equal, and in the first stage 1 as well.
    """
    model = build(ModelConfig(depth=20, width=4), (8, 8, 3), 10)
    angles = {info.name: float(number**2) for number, info in enumerate(model.weight_layers)}
    tree = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), model.shapes[0])
    for info in model.weight_layers:
        leaf = tree
        for key in info.path:
            leaf = leaf[key]
        own = leaf[... if info.index is None else info.index].reshape(-1)
        own[:2] = np.cos(angles[info.name]), np.sin(angles[info.name])
    found = cosine_before(model.weight_layers, jax.tree.map(jnp.asarray, tree))
    twins = {"stage1.unit2": "stage1.unit1", **{f"stage{stage}.unit3": f"stage{stage}.unit2" for stage in (1, 2, 3)}}
    expected = dict.fromkeys(angles, np.nan)
    for twin, first in twins.items():
        for conv in ("conv1", "conv2"):
            expected[f"{twin}.{conv}"] = np.cos(angles[f"{twin}.{conv}"] - angles[f"{first}.{conv}"])
    np.testing.assert_allclose(found, list(expected.values()), atol=1e-6)
