from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from by_hand import drawn
from scipy import stats

from resjax.config import ModelConfig
from resjax.errors import InputError
from resjax.models import Mode, Model, build
from resjax.models.convolution import conv2d
from resjax.models.initializers import INITS, Role, delta_orthogonal, he, orthogonal

Tree = Any
MODE = Mode(train=True, group=8)
PLAIN = {"shortcut": "none", "norm": "none"}


def network(pixels: int = 8, dtype: Any = jnp.float64, **settings: Any) -> Model:
    return build(ModelConfig(**settings), (pixels, pixels, 3), 10, dtype)


def kernels(model: Model, params: Tree) -> dict[str, np.ndarray]:
    """Every weight layer's kernel by its name."""
    found = {}
    for info in model.weight_layers:
        kernel = params
        for part in info.path:
            kernel = kernel[part]
        found[info.name] = np.asarray(kernel if info.index is None else kernel[info.index])
    return found


def fan_in(kernel: np.ndarray) -> int:
    return int(np.prod(kernel.shape[:-1]))


def assert_normal(standard: np.ndarray, deviation: float = 1) -> None:
    assert standard.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * standard.size))
    assert stats.kstest(standard / deviation, "norm").pvalue > 0.001


# Laws by number.


@pytest.mark.parametrize(("shape", "inputs", "outputs"), [((3, 3, 16, 64), 144, 576), ((128, 100), 128, 100)])
@pytest.mark.parametrize(
    ("name", "variance"),
    [("he", lambda n, m: 2 / n), ("lecun", lambda n, m: 1 / n), ("glorot", lambda n, m: 2 / (n + m))],
)
def test_normal_laws(name: str, variance: Any, shape: tuple[int, ...], inputs: int, outputs: int) -> None:
    kernel = np.asarray(INITS[name](jax.random.key(1), shape, jnp.float32, Role()))
    assert kernel.shape == shape
    assert kernel.dtype == np.float32
    assert_normal(kernel.ravel() / np.sqrt(variance(inputs, outputs)))


@pytest.mark.usefixtures("float64")
def test_double_precision_is_drawn_in_double_precision() -> None:
    kernel = he(jax.random.key(0), (64, 64), jnp.float64, Role())
    assert kernel.dtype == jnp.float64
    assert jnp.any(kernel != kernel.astype(jnp.float32))


def test_the_gain_multiplies_every_kernel_and_nothing_else() -> None:
    settings = {"name": "mlp", "depth": 4, "width": 8, "shortcut": "projection_c"}
    one, half = (network(init_gain=gain, dtype=jnp.float32, **settings) for gain in (1.0, 0.5))
    values = [model.init(jax.random.key(0))[0] for model in (one, half)]
    for (path, leaf), other in zip(jax.tree.leaves_with_path(values[0]), jax.tree.leaves(values[1]), strict=True):
        np.testing.assert_array_equal(other, leaf * (0.5 if path[-1].key == "kernel" else 1))


# Isometries.


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (3, 3, 2, 5), (3, 3, 2, 30), (1, 1, 4, 4)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape: tuple[int, ...]) -> None:
    matrix = np.asarray(orthogonal(jax.random.key(0), shape, jnp.float64, Role())).reshape(-1, shape[-1])
    product = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_orthogonal_is_uniform() -> None:
    """Of a uniform matrix of O(4) the trace has mean 0 and variance 1; of the Q that LAPACK gives, not so."""
    keys = jax.random.split(jax.random.key(0), 2000)
    matrices = jax.jit(jax.vmap(lambda key: orthogonal(key, (4, 4), jnp.float32, Role())))(keys)
    traces = np.asarray(jnp.trace(matrices, axis1=1, axis2=2))
    assert abs(traces.mean()) < 4 / np.sqrt(2000)
    assert traces.var() == pytest.approx(1, abs=4 * np.sqrt(2 / 2000))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("before", "after"), [(5, 5), (3, 8)])
@pytest.mark.parametrize("stride", [1, 2])
def test_delta_orthogonal_keeps_the_norm_of_every_pixel(stride: int, before: int, after: int) -> None:
    kernel = delta_orthogonal(jax.random.key(0), (3, 3, before, after), jnp.float64, Role())
    x = drawn(2, 6, 7, before)
    expected = np.linalg.norm(x[:, ::stride, ::stride], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(conv2d(x, kernel, stride), axis=-1), expected, rtol=1e-12)
    assert np.count_nonzero(kernel) == before * after


def stem_and_last(model: Model, x: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """h of the stem and of the last unit at step 0."""

    @jax.jit
    def run(key: jax.Array) -> list[jax.Array]:
        seen = model.apply(*model.init(key), x, MODE, observe=lambda h, responses: h).seen
        return [seen[0][0], seen[-1][-1]]

    first, last = run(jax.random.key(0))
    return np.asarray(first), np.asarray(last)


@pytest.mark.parametrize("init", ["orthogonal", "delta_orthogonal"])
def test_a_linear_mlp_of_depth_50_keeps_the_norm(init: str) -> None:
    model = network(2, name="mlp", depth=50, width=32, activation="linear", init=init, dtype=jnp.float32, **PLAIN)
    x = drawn(8, 2, 2, 3).astype(jnp.float32)
    norms = [np.linalg.norm(h, axis=-1) for h in (x.reshape(8, 12), *stem_and_last(model, x))]
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-5)
    np.testing.assert_allclose(norms[2], norms[0], rtol=1e-4)


def test_a_linear_convolutional_net_of_depth_50_keeps_every_pixels_norm() -> None:
    """Of the pixels that two strides leave."""
    settings = {"depth": 50, "width": 4, "activation": "linear", "init": "delta_orthogonal"}
    model = network(dtype=jnp.float32, **settings, **PLAIN)
    x = drawn(8, 8, 8, 3).astype(jnp.float32)
    stem, last = (np.linalg.norm(h, axis=-1) for h in stem_and_last(model, x))
    np.testing.assert_allclose(stem, np.linalg.norm(x, axis=-1), rtol=1e-5)
    np.testing.assert_allclose(last, stem[:, ::4, ::4], rtol=1e-4)


# The second moment of a plain ReLU net without norm.

SEEDS = 5


def log_growths(model: Model, x: jax.Array) -> np.ndarray:
    """log of the mean of h^2 behind every unit over that before it, mean of the seeds; the stem's is not told."""

    @jax.jit
    def moments(key: jax.Array) -> jax.Array:
        seen = model.apply(*model.init(key), x, MODE, observe=lambda h, responses: jnp.mean(h**2)).seen
        return jnp.diff(jnp.log(jnp.concatenate(seen)))

    return np.mean([moments(jax.random.key(seed)) for seed in range(SEEDS)], axis=0)


@pytest.mark.parametrize(("init", "factor"), [("he", 1.0), ("lecun", 0.5)])
def test_the_second_moment_of_an_mlp_is_kept_or_halved_a_layer(init: str, factor: float) -> None:
    """The square norm of n channels varies by 5/n a layer, so its log has mean log(factor) - 5/2n."""
    width, layers = 128, 48
    model = network(name="mlp", depth=layers + 2, width=width, init=init, dtype=jnp.float32, **PLAIN)
    found = log_growths(model, drawn(8, 8, 8, 3).astype(jnp.float32))
    expected, error = np.log(factor) - 5 / (2 * width), np.sqrt(5 / width / SEEDS)
    assert found.shape == (layers,)
    assert found.mean() == pytest.approx(expected, abs=4 * error / np.sqrt(layers))  # 0.05
    np.testing.assert_allclose(found, expected, atol=4.5 * error)  # 0.4, where lecun differs from he by 0.7


def seen_through_padding(pixels: int, layers: int) -> np.ndarray:
    """log of the growth of the mean of h^2 at every layer of three equal stages of 3x3 means with zeros around."""
    q, means = np.ones((pixels, pixels)), [1.0]
    for layer in range(layers):
        size = len(q)
        wide = np.pad(q, 1)
        q = sum(wide[i : i + size, j : j + size] for i in range(3) for j in range(3)) / 9
        q = q[::2, ::2] if layer in (layers // 3, 2 * layers // 3) else q
        means.append(q.mean())
    return np.diff(np.log(means))


def test_the_second_moment_of_a_convolutional_net_is_kept_but_at_the_border() -> None:
    """He's law counts 9 inputs a channel; at the border fewer are there. Without that each layer keeps it."""
    width, layers = 32, 48
    model = network(16, depth=layers + 2, width=width, dtype=jnp.float32, **PLAIN)
    found = log_growths(model, drawn(8, 16, 16, 3).astype(jnp.float32))
    expected = seen_through_padding(16, layers).reshape(-1, 2).sum(1)  # two layers a unit
    variances = np.repeat(10 / width / 2.0 ** np.arange(3), layers // 6)  # of pixels that are all alike: the most
    for away, variance in ((found - expected, variances), (np.sum(found - expected), variances.sum())):
        assert np.all(-variance / 2 - 4.5 * np.sqrt(variance / SEEDS) < away)
        assert np.all(away < 4.5 * np.sqrt(variance / SEEDS))
    assert expected.sum() < np.log(0.5) * layers / 8  # the border is no small thing


# Looks linear.


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "settings",
    [
        {"depth": 8, "width": 4},
        {"name": "mlp", "depth": 7, "width": 8},
        {"name": "mlp", "depth": 7, "width": 8, "order": "full_preactivation"},
    ],
    ids=["resnet", "mlp", "mlp, preactivation"],
)
def test_looks_linear_is_linear_at_step_0_and_he_is_not(settings: dict[str, Any]) -> None:
    models = {init: network(init=init, **settings, **PLAIN) for init in ("looks_linear", "he")}
    x, y, a, b = drawn(3, 8, 8, 3), drawn(3, 8, 8, 3)[::-1], 0.7, -1.9
    logits = jax.jit(lambda params: models["he"].apply(params, {}, jnp.concatenate([a * x + b * y, x, y]), MODE).logits)
    for init, model in models.items():
        together, of_x, of_y = np.split(np.asarray(logits(model.init(jax.random.key(0))[0])), 3)
        away = np.abs(together - a * of_x - b * of_y).max() / np.abs(together).max()
        assert away < 1e-12 if init == "looks_linear" else away > 0.1
        assert np.abs(of_x).max() > 1e-3


@pytest.mark.usefixtures("float64")
def test_looks_linear_keeps_the_norm_of_an_mlp() -> None:
    """Each layer is orthogonal on u = relu(u) - relu(-u)."""
    model = network(name="mlp", depth=30, width=16, init="looks_linear", **PLAIN)
    first, last = (np.linalg.norm(h[:, :8] - h[:, 8:], axis=-1) for h in stem_and_last(model, drawn(8, 8, 8, 3)))
    np.testing.assert_allclose(last, first, rtol=1e-12)


def test_delta_orthogonal_is_refused_where_a_convolution_shrinks() -> None:
    """Images of three channels to a width of two. A row of pixels may shrink."""
    build_of = partial(network, dtype=jnp.float32, init="delta_orthogonal")
    with pytest.raises(InputError, match=r"3 inputs for 2 outputs[^T]*Type: model.init=orthogonal"):
        build_of(depth=8, width=2)
    build_of(depth=8, width=3)
    build_of(name="mlp", depth=4, width=8)


# Fixup.

FIXUP = {"init": "fixup", "norm": "none"}


@pytest.mark.parametrize(
    ("settings", "branches", "layers"),
    [
        ({"depth": 8}, 3, 2),
        ({"depth": 11, "branch": "bottleneck"}, 3, 3),
        ({"depth": 8, "shortcut": "projection_c"}, 3, 2),
        ({"depth": 8, "shortcut": "exclusive_gate"}, 3, 2),
    ],
    ids=["basic", "bottleneck", "projection_c", "exclusive_gate"],
)
def test_fixup_scales_the_branches_alone(settings: dict[str, Any], branches: int, layers: int) -> None:
    """L^(-1 / (2m - 2)) in a branch, its last layer and the head zero, He's law elsewhere (section 3.2, rules 1, 2)."""
    model = network(width=16, dtype=jnp.float32, **settings, **FIXUP)
    found = kernels(model, model.init(jax.random.key(0))[0])
    standard = {name: (kernel * np.sqrt(fan_in(kernel) / 2)).ravel() for name, kernel in found.items()}
    last = [name for name in found if name.endswith(f".conv{layers}")]
    assert len(last) == branches
    assert not any(found[name].any() for name in [*last, "head"])
    inner = [name for name in found if ".conv" in name and name not in last and not name.startswith("stem")]
    assert len(inner) == branches * (layers - 1)
    assert_normal(np.concatenate([standard[name] for name in inner]), branches ** (-1 / (2 * layers - 2)))
    assert_normal(standard["stem.conv"])
    shortcuts = [standard[name] for name in found if name not in (*last, *inner, "stem.conv", "head")]
    assert len(shortcuts) == (0 if "shortcut" not in settings else branches)
    if shortcuts:
        assert_normal(np.concatenate(shortcuts))


@pytest.mark.usefixtures("float64")
def test_fixups_branches_add_nothing_at_step_0() -> None:
    """The last h is the stem's, through option A twice."""
    first, last = stem_and_last(network(depth=14, width=4, **FIXUP), drawn(8, 8, 8, 3))
    np.testing.assert_array_equal(last, np.pad(first[:, ::4, ::4], [(0, 0), (0, 0), (0, 0), (0, 12)]))
    assert first.any()


def of_a_branch(path: Any) -> bool:
    return path[0].key == "segments" and path[1].key > 0 and path[-1].key == "kernel"


def sizes_of_the_first_update(depth: int) -> dict[str, float]:
    """The RMS change of the logits over the learning rate, from one SGD step at 1e-6 on the branches' kernels.

    Zhang et al. 2019 ask for a change of Theta(learning rate) at any depth. With Fixup's zero head no gradient reaches
    a branch in the first step, so that step would tell nothing of the branches: here the head is drawn instead. The
    scalars are left alone; they are as many as there are units and pull alike, which the paper's argument leaves out.
    """
    rate, model, random = 1e-6, network(depth=depth, width=8, **FIXUP), np.random.default_rng(0)
    init, x, labels, head = jax.jit(model.init), drawn(8, 8, 8, 3), jnp.arange(8), drawn(32, 10) / np.sqrt(32)

    @jax.jit
    def change(params: Tree) -> jax.Array:
        params = params | {"head": params["head"] | {"dense": params["head"]["dense"] | {"weight": {"kernel": head}}}}

        def logits(params: Tree) -> jax.Array:
            return model.apply(params, {}, x, MODE).logits

        def loss(params: Tree) -> tuple[jax.Array, jax.Array]:
            before = logits(params)
            return -jnp.mean(jax.nn.log_softmax(before)[labels, labels]), before

        def descend(path: Any, w: jax.Array, grad: jax.Array) -> jax.Array:
            return w - rate * grad if of_a_branch(path) else w

        grads, before = jax.grad(loss, has_aux=True)(params)
        change = logits(jax.tree.map_with_path(descend, params, grads)) - before
        return jnp.sqrt(jnp.mean(change**2)) / rate

    def variants(seed: int) -> dict[str, float]:
        fixup, whole = init(jax.random.key(seed))[0], np.sqrt((depth - 2) // 2)

        def he_drawn(path: Any, w: jax.Array) -> Any:
            return random.standard_normal(w.shape) * np.sqrt(2 / fan_in(w[0])) if of_a_branch(path) else w

        unscaled = jax.tree.map_with_path(lambda path, w: w * whole if of_a_branch(path) else w, fixup)
        as_he = jax.tree.map_with_path(he_drawn, fixup)
        return {"fixup": float(change(fixup)), "unscaled": float(change(unscaled)), "he": float(change(as_he))}

    seeds = [variants(seed) for seed in range(3)]
    return {name: float(stats.gmean([seed[name] for seed in seeds])) for name in seeds[0]}


@pytest.mark.usefixtures("float64")
def test_fixups_first_update_is_as_large_at_any_depth() -> None:
    """Within a factor of 2 from depth 8 to 56, which has 9 times the branches; without Fixup's factor it grows so."""
    shallow, deep = sizes_of_the_first_update(8), sizes_of_the_first_update(56)
    growth = {name: deep[name] / shallow[name] for name in shallow}
    assert 1 / 2 < growth["fixup"] < 2
    assert 9 / 2 < growth["unscaled"] < 9 * 2
    assert growth["he"] > 1e4
