"""The loss around a solution, where it is known."""

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import small
from subjects import EVERY, FAMILIES, untrained

from resjax.data.stream import standardize
from resjax.errors import InputError
from resjax.lab.instrument import Piece
from resjax.lab.landscape import LANDSCAPE, Landscapes, Point, moved, samples, slices, work
from resjax.lab.scores import Score
from resjax.lab.subject import Subject, Values
from resjax.models import Mode
from resjax.models.types import EVALUATE
from resjax.training.step import objective

KEY = jax.random.key(0)
A = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, -0.5], [0.0, -0.5, 1.0]])
THETA, D1, D2 = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.3, -2.0]), np.array([0.2, 2.0, 0.7])
FEW = Landscapes(examples=32, batch_size=16, lines=2, points=5, grid=3, reach=0.5)


@cache
def subject(devices: int = 1, norm: str = "batch") -> Subject:
    """A small net; its running statistics are not those of any batch."""
    return untrained(devices, model={"depth": 8, "norm": norm})


@cache
def found_in(devices: int = 1, norm: str = "batch") -> list[dict[str, Any]]:
    """What the few slices say of it."""
    return rows(list(work(subject(devices, norm), FEW, KEY)))


def rows(pieces: list[Piece]) -> list[dict[str, Any]]:
    """Of all pieces; one value stands for a column."""
    found = []
    for columns in (piece.measure() for piece in pieces):
        count = len(columns["loss"])
        assert set(columns) <= set(LANDSCAPE.columns)
        full = {name: np.broadcast_to(np.asarray(column), count).tolist() for name, column in columns.items()}
        found += [dict(zip(full, row, strict=True)) for row in zip(*full.values(), strict=True)]
    return found


def bowl(point: Point) -> Score:
    theta = np.asarray(moved(point).params["theta"], np.float64)
    return Score(float(0.5 * theta @ A @ theta), 0.25)


def test_slices_of_a_bowl_are_its_closed_form(float64: None) -> None:
    def directions(plane: int) -> tuple[Any, Any]:
        return {"theta": jnp.asarray(D1 * (plane + 1))}, {"theta": jnp.asarray(D2)}

    values = Values({"theta": jnp.asarray(THETA)}, {})
    settings = replace(FEW, points=21, grid=7, reach=1.5)
    found = rows(list(slices(bowl, lambda: values, directions, settings)))
    assert len(found) == 2 * 21 + 7 * 7
    assert {row["kind"] for row in found} == {"line", "grid"}
    for row in found:
        a, b, d1 = row["alpha"], row["beta"], D1 * (row["plane"] + 1)
        slope = a * d1 @ A @ THETA + b * D2 @ A @ THETA
        curve = (a * a * d1 @ A @ d1 + b * b * D2 @ A @ D2) / 2 + a * b * d1 @ A @ D2
        assert row["loss"] == pytest.approx(0.5 * THETA @ A @ THETA + slope + curve, rel=1e-12)
    lines = [row for row in found if row["kind"] == "line" and row["plane"] == 0]
    np.testing.assert_allclose([row["alpha"] for row in lines], np.linspace(-1.5, 1.5, 21), atol=1e-12)
    assert {row["beta"] for row in lines} == {0.0}
    assert len({(row["alpha"], row["beta"]) for row in found if row["kind"] == "grid"}) == 49


def test_what_is_not_finite_has_no_value() -> None:
    def score(point: Point) -> Score:
        return Score(np.inf if point.steps[0] > 0 else 1.0, 0.5)

    found = rows(list(slices(score, lambda: Values({}, {}), lambda plane: ({}, {}), FEW)))
    assert all(np.isnan(row["loss"]) == np.isnan(row["error"]) == (row["alpha"] > 0) for row in found)


def of_the_net(net: Subject, mode: Mode, group: int) -> tuple[float, float]:
    """Its loss and error on the first 32 training images, in groups."""
    values = net.values(0, "end")
    losses, errors = [], []
    run = jax.jit(lambda images: net.model.apply(*values, images, mode))
    for places in net.places("train", 32).reshape(-1, group):
        out = run(standardize(net.train, net.train.images[places]))
        losses.append(float(objective(net.model, out, net.train.labels[places])))
        errors.append(float(np.mean(np.argmax(out.logits, -1) != net.train.labels[places])))
    return float(np.mean(losses)), float(np.mean(errors))


def test_at_the_solution_the_loss_is_the_nets_own() -> None:
    found = found_in()
    there = [row for row in found if row["alpha"] == row["beta"] == 0]
    known = {"running": of_the_net(subject(), EVALUATE, 16), "batch": of_the_net(subject(), Mode(True, 8), 8)}
    assert abs(known["running"][0] - known["batch"][0]) > 1e-3  # else the test could not tell them apart
    assert len(there) == 2 * 3  # of two lines and the grid
    for row in there:
        loss, error = known[row["statistics"]]
        assert row["loss"] == pytest.approx(loss, rel=1e-5)
        assert row["error"] == pytest.approx(error)
        assert row["examples"] == 32


def test_a_line_is_the_middle_of_its_plane_and_other_lines_differ() -> None:
    found = [row for row in found_in() if row["statistics"] == "running"]
    lines = {n: [row["loss"] for row in found if row["kind"] == "line" and row["plane"] == n] for n in (0, 1)}
    middle = [row["loss"] for row in found if row["kind"] == "grid" and row["beta"] == 0]
    assert lines[0][::2] == pytest.approx(middle, rel=1e-6)
    assert abs(lines[0][0] - lines[1][0]) > 1e-4


def test_pieces_have_their_own_names_and_give_the_same_again() -> None:
    pieces = list(work(subject(), FEW, KEY))
    assert len({piece.name for piece in pieces}) == len(pieces)
    assert rows(pieces[-2:]) == found_in()[-6:]


def test_four_devices_see_what_one_sees() -> None:
    one, four = found_in(1), found_in(4)
    assert [row["alpha"] for row in one] == [row["alpha"] for row in four]
    np.testing.assert_allclose([row["loss"] for row in four], [row["loss"] for row in one], rtol=2e-5)


def test_without_batch_norm_there_are_no_statistics() -> None:
    found = found_in(1, "none")
    assert {row["statistics"] for row in found} == {"none"}
    there = next(row for row in found if row["alpha"] == row["beta"] == 0)
    assert there["loss"] == pytest.approx(of_the_net(subject(1, "none"), EVALUATE, 16)[0], rel=1e-5)


def test_batch_statistics_want_whole_groups() -> None:
    count = len(subject().train.labels)
    many = replace(subject(), config=small(model={"depth": 8, "norm_scope": "global"}, train={"batch_size": count + 1}))
    with pytest.raises(InputError, match=rf"whole groups of {count + 1} on 1 devices(.|\n)*statistics=running"):
        list(work(many, FEW, KEY))
    assert list(work(many, replace(FEW, statistics="running"), KEY))
    odd = samples(subject(), replace(FEW, examples=21, batch_size=20))
    assert [(sample.examples, sample.size) for sample in odd] == [(21, 20), (16, 16)]
    more = samples(subject(), replace(FEW, examples=5, batch_size=20, statistics="batch"))
    assert [sample[:2] for sample in more] == [(8, 8)]


def test_the_solution_is_a_point() -> None:
    with pytest.raises(InputError, match=r"points=4 is even(.|\n)*Type: points=5"):
        list(work(subject(), replace(FEW, points=4), KEY))


@pytest.mark.parametrize("name", EVERY)
def test_every_family(name: str) -> None:
    settings = replace(FEW, examples=8, batch_size=8, lines=1, points=3, grid=1, statistics="batch", reach=0.1)
    found = rows(list(work(untrained(**FAMILIES[name]), settings, KEY)))
    losses = [row["loss"] for row in found]
    assert len(losses) == len(set(losses)) == 3
    assert np.isfinite(losses).all()
