"""Against the whole gradient, the sum over every path, and nets whose branches are known factors."""

from itertools import product
from math import comb
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from subjects import EVERY, FAMILIES, untrained

from resjax.lab.instrument import Columns
from resjax.lab.interventions import by_branch_or_shortcut
from resjax.lab.paths import FULL, LARGEST, PATH, TOTAL, Paths, at_entrance, by_segment, choosing, drawn, entrance, work
from resjax.lab.subject import END, START, Batch, Subject, Values
from resjax.models.network import LayerInfo
from resjax.models.types import EVALUATE

EXAMPLES = 6
RESIDUAL: dict[str, dict[str, object]] = {
    "option A": {"depth": 5, "branch": "single"},
    "projections": {"depth": 8, "shortcut": "projection_b"},
    "preactivation": {"depth": 5, "branch": "single", "order": "full_preactivation"},
    "gates": {"depth": 5, "branch": "single", "shortcut": "exclusive_gate", "gate_bias": -0.5},
    "dense": {"name": "densenet", "depth": 7, "growth": 3, "shortcut": "concat"},
}


def subject_of(**settings: object) -> Subject:
    """In double precision, without the settings of `small` that only residual nets have."""
    return untrained(model={"width": 4, **settings}, train={"precision": "float64"})


def rows_of(subject: Subject, moment: str = END, **settings: Any) -> list[dict[str, Any]]:
    """Every row of a moment."""
    pieces = work(subject, Paths(**{"examples": EXAMPLES, **settings}), jax.random.key(0))
    return [row for piece in pieces if moment in piece.name for row in apart(piece.measure())]


def apart(columns: Columns) -> list[dict[str, Any]]:
    """Columns as rows."""
    count = len(columns["grad_norm"])
    full = {name: [each] * count if np.ndim(each) == 0 else list(each) for name, each in columns.items()}
    return [dict(zip(full, row, strict=True)) for row in zip(*full.values(), strict=True)]


def has_stage(info: LayerInfo) -> bool:
    return info.stage > 0


def of(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["kind"] == kind]


def gradient(subject: Subject, values: Values, batch: Batch) -> jax.Array:
    """dL_i/dh_0 by a change of the first convolution's output, nothing around any unit."""
    model = subject.model

    def loss(lift: jax.Array) -> jax.Array:
        def around(unit: Any, x: Any, tap: Any) -> Any:
            h, within = unit(x)
            return h + tap, within

        taps = [lift[None], *(jnp.zeros(run.count) for run in model.runs[1:])]
        logits = model.apply(*values, batch.images, EVALUATE, taps, around=around).logits
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).sum()

    return jax.jit(jax.grad(loss))(jnp.zeros(entrance(model, len(batch.labels))))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in ("gates", "projections") else name for name in RESIDUAL],
)
def test_all_paths_add_up_to_the_gradient(name: str) -> None:
    """Of each length too, where the instrument has them from the gradient at the roots of unity."""
    subject = subject_of(**RESIDUAL[name])
    model, values = subject.model, subject.values(0, START)
    (batch,) = subject.batches("train", EXAMPLES, EXAMPLES)
    choices = choosing(model)
    of_mask = jax.jit(lambda taps: at_entrance(model, values, batch, by_branch_or_shortcut, taps))
    lengths = np.zeros((len(choices) + 1, *entrance(model, EXAMPLES)))
    for taken in product((0, 1), repeat=len(choices)):
        mask = np.zeros((1, len(model.units)))
        mask[0, choices] = taken
        lengths[sum(taken)] += of_mask([tap[0] for tap in by_segment(model, mask)])
    whole = np.asarray(gradient(subject, values, batch))
    np.testing.assert_allclose(lengths.sum(0), whole, atol=1e-12 * np.abs(whole).max())
    norms = np.linalg.norm(lengths.reshape(*lengths.shape[:2], -1), axis=2).mean(1)
    assert (norms > 1e-3 * norms.max()).sum() >= 3
    found = rows_of(subject, START)
    np.testing.assert_allclose([row["grad_norm"] for row in of(found, TOTAL)], norms, atol=1e-10 * norms.max())
    (full,), (largest,) = of(found, FULL), of(found, LARGEST)
    around = np.linalg.norm(np.fft.fft(lengths, axis=0).reshape(*lengths.shape[:2], -1), axis=2)
    assert largest["grad_norm"] == pytest.approx(around.max(0).mean())
    assert full["grad_norm"] == pytest.approx(np.linalg.norm(whole.reshape(EXAMPLES, -1), axis=1).mean())


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["projections", "preactivation"])
def test_forward_is_the_net_s_own(name: str) -> None:
    subject = subject_of(**RESIDUAL[name])
    values, images = subject.values(0, START), next(subject.batches("train", EXAMPLES, EXAMPLES)).images
    taps = by_segment(subject.model, np.random.default_rng(0).integers(0, 2, (1, len(subject.model.units))))

    @jax.jit
    def both(values: Values) -> tuple[jax.Array, jax.Array]:
        mask = [tap[0] for tap in taps]
        around = subject.model.apply(*values, images, EVALUATE, mask, around=by_branch_or_shortcut)
        return around.logits, subject.model.apply(*values, images, EVALUATE).logits

    np.testing.assert_allclose(*both(values), rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_equal_branches_have_binomial_lengths() -> None:
    """h = x + a x in n units: a^k is what a path through k branches carries, C(n, k) a^k what all of them do."""
    n, a = 5, 0.5
    linear = {"name": "mlp", "depth": n + 2, "width": 8, "norm": "none", "activation": "linear"}
    subject = subject_of(**linear)
    values = subject.values(0, START)
    kernel = values.params["segments"][1]["units"]["branch"][0]["layers"][0]["weight"]
    kernel["kernel"] = jnp.broadcast_to(a * jnp.eye(8), (n, 8, 8))
    subject.kept[0, START] = values
    rows = rows_of(subject, START, draws=4)
    (nothing, *_) = [row["grad_norm"] for row in of(rows, PATH)]
    assert {row["branches"] for row in of(rows, PATH)} == set(range(n + 1))
    for row in of(rows, PATH):
        assert row["grad_norm"] == pytest.approx(nothing * a ** row["branches"])
    for row in of(rows, TOTAL):
        assert row["grad_norm"] == pytest.approx(nothing * comb(n, row["branches"]) * a ** row["branches"])
        assert row["length"] == row["branches"]
    (full,) = of(rows, FULL)
    assert full["grad_norm"] == pytest.approx(nothing * (1 + a) ** n)


@pytest.mark.parametrize(
    "settings",
    [{"depth": 8, "shortcut": "none"}, {"name": "article", "depth": 9, "width": 2, "shortcut": "none"}],
    ids=["plain", "without a stem"],
)
def test_a_plain_net_has_one_path(settings: dict[str, object]) -> None:
    subject = untrained(model={"width": 4, **settings})
    rows = rows_of(subject)
    (full,), *paths = of(rows, FULL), *of(rows, PATH), *of(rows, TOTAL)
    assert len(paths) == 2
    for row in paths:
        assert (row["choices"], row["branches"], row["length"]) == (0, 0, sum(map(has_stage, subject.model.units)))
        assert row["grad_norm"] == pytest.approx(full["grad_norm"], rel=1e-5)


def test_paths_are_all_there_are_or_random_ones_of_that_length() -> None:
    model = untrained().model
    choices = choosing(model)
    chance = np.random.default_rng(0)
    assert len(choices) == 6
    every = drawn(model, choices, 2, comb(6, 2), chance)
    assert len(np.unique(every, axis=0)) == comb(6, 2)
    some = drawn(model, choices, 2, 14, chance)
    assert len(some) == 14
    assert len(np.unique(some, axis=0)) > 3
    assert (every.sum(1) == 2).all()
    assert (some.sum(1) == 2).all()
    assert not every[:, 0].any()


def test_examples_that_fill_a_batch_up_do_not_count() -> None:
    """Five examples on two devices, in batches of four, against one by one on one."""
    settings = {"examples": 5, "draws": 2}
    one = rows_of(untrained(model={"depth": 8}), batch_size=8, **settings)
    two = rows_of(untrained(2, model={"depth": 8}), batch_size=32, **settings)
    assert [row["grad_norm"] for row in one] == pytest.approx([row["grad_norm"] for row in two], rel=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_every_family(name: str) -> None:
    """The sums of the lengths are no shorter than the whole, and a net without a choice has the whole in one."""
    rows = rows_of(untrained(**FAMILIES[name]), examples=2, draws=1, lengths=2, batch_size=8)
    (full,), totals = of(rows, FULL), [row["grad_norm"] for row in of(rows, TOTAL)]
    assert sum(totals) >= full["grad_norm"] * (1 - 1e-4) > 0
    assert len(totals) == full["choices"] + 1
    assert all(np.isfinite(row["grad_norm"]) for row in rows)
    assert {row["branches"] for row in of(rows, PATH)} == {0, full["choices"]}
