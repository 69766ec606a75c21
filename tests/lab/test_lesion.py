"""Lesions: what a deleted unit gives is known where branches are zero, and where the shorter net can be built."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from subjects import EVERY, FAMILIES, untrained

from resjax.errors import InputError
from resjax.lab.interventions import kept_or_deleted
from resjax.lab.lesion import LESION, Lesions, changing, exchanges, mask, movable, reordered
from resjax.lab.subject import END, Subject, Values
from resjax.models import Model, build
from resjax.models.types import EVALUATE

KEY = jax.random.key(0)
SMALL = Lesions(examples=48, batch_size=48, counts=2, draws=2)


def measured(subject: Subject, settings: Lesions = SMALL) -> list[dict[str, Any]]:
    """Every row, as it is recorded."""
    rows = []
    for piece in LESION.work(subject, settings, KEY, None):
        columns = {name: value if isinstance(value, list) else [value] for name, value in piece.measure().items()}
        assert set(columns) == set(LESION.columns)
        rows += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return rows


def logits_of(model: Model) -> Callable[[Values, list[int]], jax.Array]:
    """Those of four images, by the net's values and the units that are deleted; compiled once."""
    x = jax.random.normal(KEY, (4, *model.shape), model.dtype)
    run = jax.jit(lambda values, taps: model.apply(*values, x, EVALUATE, taps, around=kept_or_deleted).logits)
    return lambda values, deleted: run(values, mask(model, np.array(deleted, int)))


def test_where_branches_are_zero_nothing_is_lost() -> None:
    """Skipinit's scale is 0 at the start: neither deletions nor exchanges change the loss by a bit."""
    subject = untrained(model={"shortcut": "skipinit", "norm": "none", "depth": 20})
    rows = measured(subject)
    assert {row["kind"] for row in rows} == {"intact", "one", "many", "exchanged"}
    kept = [row["loss"] for row in rows if not row["changes_shape"]]
    assert set(kept) == {rows[0]["loss"]}, "a branch of zeros was missed"


@pytest.mark.parametrize("deleted", [1, 2, 3])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_plain_net_without_a_unit_is_the_shorter_net(norm: str, deleted: int) -> None:
    subject = untrained(model={"name": "mlp", "depth": 6, "shortcut": "none", "norm": norm})
    model, values = subject.model, subject.values(0, END)
    place = next(number for number, run in enumerate(model.runs) if run.count > 1)
    first = model.runs[place].start
    shorter = build(subject.config.model.__class__(**vars(subject.config.model) | {"depth": 5}), model.shape, 10)
    stays = np.delete(np.arange(model.runs[place].count), deleted - first)
    cut = reordered(values, {place: stays})
    x = jax.random.normal(KEY, (4, *model.shape))
    expected = shorter.apply(*cut, x, EVALUATE).logits
    np.testing.assert_allclose(logits_of(model)(values, [deleted]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shortcut", ["identity", "projection_b", "scaled"])
@pytest.mark.usefixtures("float64")
def test_a_deleted_unit_is_one_whose_last_norm_gives_zeros(shortcut: str) -> None:
    subject = untrained(model={"shortcut": shortcut, "depth": 20}, train={"precision": "float64"})
    values, logits = subject.values(0, END), logits_of(subject.model)
    for number, run in enumerate(subject.model.runs):
        if not run.plan.stage:
            continue
        params = jax.tree.map(lambda leaf: leaf, values.params)
        norm = params["segments"][number]["units"]["branch"][0]["layers"][1]["post"]["norm"]
        for name in ("scale", "bias"):
            norm[name] = norm[name].at[-1].set(0)
        last = run.start + run.count - 1
        expected = logits(Values(params, values.batch_stats), [])
        np.testing.assert_allclose(logits(values, [last]), expected, rtol=1e-12)
        assert not np.allclose(logits(values, []), expected, rtol=1e-3), "the unit did nothing anyway"


@pytest.mark.parametrize("name", EVERY)
def test_every_family(name: str) -> None:
    subject = untrained(**FAMILIES[name])
    rows = measured(subject, Lesions(examples=8, batch_size=8, counts=1, draws=1))
    assert all(np.isfinite(row["loss"]) for row in rows)
    units = [row["unit"] for row in rows if row["kind"] == "one"]
    assert units == [number for number, info in enumerate(subject.model.units) if info.stage]


def test_exchanges_stay_among_equal_units() -> None:
    model = untrained(model={"depth": 20}).model
    sizes = movable(model)
    assert all(model.runs[number].count == size for number, size in sizes.items())
    orders, tau = exchanges(model, 1, np.random.default_rng(0))
    moved = [number for number, order in orders.items() if list(order) != sorted(order)]
    assert len(moved) == 1
    assert sum(np.arange(len(orders[moved[0]])) != orders[moved[0]]) == 2, "one exchange moves two units"
    pairs = sum(sizes.values()) * (sum(sizes.values()) - 1) / 2
    distance = abs(np.subtract(*np.flatnonzero(np.arange(len(orders[moved[0]])) != orders[moved[0]])))
    assert tau == pytest.approx(1 - 2 * (2 * distance - 1) / pairs), "two at a distance d turn 2 d - 1 pairs round"


def test_what_changes_the_shape() -> None:
    """A unit of DenseNet that only joins new channels to the old ones does not."""
    for settings in ({"model": {"depth": 20}}, FAMILIES["densenet"]):
        model = untrained(**settings).model
        names = [info.name for info, changes in zip(model.units, changing(model), strict=True) if changes]
        assert names == ["stem", "stage2.unit1", "stage3.unit1"]


def test_chance_is_the_pieces_own() -> None:
    """A piece gives the same rows whenever it is called: so an analysis that was cut off goes on."""
    subject = untrained()
    pieces = [piece for piece in LESION.work(subject, SMALL, KEY, None) if "many" in piece.name]
    assert pieces[-1].measure() == pieces[-1].measure()
    others = [piece for piece in LESION.work(subject, SMALL, jax.random.key(1), None) if piece.name == pieces[0].name]
    assert pieces[0].measure() != others[0].measure(), "the seed has no say"


def test_a_net_without_units_is_refused() -> None:
    subject = untrained(model={"name": "mlp", "depth": 2})
    assert not any(info.stage for info in subject.model.units)
    with pytest.raises(InputError, match="no unit"):
        list(LESION.work(subject, SMALL, KEY, None))


def test_devices_change_nothing() -> None:
    one, four = (measured(untrained(devices), Lesions(examples=40, batch_size=16, counts=0)) for devices in (1, 4))
    losses = [jnp.asarray([row["loss"] for row in rows]) for rows in (one, four)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
