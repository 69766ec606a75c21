"""Hessians that are known: in closed form where the logits are linear in what moves, else made whole."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from subjects import EVERY, FAMILIES, untrained

from resjax.errors import InputError
from resjax.lab.hessian import HESSIAN, STARTS, Curvature, curvature, hessian_product, loss, mover
from resjax.lab.landscape import LANDSCAPE, Landscapes
from resjax.lab.subject import END, Subject, Values
from resjax.models.types import EVALUATE
from resjax.training.packing import packings

KEY = jax.random.key(0)
TINY = {"name": "mlp", "depth": 3, "width": 4, "norm": "none"}
DOUBLE = {"precision": "float64"}


def measured(subject: Subject, settings: Curvature) -> list[dict[str, Any]]:
    """Every row, as it is recorded."""
    rows = []
    for piece in HESSIAN.work(subject, settings, KEY, None):
        columns = {name: value if isinstance(value, list) else [value] for name, value in piece.measure().items()}
        assert set(columns) == set(HESSIAN.columns)
        rows += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return rows


def dense(subject: Subject, values: Values, examples: int) -> np.ndarray:
    """The whole Hessian of the mean loss, reverse over reverse, in one batch."""
    packing, _ = packings(subject.model)
    batch = subject.batch("train", subject.places("train", examples))

    def mean(entries: jax.Array) -> jax.Array:
        logits = subject.model.apply(packing.unpack(entries), values.batch_stats, batch.images, EVALUATE).logits
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean()

    return np.asarray(jax.jit(jax.jacrev(jax.grad(mean)))(packing.pack(values.params)))


@pytest.mark.usefixtures("float64")
def test_of_softmax_regression_it_has_a_closed_form() -> None:
    """With logits W x: sum over the examples of (diag(p) - p p^T) times x x^T (Kronecker's product)."""
    x, weights = np.random.default_rng(0).normal(size=(20, 3)), np.random.default_rng(1).normal(size=(3, 4))
    labels = jnp.arange(20) % 4
    logits = x @ weights
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    closed = sum(np.kron(np.outer(a, a), np.diag(q) - np.outer(q, q)) for a, q in zip(x, p, strict=True))

    def regression(entries: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(x) @ entries.reshape(3, 4), labels).sum()

    along = np.random.default_rng(2).normal(size=12)
    found = hessian_product(regression, jnp.asarray(weights.ravel()), jnp.asarray(along))
    np.testing.assert_allclose(found, closed @ along, rtol=1e-9)


@pytest.mark.usefixtures("float64")
def test_of_the_classifier_it_has_a_closed_form() -> None:
    """The same of a net's last layer: a block of the whole Hessian, which the other tests compare with."""
    subject = untrained(model=TINY, train=DOUBLE)
    values, packing = subject.values(0, END), packings(subject.model)[0]
    batch = subject.batch("train", subject.places("train", 24))
    out = jax.jit(lambda *of: subject.model.apply(*of, batch.images, EVALUATE, None, lambda h, _: h))(*values)
    p, h = np.asarray(jax.nn.softmax(out.logits)), np.asarray(out.seen[-1][-1])
    closed = sum(np.kron(np.outer(a, a), np.diag(q) - np.outer(q, q)) for a, q in zip(h, p, strict=True)) / 24
    marks = jax.tree.map(jnp.zeros_like, values.params)
    marks["head"]["dense"]["kernel"] = jnp.ones_like(marks["head"]["dense"]["kernel"])
    places = np.flatnonzero(packing.pack(marks))
    np.testing.assert_allclose(dense(subject, values, 24)[np.ix_(places, places)], closed, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("model", [TINY, {"depth": 5, "branch": "single", "width": 1}])
@pytest.mark.usefixtures("float64")
def test_extremes_and_moments_are_those_of_the_whole(model: dict[str, object]) -> None:
    """In batches of another size than the examples', which fill the last one up."""
    subject = untrained(2, model=model, train=DOUBLE)
    matrix = dense(subject, subject.values(0, END), 30)
    eigenvalues = np.linalg.eigvalsh(matrix)
    settings = Curvature(examples=30, batch_size=8, steps=60, probes=3, grid=1)
    rows = measured(subject, settings)
    for extreme in (row for row in rows if row["kind"] == "spectrum"):
        assert extreme["parameters"] == len(matrix)
        assert extreme["lambda_max"] == pytest.approx(eigenvalues[-1], rel=1e-6)
        assert extreme["lambda_min"] == pytest.approx(eigenvalues[0], rel=1e-3)
        assert abs(extreme["lambda_min"] - eigenvalues[0]) <= extreme["lambda_min_residual"] + 1e-9
    for probe in range(3):
        nodes = [row for row in rows if row["kind"] == "node" and row["probe"] == probe]
        node, weight = (np.array([row[name] for row in nodes]) for name in ("node", "weight"))
        start = jax.random.fold_in(jax.random.fold_in(KEY, STARTS + probe), 0)
        v = np.asarray(jax.random.normal(start, len(matrix), jnp.float64))
        assert weight.sum() == pytest.approx(1)
        for power in (1, 2, 3):
            expected = v @ np.linalg.matrix_power(matrix, power) @ v / (v @ v)
            assert weight @ node**power == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_mean_over_starts_is_the_trace() -> None:
    subject = untrained(model=TINY, train=DOUBLE)
    matrix = dense(subject, subject.values(0, END), 16)
    rows = measured(subject, Curvature(examples=16, steps=6, probes=40, grid=1))
    nodes = [row for row in rows if row["kind"] == "node"]
    for power, expected in ((1, np.trace(matrix)), (2, np.sum(matrix**2))):
        found = np.zeros(40)
        for row in nodes:
            found[row["probe"]] += row["weight"] * row["node"] ** power * row["parameters"]
        assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(40)


@pytest.mark.usefixtures("float64")
def test_the_map_is_the_hessian_at_its_points() -> None:
    subject = untrained(model=TINY, train=DOUBLE)
    rows = measured(subject, Curvature(examples=16, steps=2, probes=1, grid=3, grid_steps=40, reach=0.5))
    points = {(row["alpha"], row["beta"]): row for row in rows if row["kind"] == "map"}
    assert set(points) == {(a, b) for a in (-0.5, 0.0, 0.5) for b in (-0.5, 0.0, 0.5)}
    values, moved = subject.values(0, END), mover(subject, KEY)
    for place in ((0.0, 0.0), (0.5, -0.5)):
        eigenvalues = np.linalg.eigvalsh(dense(subject, moved(0, *place), 16))
        assert points[place]["lambda_max"] == pytest.approx(eigenvalues[-1], rel=1e-6)
        assert points[place]["lambda_min"] == pytest.approx(eigenvalues[0], rel=1e-4)
    assert len({row["loss"] for row in points.values()}) == 9
    np.testing.assert_array_equal(*(packings(subject.model)[0].pack(v.params) for v in (values, moved(0, 0.0, 0.0))))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("float64")
def test_of_every_family_a_product_is_the_difference_of_two_gradients(name: str) -> None:
    """So near that no relu changes between, at a point where none is at 0 itself."""
    subject = untrained(**FAMILIES[name] | {"train": DOUBLE})
    values, batch = subject.values(0, END), subject.batch("train", subject.places("train", 2))
    packing, _ = packings(subject.model)

    def of(entries: jax.Array) -> jax.Array:
        return loss(subject, Values(packing.unpack(entries), values.batch_stats), batch)

    @jax.jit
    def both(at: jax.Array, along: jax.Array) -> tuple[jax.Array, jax.Array]:
        ahead, behind = lax.map(jax.grad(of), jnp.stack([at + 1e-9 * along, at - 1e-9 * along]))
        return hessian_product(of, at, along), (ahead - behind) / 2e-9

    away, along = jax.random.normal(KEY, (2, packing.size), subject.model.dtype)
    product, difference = both(packing.pack(values.params) + 0.1 * away, along)
    assert jnp.linalg.norm(product - difference) < 1e-3 * jnp.linalg.norm(product)


@pytest.mark.usefixtures("float64")
def test_the_maps_plane_is_the_landscapes() -> None:
    subject = untrained(model=TINY, train=DOUBLE)
    maps = measured(subject, Curvature(examples=16, steps=2, probes=1, grid=3, grid_steps=2, reach=0.5))
    found = {(row["alpha"], row["beta"]): row["loss"] for row in maps if row["kind"] == "map"}
    for piece in LANDSCAPE.work(subject, Landscapes(examples=16, lines=0, grid=3, reach=0.5), KEY, None):
        row = piece.measure()
        for alpha, loss_there in zip(row["alpha"].tolist(), row["loss"], strict=True):
            assert found.pop((alpha, row["beta"])) == pytest.approx(loss_there, rel=1e-12)
    assert not found


def test_more_steps_than_parameters_are_as_many() -> None:
    subject = untrained(model=TINY)
    rows = measured(subject, Curvature(examples=8, steps=10_000, probes=1, grid=3, grid_steps=10_000))
    assert sum(row["kind"] == "node" for row in rows) <= rows[0]["parameters"] < 10_000


def test_seeds_have_their_own_starts() -> None:
    """What a random start is off by is in the spread over seeds, and not the same for all."""
    subject = untrained(model=TINY)
    twice = replace(subject, seeds={0: 0, 1: 0}, kept={})
    rows = [row for row in measured(twice, Curvature(examples=8, steps=3, probes=1, grid=1)) if row["kind"] == "node"]
    one, other = ([row["weight"] for row in rows if row["seed"] == seed] for seed in (0, 1))
    assert one != other


def test_a_map_without_the_net_is_refused() -> None:
    with pytest.raises(InputError, match="even"):
        next(HESSIAN.work(untrained(model=TINY), Curvature(grid=4), KEY, None))


def test_batches_and_devices_change_nothing() -> None:
    settings = [Curvature(examples=20, batch_size=size, steps=4, probes=1, grid=1) for size in (20, 7)]
    rows = [measured(untrained(devices, model=TINY), of) for devices, of in zip((1, 2), settings, strict=True)]
    one, other = ([row["lambda_max"] for row in each if row["kind"] == "spectrum"] for each in rows)
    assert one == pytest.approx(other, rel=1e-4)


def test_memory_does_not_grow_with_the_examples() -> None:
    """What the compiled steps hold, in bytes: the batches pass one after the other."""
    subject = untrained(model={"depth": 8, "width": 4})

    def held(examples: int) -> int:
        steps_at = curvature(subject, Curvature(examples=examples, batch_size=16))
        program = jax.jit(lambda values: steps_at(values, KEY, 3)).lower(subject.values(0, END)).compile()
        return int(program.memory_analysis().temp_size_in_bytes)

    few, many = held(32), held(320)
    assert few > 10_000
    assert many <= 1.01 * few + 5_000
