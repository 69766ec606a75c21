from functools import cache, partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.errors import InputError
from resjax.models import Mode, Model, build
from resjax.models.counts import activation_bytes
from resjax.models.types import EVALUATE
from resjax.shortcuts import SHORTCUTS

Tree = dict
GHOST = Mode(train=True, group=4)
NOISY = Mode(train=True, group=4, key=jax.random.key(7), places=jnp.arange(8))
JOINS = [name for name, row in SHORTCUTS.items() if not row.widens]
WITHOUT_WEIGHTS = [name for name in JOINS if not SHORTCUTS[name].needs]
WITH_WEIGHTS = [name for name in JOINS if SHORTCUTS[name].needs]
# Small members of the families that have a shortcut to treat, and the images they take.
TREATED: dict[str, tuple[dict[str, object], tuple[int, int, int]]] = {
    "resnet": ({"depth": 8, "width": 4}, (8, 8, 3)),
    "preact": ({"depth": 8, "width": 4, "order": "full_preactivation"}, (8, 8, 3)),
    "mlp": ({"name": "mlp", "depth": 9, "width": 8}, (8, 8, 3)),
    "article": ({"name": "article", "depth": 7, "width": 4, "dropout": 0.5}, (8, 8, 3)),
    "vgg": ({"name": "vgg", "depth": 11, "width": 4}, (32, 32, 3)),
}
# Equal units of each family as one segment, the others by themselves. Written down by hand.
SEGMENTS: dict[str, tuple[dict[str, object], list[int]]] = {
    "resnet 20": ({"depth": 20}, [1, 3, 1, 2, 1, 2]),
    "plain 20": ({"depth": 20, "shortcut": "none"}, [1, 3, 1, 2, 1, 2]),
    "projections in 20": ({"depth": 20, "shortcut": "projection_c"}, [1, 3, 1, 2, 1, 2]),
    # A bottleneck's first unit widens; under pre-activation the first unit's shortcut starts behind norm and relu.
    "bottleneck 29": ({"depth": 29, "branch": "bottleneck"}, [1, 1, 2, 1, 2, 1, 2]),
    "preact 20": ({"depth": 20, "order": "full_preactivation"}, [1, 1, 2, 1, 2, 1, 2]),
    # The first unit of an ImageNet net pools.
    "imagenet 34": ({"depth": 34, "layout": "imagenet", "stem": "7x7"}, [1, 1, 2, 1, 3, 1, 5, 1, 2]),
    "imagenet 50": ({"depth": 50, "layout": "imagenet", "stem": "7x7"}, [1, 1, 2, 1, 3, 1, 5, 1, 2]),
    "mlp 9": ({"name": "mlp", "depth": 9}, [1, 7]),
    "vgg 11": ({"name": "vgg", "depth": 11, "shortcut": "none"}, [1] * 8),
    # The first of a stage pools.
    "vgg 19": ({"name": "vgg", "depth": 19, "shortcut": "none"}, [1, 1, 1, 1, 1, 3, 1, 3, 1, 3]),
    "vgg c": ({"name": "vgg", "depth": 16, "vgg_c": True}, [1] * 13),
    "article 39": ({"name": "article", "depth": 39, "dropout": 0.5}, [1, 1, 17]),
    # Every unit of these is wider than the one before.
    "densenet 13": ({"name": "densenet", "depth": 13, "shortcut": "concat"}, [1] * (1 + 3 * 3 + 2)),
    "googlenet": ({"name": "googlenet", "depth": 22, "width": 8, "shortcut": "none"}, [1] * (2 + 9)),
}


def assert_close(one: object, other: object, tolerance: float) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), one, other)


def twins(**settings: object) -> list[Model]:
    return [build(ModelConfig(shortcut=name, **settings), (8, 8, 3), 10) for name in ("none", "identity")]


@cache
def arms(family: str) -> dict[str, tuple[Tree, Tree]]:
    """Initial values under each shortcut; in resnet under every one."""
    settings, shape = TREATED[family]
    names = [*WITHOUT_WEIGHTS, *(WITH_WEIGHTS if family == "resnet" else ("projection_c", "highway", "rezero"))]
    models = {name: build(ModelConfig(shortcut=name, **settings), shape, 10) for name in names}
    return {name: model.init(jax.random.key(0)) for name, model in models.items()}


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


@pytest.mark.parametrize("family", TREATED)
def test_arms_without_weights_of_their_own_start_equal(family: str) -> None:
    assert set(WITHOUT_WEIGHTS) >= {"none", "identity", "scaled", "dropout", "stochastic_depth"}
    plain = arms(family)["none"]
    assert all(jnp.any(leaf != 0) for path, leaf in leaves(plain[0]).items() if "kernel" in path)
    for name in WITHOUT_WEIGHTS:
        assert jax.tree.structure(plain) == jax.tree.structure(arms(family)[name])
        jax.tree.map(np.testing.assert_array_equal, plain, arms(family)[name])


@pytest.mark.parametrize("family", TREATED)
def test_a_shortcuts_weights_leave_the_branches_as_they_are(family: str) -> None:
    plain = leaves(arms(family)["none"][0])
    weighted = {name: leaves(params) for name, (params, _) in arms(family).items() if name in WITH_WEIGHTS}
    assert len(weighted) >= 3
    for treated in weighted.values():
        assert plain.keys() == {path for path in treated if "shortcut" not in path} < treated.keys()
        for path, leaf in plain.items():
            np.testing.assert_array_equal(treated[path], leaf)


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


UNROLLED: dict[str, tuple[dict[str, object], tuple[int, int, int]]] = {
    "resnet": ({"depth": 20, "width": 4}, (8, 8, 1)),
    "plain mlp": ({"name": "mlp", "depth": 9, "width": 8, "shortcut": "none"}, (8, 8, 1)),
    "preact": (
        {
            "depth": 11,
            "width": 4,
            "branch": "single",
            "order": "full_preactivation",
            "shortcut": "stochastic_depth",
        },
        (8, 8, 1),
    ),
    "vgg": ({"name": "vgg", "depth": 16, "width": 2, "shortcut": "identity"}, (32, 32, 1)),
    "article": ({"name": "article", "depth": 9, "width": 4, "dropout": 0.5}, (8, 8, 1)),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "name",
    [name if name in ("resnet", "plain mlp") else pytest.param(name, marks=pytest.mark.slow) for name in UNROLLED],
)
def test_scanned_equals_unrolled(name: str) -> None:
    """Logits, running statistics, and the gradients of parameters and images, which chaos has not yet parted."""
    settings, shape = UNROLLED[name]
    random = np.random.default_rng(0)
    x, weight = random.standard_normal((8, *shape)), random.standard_normal((8, 10))
    scanned, unrolled = (
        build(ModelConfig(unroll=unroll, **settings), shape, 10, jnp.float64) for unroll in (False, True)
    )
    assert max(run.count for run in scanned.runs) > 1
    params, batch_stats = jax.jit(scanned.init)(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + 0.1 * random.standard_normal(leaf.shape), params)

    def run(model: Model, params: Tree, x: jax.Array) -> tuple[jax.Array, object]:
        out = model.apply(params, batch_stats, x, NOISY)
        return jnp.sum(out.logits * weight), (out.logits, out.batch_stats)

    one, other = (
        jax.jit(jax.value_and_grad(partial(run, model), argnums=(0, 1), has_aux=True))(params, x)
        for model in (scanned, unrolled)
    )
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert_close(one, other, 1e-9)
    assert np.mean(np.abs(other[1][1]) > 0) > (0.9 if name == "vgg" else 0.999)  # what is not the largest is not seen
    moved = jax.tree.map(lambda before, after: bool(jnp.all(before != after)), batch_stats, other[0][1][1])
    assert all(jax.tree.leaves(moved))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("unroll", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_is_computed_again_is_the_same(unroll: bool) -> None:
    """model.remat: value, gradients and running statistics, noise included, and less to keep."""
    settings = {"depth": 14, "width": 4, "shortcut": "dropout", "unroll": unroll}
    random = np.random.default_rng(0)
    x, weight = jnp.asarray(random.standard_normal((8, 8, 8, 1))), random.standard_normal((8, 10))
    kept, again = (build(ModelConfig(remat=remat, **settings), (8, 8, 1), 10, jnp.float64) for remat in (False, True))
    params, batch_stats = jax.jit(kept.init)(jax.random.key(0))

    def run(model: Model, params: Tree) -> tuple[jax.Array, object]:
        out = model.apply(params, batch_stats, x, NOISY)
        return jnp.sum(out.logits * weight), out.batch_stats

    one, other = (jax.jit(jax.value_and_grad(partial(run, model), has_aux=True))(params) for model in (kept, again))
    assert_close(one, other, 1e-9)
    assert activation_bytes(again, 8) < 0.5 * activation_bytes(kept, 8)


@pytest.mark.parametrize("name", SEGMENTS)
def test_equal_units_are_one_segment(name: str) -> None:
    settings, counts = SEGMENTS[name]
    model = build(ModelConfig(**settings), (32, 32, 3), 10)
    assert [run.count for run in model.runs] == counts
    segments = model.shapes[0]["segments"]
    leading = [{leaf.shape[0] for leaf in jax.tree.leaves(segments[number])} for number in range(len(counts))]
    assert leading == [{count} for count in counts]
    assert sum(counts) == len(model.units)
    for run in model.runs:
        assert run.count == 1 or (run.plan.stride == 1 and run.plan.before == run.plan.after and not run.plan.pool)
    assert all(one.plan != other.plan for one, other in pairwise(model.runs))


@pytest.mark.parametrize(
    "settings", [{"name": "vgg", "depth": 11, "width": 1}, {"name": "article", "depth": 7, "width": 2}]
)
def test_a_width_below_the_images_channels_is_refused_where_x_is_padded(settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"Type: model.width=3, or model.shortcut=projection_b"):
        build(ModelConfig(**settings), (32, 32, 3), 10)
    for mended in ({"width": 3}, {"shortcut": "projection_b"}, {"shortcut": "none"}):
        model = build(ModelConfig(**(settings | mended)), (32, 32, 3), 10)
        x = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
        assert jax.eval_shape(lambda *of: model.apply(*of, EVALUATE).logits, *model.shapes, x).shape == (2, 10)  # noqa: B023


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
    params, batch_stats = model.shapes
    x = jax.ShapeDtypeStruct((6, *shape), jnp.float32)
    logits = jax.eval_shape(partial(model.apply, mode=Mode(train=True, group=2)), params, batch_stats, x).logits
    assert logits.shape == (6, classes)
    expected = [(1, 6, height, width, 4), (2, 6, height, width, 4)]
    for stride, channels in ((2, 8), (4, 16)):
        expected += 2 * [(1, 6, -(-height // stride), -(-width // stride), channels)]
    assert [segment.shape for segment in model.hidden_shapes(6)] == expected


def test_odd_images_run() -> None:
    model = build(ModelConfig(depth=8, width=4), (9, 11, 3), 7)
    params, batch_stats = jax.jit(model.init)(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (4, 9, 11, 3))
    logits = jax.jit(partial(model.apply, mode=GHOST))(params, batch_stats, x).logits
    assert jnp.all(jnp.isfinite(logits))
    assert jnp.std(logits) > 0


@pytest.mark.parametrize(
    "settings",
    [{"width": 4}, {"width": 4, "order": "full_preactivation"}, {"name": "mlp", "width": 8}],
    ids=["resnet", "preact", "mlp"],
)
def test_depth_does_not_change_the_size_of_the_program(settings: dict[str, object]) -> None:
    """Units are scanned: the traced program of depth 1202 has as many equations as that of depth 20."""

    def equations(depth: int, **more: object) -> int:
        model = build(ModelConfig(depth=depth, **settings, **more), (8, 8, 1), 10)
        x = jax.ShapeDtypeStruct((4, 8, 8, 1), jnp.float32)
        return str(jax.make_jaxpr(partial(model.apply, mode=GHOST))(*model.shapes, x)).count(" = ")

    assert equations(1202) == equations(20) < equations(20, unroll=True)


@pytest.mark.parametrize("name", ["resnet 20", "mlp 9", "article 39", "densenet 13", "googlenet"])
def test_the_shapes_told_are_those_of_the_initial_values(name: str) -> None:
    model = build(ModelConfig(**SEGMENTS[name][0]), (32, 32, 3), 10)
    values = jax.eval_shape(model.init, jax.random.key(0))
    assert jax.tree.structure(model.shapes) == jax.tree.structure(values)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), model.shapes, values))
