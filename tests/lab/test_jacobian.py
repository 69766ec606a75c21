"""Jacobians that are known: products of matrices where the net is linear, the identity where branches are zero."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from subjects import EVERY, FAMILIES, untrained

from resjax.errors import InputError
from resjax.lab.jacobian import JACOBIAN, QUANTILES, Isometry
from resjax.lab.subject import START, Subject
from resjax.models.types import EVALUATE

KEY = jax.random.key(0)
WHOLE, PARTLY = Isometry(examples=2), Isometry(examples=2, exact=0, steps=300, probe_steps=300, probes=1)
LINEAR = {"name": "mlp", "activation": "linear", "norm": "none", "depth": 6, "width": 12}
DOUBLE = {"precision": "float64"}


def measured(subject: Subject, settings: Isometry = WHOLE, moment: str = START) -> list[dict[str, Any]]:
    """Every row of a moment, as it is recorded."""
    rows = []
    for piece in JACOBIAN.work(subject, settings, KEY, None):
        if f" {moment} " in piece.name:
            columns = piece.measure()
            assert set(columns) == set(JACOBIAN.columns)
            rows += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return rows


def agrees(row: dict[str, Any], sigma: np.ndarray, rel: float = 1e-6) -> None:
    """A row with the singular values that are known, as many as the last output has entries."""
    square = np.mean(sigma**2)
    assert row["sigma_max"] == pytest.approx(sigma.max(), rel=rel)
    assert row["sigma_rms"] == pytest.approx(np.sqrt(square), rel=rel)
    assert row["participation"] == pytest.approx(square**2 / np.mean(sigma**4), rel=rel)
    assert row["dimension"] == len(sigma)


@pytest.mark.parametrize("settings", [WHOLE, PARTLY])
@pytest.mark.parametrize("shortcut", ["none", "identity"])
@pytest.mark.usefixtures("float64")
def test_of_a_linear_net_they_are_those_of_the_product(shortcut: str, settings: Isometry) -> None:
    subject = untrained(model=LINEAR | {"shortcut": shortcut}, train=DOUBLE)
    params, _ = subject.values(0, START)
    kernels = np.asarray(params["segments"][1]["units"]["branch"][0]["layers"][0]["weight"]["kernel"])
    factors = kernels + (np.eye(12) if shortcut == "identity" else 0)
    rows = measured(subject, settings)
    assert len(rows) == 2 * len(factors)
    for row in rows:
        sigma = np.linalg.svd(np.linalg.multi_dot([np.eye(12), *factors[row["unit"] :]]), compute_uv=False)
        agrees(row, sigma)
        assert row["sigma_min"] == pytest.approx(sigma.min(), rel=1e-4)
        assert row["layers_behind"] == len(factors) - row["unit"]
        assert row["rank"] in (12, None)


@pytest.mark.parametrize("settings", [WHOLE, Isometry(examples=2, exact=0, steps=5, probes=2)])
def test_where_branches_are_zero_every_singular_value_is_one(settings: Isometry) -> None:
    """Skipinit's scale is 0 at the start."""
    subject = untrained(model=LINEAR | {"shortcut": "skipinit"})
    for row in measured(subject, settings):
        agrees(row, np.ones(12), rel=1e-5)
        assert [row[name] for name in ("sigma_min", *QUANTILES)] == pytest.approx([1] * 6, rel=1e-5)


def test_what_relu_stops_counts_as_zero() -> None:
    """h = relu(x + 0): behind the last change of shape J has a one for every output that is alive, else zeros."""
    subject = untrained(model={"shortcut": "skipinit", "norm": "none", "depth": 8, "branch": "single"})
    places = subject.places("test", 2)
    images = subject.batch("test", places).images
    seen = jax.jit(lambda *values: subject.model.apply(*values, images, EVALUATE, None, last).seen)(
        *subject.values(0, START)
    )
    alive = (np.asarray(seen[-1][-1]) > 0).reshape(2, -1).sum(-1)
    rows = [row for row in measured(subject) if row["unit"] == len(subject.model.units) - 2]
    assert len(rows) == 2
    for row, expected in zip(rows, alive, strict=True):
        assert 0 < expected < row["dimension"]
        assert row["rank"] == expected
        assert row["participation"] == pytest.approx(expected / row["dimension"], rel=1e-5)
        assert (row["sigma_min"], row["sigma_max"]) == pytest.approx((0, 1))


def last(h: jax.Array, _: object) -> jax.Array:
    return h


@pytest.mark.parametrize("shortcut", ["none", "identity"])
@pytest.mark.usefixtures("float64")
def test_products_and_rows_agree(shortcut: str) -> None:
    """Of a net with convolutions, relu and batch norm; the whole Krylov space, whose products need second passes."""
    subject = untrained(model={"shortcut": shortcut, "depth": 5, "branch": "single", "width": 2}, train=DOUBLE)
    whole, partly = measured(subject), measured(subject, PARTLY)
    assert whole[0]["dimension"] == 2 * 2 * 8
    for one, other in zip(whole, partly, strict=True):
        for name in ("sigma_max", "sigma_rms", "participation"):
            assert other[name] == pytest.approx(one[name], rel=1e-6), (name, one["unit"])
        assert other["sigma_90"] == pytest.approx(one["sigma_90"], rel=1e-6)


@pytest.mark.usefixtures("float64")
def test_one_row_by_hand() -> None:
    """Beside differences: the largest singular value is the largest stretch of a small change of one unit's output."""
    subject = untrained(model={"name": "mlp", "depth": 4, "width": 6, "activation": "tanh"}, train=DOUBLE)
    values, image = subject.values(0, START), subject.batch("test", subject.places("test", 1)).images

    def tail(change: np.ndarray) -> np.ndarray:
        def add(unit: Any, x: jax.Array, tap: jax.Array) -> Any:
            h, within = unit(x)
            return h + tap, within

        taps = [jnp.zeros((run.count, 1, 6)) for run in subject.model.runs]
        taps[0] = taps[0] + change.reshape(1, 1, -1)
        return np.asarray(subject.model.apply(*values, image, EVALUATE, taps, last, add).seen[-1][-1])[0]

    matrix = np.stack([(tail(1e-6 * e) - tail(-1e-6 * e)) / 2e-6 for e in np.eye(6)])
    (row,) = (row for row in measured(subject, Isometry(examples=1)) if row["unit"] == 0)
    agrees(row, np.linalg.svd(matrix, compute_uv=False), rel=1e-6)


def test_few_steps_do_not_tell_the_smallest() -> None:
    subject = untrained(model=LINEAR | {"width": 64, "shortcut": "none"})
    rows = measured(subject, Isometry(examples=1, exact=0, steps=6, probes=1))
    assert {row["sigma_min"] for row in rows} == {None}
    assert all(row["residual"] > 0 for row in rows)


@pytest.mark.parametrize("name", EVERY)
def test_every_family(name: str) -> None:
    subject = untrained(**FAMILIES[name])
    rows = measured(subject, Isometry(examples=1, exact=0, steps=3, probes=2, probe_steps=2))
    assert [row["unit"] for row in rows] == list(range(len(subject.model.units) - 1))
    assert all(np.isfinite(row["sigma_rms"]) and row["sigma_rms"] <= row["sigma_max"] * (1 + 1e-5) for row in rows)


def test_chance_is_the_pieces_own() -> None:
    """Whenever it is called, and on however many devices: so an analysis that was cut off goes on."""
    settings = Isometry(examples=2, exact=0, steps=4, probes=2)
    piece, *_ = JACOBIAN.work(untrained(model=LINEAR), settings, KEY, None)
    assert piece.measure() == piece.measure()
    other, *_ = JACOBIAN.work(untrained(model=LINEAR), settings, jax.random.key(1), None)
    assert piece.measure() != other.measure(), "the seed has no say"
    wider, *_ = JACOBIAN.work(untrained(2, model=LINEAR), settings, KEY, None)
    assert wider.name != piece.name
    assert wider.measure()["sigma_rms"][: len(piece.measure()["unit"])] == pytest.approx(piece.measure()["sigma_rms"])


def test_devices_change_nothing() -> None:
    model = {"depth": 5, "branch": "single"}
    one, four = (measured(untrained(devices, model=model), Isometry(examples=4)) for devices in (1, 4))
    of = [np.array([row["sigma_rms"] for row in rows]) for rows in (one, four)]
    np.testing.assert_allclose(*of, rtol=1e-4)


def test_a_net_of_one_unit_is_refused() -> None:
    with pytest.raises(InputError, match="it has one unit"):
        list(JACOBIAN.work(untrained(model={"name": "mlp", "depth": 2}), WHOLE, KEY, None))
