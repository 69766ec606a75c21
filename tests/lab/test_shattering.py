"""Against closed forms: noise, Brownian motion, nets whose gradient is constant, and wide nets' arc-cosine kernel."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from subjects import EVERY, FAMILIES, untrained

from resjax.lab.instrument import Columns
from resjax.lab.shattering import LINE, PAIR, Shattering, autocorrelation, direction, hidden_grads, work
from resjax.lab.subject import END, START, Subject, Values
from resjax.models.types import EVALUATE

POINTS, COORDINATES = 16, 200_000
LINEAR = {"name": "mlp", "depth": 4, "width": 16, "norm": "none", "activation": "linear", "shortcut": "none"}


def products(g: np.ndarray) -> np.ndarray:
    return g @ g.T / g.shape[1]


def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((POINTS, COORDINATES), np.float32)


def measured(subject: Subject, kind: str, moment: str = START, **settings: Any) -> Columns:
    """The first piece of a kind at a moment."""
    asked = Shattering(**{"lines": 1, "points": 8, "examples": 10, "batch_size": 8, **settings})
    pieces = list(work(subject, asked, jax.random.key(0)))
    return next(piece for piece in pieces if moment in piece.name and kind in piece.name).measure()


@pytest.mark.parametrize("lag", [1, 2, 7, POINTS - 1])
def test_white_noise(lag: int) -> None:
    """E <g_t - m, g_t+s - m> = -d/T for s > 0, of which there are T - s, and E sum |g_t - m|^2 = d (T - 1)."""
    expected = -(POINTS - lag) / (POINTS * (POINTS - 1))
    assert autocorrelation(products(noise()), lag) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("lag", [1, 2, 7, POINTS - 1])
def test_brownian_motion(lag: int) -> None:
    """E <g_t, g_u> / d = min(t, u), whose means over u and over both are sums of whole numbers."""
    t = np.arange(1, POINTS + 1.0)
    of_one = (t * (t + 1) / 2 + t * (POINTS - t)) / POINTS
    of_both = (POINTS + 1) * (2 * POINTS + 1) / (6 * POINTS)
    late = t[lag:]
    pairs = t[: POINTS - lag] - of_one[: POINTS - lag] - (late * (late + 1) / 2 + late * (POINTS - late)) / POINTS
    expected = (pairs + of_both).sum() / (t - 2 * of_one + of_both).sum()
    assert autocorrelation(products(noise().cumsum(0)), lag) == pytest.approx(expected, abs=0.01)


def test_at_lag_zero_it_is_one_and_a_constant_has_none() -> None:
    assert autocorrelation(products(noise()), 0) == pytest.approx(1)
    assert np.isnan(autocorrelation(np.ones((4, 4)), 1, 1e-7))


def test_a_linear_net_s_gradient_is_constant() -> None:
    """It does not vary, so it has no autocorrelation; every two are alike."""
    found = measured(untrained(model=LINEAR), LINE)
    assert np.isnan(found["autocorrelation"]).all()
    np.testing.assert_allclose(found["cosine"], 1, atol=1e-5)


def test_rows_of_every_depth() -> None:
    """The image first; ResNet-8's units have two weight layers each, the stem and the classifier one."""
    found = measured(untrained(model={"depth": 8}), LINE, lags=2)
    assert list(found["unit"][::3]) == [None, 0, 1, 2, 3]
    assert list(found["layers_behind"][::3]) == [8, 7, 5, 3, 1]
    assert list(found["units_behind"][::3]) == [4, 3, 2, 1, 0]
    assert list(found["lag"][:3]) == [1, 2, 7]
    last = np.array([unit == 3 for unit in found["unit"]])
    assert np.isnan(found["autocorrelation"][last]).all()  # f is linear in the last output
    assert np.isfinite(found["autocorrelation"][~last]).all()


@pytest.mark.usefixtures("float64")
def test_gradients_against_small_changes() -> None:
    """Of f = v . logits in the images, at points where it has a derivative."""
    subject = untrained(model={"depth": 8, "activation": "tanh"}, train={"precision": "float64"})
    model, values = subject.model, subject.values(0, START)
    images = next(subject.batches("train", 4, 4)).images
    v = direction(jax.random.key(1), model)
    assert float(v.sum()) == pytest.approx(0, abs=1e-12)
    assert float(v @ v) == pytest.approx(1)
    found = jax.jit(lambda x: hidden_grads(model, values, x, v))(images)[0][0]
    change = jax.random.normal(jax.random.key(2), images.shape)
    f = jax.jit(lambda step: model.apply(*values, images + step * change, EVALUATE).logits @ v)
    np.testing.assert_allclose((found * change).sum((1, 2, 3)), (f(1e-5) - f(-1e-5)) / 2e-5, rtol=1e-6, atol=1e-9)


def test_ends_of_a_wide_relu_net_against_its_kernel() -> None:
    """Cosines of df/dh at two inputs: the product over the layers behind of 1 - angle / pi, the share of active units
    that are common, where the angle's cosine goes from layer to layer by the kernel of degree 1 (Cho and Saul 2009).
    """
    depth, width, nets = 5, 512, 60
    wide = {"name": "mlp", "depth": depth, "width": width, "norm": "none", "shortcut": "none"}
    model = untrained(model=wide).model
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 1)).astype(np.float32)
    cosine = float(x[0].ravel() @ x[1].ravel() / (np.linalg.norm(x[0]) * np.linalg.norm(x[1])))
    shares = []
    for _ in range(depth - 1):
        angle = np.arccos(cosine)
        shares.append(1 - angle / np.pi)
        cosine = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
    expected = np.cumprod(shares[::-1])[::-1]  # in the images, in the stem's output, ...

    @jax.jit
    def cosines(key: jax.Array) -> jax.Array:
        grads = hidden_grads(model, Values(*model.init(key)), jnp.asarray(x), direction(key, model))
        flat = [rows[number].reshape(2, -1) for rows in grads for number in range(len(rows))]
        return jnp.stack([g[0] @ g[1] / (jnp.linalg.norm(g[0]) * jnp.linalg.norm(g[1])) for g in flat[: depth - 1]])

    found = np.array([cosines(jax.random.key(number)) for number in range(nets)])
    np.testing.assert_allclose(found.mean(0), expected, atol=0.05)  # of the images' 0.13 / sqrt(60) is the deviation
    assert expected[0] < 0.15


def test_shortcuts_keep_gradients_alike() -> None:
    """Of neighbours on a line, at the start: a deep plain net's less than a shallow one's or a deep residual one's."""
    told = {}
    for name, depth, shortcut in (("shallow", 4, "none"), ("plain", 24, "none"), ("residual", 24, "identity")):
        subject = untrained(model={"name": "mlp", "depth": depth, "width": 64, "norm": "layer", "shortcut": shortcut})
        pieces = work(subject, Shattering(lines=3, points=16, lags=1), jax.random.key(0))
        lines = [piece.measure() for piece in pieces if START in piece.name and LINE in piece.name]
        told[name] = np.mean([line["autocorrelation"][0] for line in lines])
    assert told["plain"] < told["shallow"] - 0.1
    assert told["plain"] < told["residual"] - 0.1


def test_pairs_against_every_gradient_at_once() -> None:
    subject = untrained(model={"name": "mlp", "depth": 4, "width": 8})
    values = subject.values(0, START)
    (batch,) = subject.batches("train", 10, 10)

    def loss(params: Any, image: jax.Array, label: jax.Array) -> jax.Array:
        logits = subject.model.apply(params, values.batch_stats, image[None], EVALUATE).logits
        return -jax.nn.log_softmax(logits)[0, label]

    grads = jax.jit(jax.vmap(jax.grad(loss), (None, 0, 0)))(values.params, batch.images, batch.labels)
    flat = np.concatenate([np.asarray(leaf).reshape(10, -1) for leaf in jax.tree.leaves(grads)], axis=1)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    found = measured(subject, PAIR)
    assert len(found["cosine"]) == 45
    labels = np.asarray(batch.labels)
    for one, other, same, cosine in zip(
        *(found[name] for name in ("one", "other", "same_class", "cosine")), strict=True
    ):
        assert cosine == pytest.approx(flat[one] @ flat[other], abs=1e-5)
        assert same == (labels[one] == labels[other])


@pytest.mark.parametrize("name", EVERY)
def test_every_family(name: str) -> None:
    subject = untrained(**FAMILIES[name])
    line, pairs = (measured(subject, kind, END, points=4, examples=3, batch_size=8) for kind in (LINE, PAIR))
    assert len(line["cosine"]) == 3 * (1 + len(subject.model.units))
    assert line["layers_behind"][0] == subject.config.model.depth - 2 * (name == "vgg")  # whose depth counts two more
    assert (np.abs(line["cosine"]) <= 1 + 1e-5).all()
    assert (np.diff(line["layers_behind"]) <= 0).all()
    assert np.isfinite(pairs["cosine"]).all()
