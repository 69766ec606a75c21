from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import Mode, Model, build
from resjax.models.units import EVALUATE

Tree = dict
GHOST = Mode(train=True, group=4)


def assert_close(one: object, other: object, tolerance: float) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), one, other)


def twins(**settings: object) -> list[Model]:
    return [build(ModelConfig(shortcut=name, **settings), (8, 8, 3), 10) for name in ("none", "identity")]


def leaves(params: Tree) -> dict[str, jax.Array]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}


def started(models: list[Model], key: jax.Array) -> list[tuple[Tree, Tree]]:
    """Initial values of each, in one program: what is alike is compiled once."""
    return jax.jit(lambda key: [model.init(key) for model in models])(key)


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_plain_and_residual_arms_start_equal(depth: int) -> None:
    plain, residual = started(twins(depth=depth), jax.random.key(depth))
    assert jax.tree.structure(plain) == jax.tree.structure(residual)
    jax.tree.map(np.testing.assert_array_equal, plain, residual)


def test_plain_and_residual_mlps_start_equal() -> None:
    plain, residual = started(twins(name="mlp", depth=9, width=8), jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, plain, residual)


def test_a_projection_leaves_the_branches_as_they_are() -> None:
    models = [build(ModelConfig(depth=8, width=4, shortcut=name), (8, 8, 3), 10) for name in ("none", "projection_c")]
    plain, projected = (leaves(params) for params, _ in started(models, jax.random.key(0)))
    assert plain.keys() == {path for path in projected if "shortcut" not in path} < projected.keys()
    for path, leaf in plain.items():
        np.testing.assert_array_equal(projected[path], leaf)


def test_no_two_kernels_and_no_two_seeds_are_alike() -> None:
    model = twins(depth=20, width=4)[1]
    init = jax.jit(model.init)
    drawn = [
        np.asarray(leaf).reshape(-1, *leaf.shape[-2:])
        for seed in (0, 1)
        for path, leaf in jax.tree.leaves_with_path(init(jax.random.key(seed))[0])
        if path[-1].key == "kernel"
    ]
    starts = np.concatenate([leaf[:, 0, 0] * np.sqrt(leaf.shape[-2]) for leaf in drawn])
    assert len(np.unique(starts)) == len(starts)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "settings",
    [{"depth": 20, "width": 4}, {"name": "mlp", "depth": 9, "width": 8, "shortcut": "none"}],
    ids=["resnet", "plain mlp"],
)
def test_scanned_equals_unrolled(settings: dict[str, object]) -> None:
    """Logits, running statistics, and the gradients of parameters and images, which chaos has not yet parted."""
    random = np.random.default_rng(0)
    x, weight = random.standard_normal((8, 8, 8, 1)), random.standard_normal((8, 10))
    scanned, unrolled = (
        build(ModelConfig(unroll=unroll, **settings), (8, 8, 1), 10, jnp.float64) for unroll in (False, True)
    )
    params, batch_stats = jax.jit(scanned.init)(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + 0.1 * random.standard_normal(leaf.shape), params)

    def run(model: Model, params: Tree, x: jax.Array) -> tuple[jax.Array, object]:
        logits, stats, _ = model.apply(params, batch_stats, x, GHOST)
        return jnp.sum(logits * weight), (logits, stats)

    one, other = (
        jax.jit(jax.value_and_grad(partial(run, model), argnums=(0, 1), has_aux=True))(params, x)
        for model in (scanned, unrolled)
    )
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert_close(one, other, 1e-9)
    assert np.all(np.abs(other[1][1]) > 0)
    moved = jax.tree.map(lambda before, after: bool(jnp.all(before != after)), batch_stats, other[0][1][1])
    assert all(jax.tree.leaves(moved))


@pytest.mark.usefixtures("float64")
def test_evaluation_leaves_the_running_statistics() -> None:
    model = build(ModelConfig(depth=8, width=4), (8, 8, 1), 10, jnp.float64)
    params, batch_stats = jax.jit(model.init)(jax.random.key(0))
    evaluate = jax.jit(lambda stats, x: model.apply(params, stats, x, EVALUATE)[:2])
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 8, 8, 1)))
    logits, after = evaluate(batch_stats, x)
    jax.tree.map(np.testing.assert_array_equal, after, batch_stats)
    alone = jnp.concatenate([evaluate(batch_stats, x[:1])[0], evaluate(batch_stats, x[1:])[0]])
    np.testing.assert_allclose(alone, logits, rtol=1e-12)  # no image sees another


@pytest.mark.parametrize(
    ("shape", "classes", "shortcut"),
    [
        ((8, 8, 1), 2, "identity"),
        ((9, 11, 3), 100, "identity"),
        ((13, 8, 1), 7, "projection_b"),
        ((32, 32, 3), 10, "none"),
    ],
)
def test_any_image_and_any_number_of_classes(shape: tuple[int, int, int], classes: int, shortcut: str) -> None:
    height, width, _ = shape
    model = build(ModelConfig(depth=14, width=4, shortcut=shortcut), shape, classes)
    params, batch_stats = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((6, *shape), jnp.float32)
    logits = jax.eval_shape(partial(model.apply, mode=Mode(train=True, group=2)), params, batch_stats, x)[0]
    assert logits.shape == (6, classes)
    expected = [(1, 6, height, width, 4), (2, 6, height, width, 4)]
    for stride, channels in ((2, 8), (4, 16)):
        expected += 2 * [(1, 6, -(-height // stride), -(-width // stride), channels)]
    assert [segment.shape for segment in model.hidden_shapes(6)] == expected


def test_odd_images_run() -> None:
    model = build(ModelConfig(depth=8, width=4), (9, 11, 3), 7)
    params, batch_stats = jax.jit(model.init)(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (4, 9, 11, 3))
    logits = jax.jit(partial(model.apply, mode=GHOST))(params, batch_stats, x)[0]
    assert jnp.all(jnp.isfinite(logits))
    assert jnp.std(logits) > 0


def test_depth_does_not_change_the_size_of_the_program() -> None:
    """Units are scanned: the traced program of depth 1202 has as many equations as that of depth 20."""

    def equations(depth: int) -> int:
        model = build(ModelConfig(depth=depth, width=4), (8, 8, 1), 10)
        values = jax.eval_shape(model.init, jax.random.key(0))
        x = jax.ShapeDtypeStruct((4, 8, 8, 1), jnp.float32)
        return len(str(jax.make_jaxpr(partial(model.apply, mode=GHOST))(*values, x)).splitlines())

    assert equations(1202) == equations(20)
