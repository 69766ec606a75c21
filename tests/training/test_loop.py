"""fit yields rows: what they hold, that seeds do not know of each other, and what becomes of one that goes wrong."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from problems import chunked, digits, furthest, last_state, rows_of, series, small, started, stepped, steps_of

from resjax.config import Config
from resjax.data import resident
from resjax.data.digits import arrays
from resjax.errors import InputError
from resjax.models import Mode
from resjax.models.types import EVALUATE
from resjax.rows import Finished, Layers, Metrics, Row, Snapshot, Started, TrainLayers
from resjax.training import loop
from resjax.training.loop import Run, fit
from resjax.training.packing import packings
from resjax.training.programs import prepare
from resjax.training.state import from_arrays
from resjax.training.step import objective

STEPS = 12


@pytest.fixture(scope="module")
def double() -> Iterator[None]:
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@cache
def double_rows(seed: int, seeds: int) -> list[Row]:
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8},
        train={"steps": STEPS, "precision": "float64", "evaluate_every": 5},
        probes={"at": [0, 3], "every": 6},
        checkpoint={"every": 4},
    )
    config.seed, config.seeds = seed, seeds
    return rows_of(config)


@pytest.mark.usefixtures("double")
class TestRows:
    def test_first_what_runs_last_how_it_ended(self) -> None:
        rows = double_rows(0, 3)
        assert isinstance(rows[0], Started)
        assert isinstance(rows[-1], Finished)
        assert rows[0].model["weight_layers"] == 5
        assert rows[0].model["parameters"] == 64 * 8 + 3 * 64 + 4 * 16 + 8 * 10 + 10
        assert {"compile", "train", "probe", "evaluation"} == set(rows[-1].times)

    def test_every_step_and_seed_has_its_metrics_in_order(self) -> None:
        rows = [row for row in double_rows(0, 3) if isinstance(row, Metrics)]
        assert [(row.step, row.seed) for row in rows] == [(s, seed) for s in range(STEPS + 1) for seed in range(3)]

    def test_the_test_set_is_looked_at_when_due_and_at_the_end(self) -> None:
        rows = [row for row in double_rows(0, 3) if isinstance(row, Metrics) and "test_error" in row.values]
        assert sorted({row.step for row in rows}) == [0, 5, 10, STEPS]

    def test_the_probes_run_when_due_and_at_the_end(self) -> None:
        assert [row.step for row in double_rows(0, 3) if isinstance(row, Layers)] == [0, 3, 6, STEPS]

    def test_checkpoints_when_due_and_at_the_end(self) -> None:
        assert [row.step for row in double_rows(0, 3) if isinstance(row, Snapshot)] == [4, 8, STEPS]

    def test_what_looks_at_a_state_comes_after_every_earlier_step(self) -> None:
        latest = -1
        for row in double_rows(0, 3):
            if isinstance(row, Metrics):
                latest = row.step
            if isinstance(row, Layers | Snapshot) and row.step < STEPS:
                assert latest == row.step - 1

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_seeds_side_by_side_equal_separate_runs(self, seed: int) -> None:
        together, alone = double_rows(0, 3), double_rows(seed, 1)
        assert series(together, "train_loss", seed) == pytest.approx(series(alone, "train_loss", seed), rel=1e-9)
        mine = {name: array[seed : seed + 1] for name, array in last_state(together).items()}
        assert furthest(mine, last_state(alone)) < 1e-9

    def test_different_seeds_differ(self) -> None:
        first, second = (series(double_rows(0, 3), "train_loss", seed) for seed in (0, 1))
        assert abs(first[0] - second[0]) > 1e-3

    def test_the_same_run_twice_is_the_same(self) -> None:
        digests = [rows[-1].digest for rows in (double_rows(0, 1), double_rows.__wrapped__(0, 1))]
        assert digests[0] == digests[1]

    def test_epochs_count_examples_not_passes_cut_off(self) -> None:
        epochs = series(double_rows(0, 3), "epoch")
        assert all(later - earlier == pytest.approx(16 / 1437) for earlier, later in pairwise(epochs))


def poisoned(which: str) -> tuple[Config, list[Row], dict[str, np.ndarray]]:
    """Two seeds, of which the second gets a parameter that is not finite before the first step."""
    config = small(model={"name": "mlp", "depth": 5, "width": 8}, train={"steps": 3})
    config.seeds = 2
    programs = prepare(config, digits())
    run = Run(config, programs)
    packed = np.array(run.states.params)
    packed[1, 0 if which == "first" else -1] = np.nan
    run.states = run.states._replace(params=jax.device_put(packed, programs.layout.replicated()))
    before = {name: np.array(value) for name, value in run.states._asdict().items() if name != "opt_state"}
    rows: list[Row] = []
    while run.step < 3:
        rows += run.advance()
    rows += run.finish()
    return config, rows, before


@pytest.mark.parametrize(("which", "layer"), [("first", "head"), ("last", "stage1.unit3")])
def test_a_seed_that_is_not_finite_freezes_and_the_others_go_on(which: str, layer: str) -> None:
    _, rows, before = poisoned(which)
    finished = rows[-1]
    assert isinstance(finished, Finished)
    healthy, wrong = finished.outcomes
    assert healthy.diverged_at is None
    assert (wrong.diverged_at, wrong.first_bad_layer) == (0, layer)
    assert len(series(rows, "train_loss", 0)) == 3
    assert len(series(rows, "train_loss", 1)) == 1, "the step that went wrong is told, and nothing after it"
    state = last_state(rows)
    assert np.isfinite(state["params/head/bias"][0]).all()
    for name in ("running_error", "warming"):
        np.testing.assert_array_equal(state[name][1], before[name][1])
    frozen = np.concatenate([state[n][1].ravel() for n in sorted(state) if n.startswith("params/")])
    np.testing.assert_array_equal(np.sort(frozen), np.sort(before["params"][1]))
    assert not np.allclose(state["params/head/dense/kernel"][0], 0)


def test_when_no_seed_is_left_training_ends() -> None:
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8, "norm": "none"},
        schedule={"learning_rate": 1e30},
        train={"steps": 50},
    )
    rows = rows_of(config)
    finished = rows[-1]
    assert isinstance(finished, Finished)
    assert finished.outcomes[0].diverged_at is not None
    assert finished.outcomes[0].diverged_at < 5
    last = max(row.step for row in rows if isinstance(row, Metrics))
    assert last < 10
    assert [row.step for row in rows if isinstance(row, Snapshot)] == [last + 1], "chunks end with the last seed"
    assert not any("test_error" in row.values for row in rows if isinstance(row, Metrics))


def test_what_dies_at_the_border_of_a_chunk_is_saved_once() -> None:
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8, "norm": "none"},
        schedule={"learning_rate": 1e30},
        train={"steps": 50, "evaluate_every": 1},
        checkpoint={"every": 1},
    )
    rows = rows_of(config)
    saved = [row.step for row in rows if isinstance(row, Snapshot)]
    finished = rows[-1]
    assert isinstance(finished, Finished)
    assert finished.outcomes[0].diverged_at is not None
    assert saved == list(range(1, finished.outcomes[0].diverged_at + 2))


@pytest.mark.parametrize("evaluate_every", [100, 1])
def test_the_time_of_training_is_all_that_passes(evaluate_every: int) -> None:
    """What the caller does with the rows of a chunk holds up the next one, and counts; at a border, too."""
    config = small(
        model={"name": "mlp", "depth": 3, "width": 8},
        train={"steps": 3, "evaluate_every": evaluate_every},
        parallel={"devices": 1, "chunk": 1},
    )
    began = time.perf_counter()
    for row in loop.fit(config, digits()):
        if isinstance(row, Metrics) and row.step < 2:
            time.sleep(0.25)
    finished = row
    assert isinstance(finished, Finished)
    assert 0.5 < finished.times["train"] < time.perf_counter() - began
    assert finished.images_per_s == pytest.approx(3 * 16 / finished.times["train"])


def test_at_most_two_chunks_are_in_flight() -> None:
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8},
        train={"steps": 12},
        probes={"at": []},
        parallel={"devices": 1, "chunk": 3},
    )
    run = Run(config, prepare(config, digits()))
    told, begun = -1, []
    while run.step < 12:
        begun.append(run.step)
        for row in run.advance():
            told = row.step
        assert run.step - begun[-1] <= 3
        assert told == begun[-1] - 1, "a chunk is read when the next one is dispatched"
        assert len(run.pending) == 1
    assert begun[:2] == [0, 1], "before it knows how long a step takes, a chunk is one step"
    assert len(begun) < 12


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("strategy", "axis"), [("pmap", "map"), pytest.param("pmap", "vmap", marks=pytest.mark.slow), ("jit", "vmap")]
)
def test_chunks_are_the_steps_one_by_one(strategy: str, axis: str) -> None:
    """In float64, for two seeds with noise: chunks of 5, 5 and 2 steps, and of one step a program of their own."""
    ends = {}
    for most in (1, 5):
        config = small(
            model={"name": "mlp", "depth": 3, "width": 8, "shortcut": "dropout"},
            train={"precision": "float64"},
            parallel={"devices": 2, "strategy": strategy, "chunk": most, "seeds_axis": axis},
        )
        config.seeds = 2
        ends[most] = steps_of(config, STEPS)
    assert furthest(ends[1][0], ends[5][0]) < 1e-12
    assert ends[1][1] == pytest.approx(ends[5][1], rel=1e-12)
    assert len(ends[1][1]) == STEPS


@pytest.mark.parametrize("strategy", ["pmap", "jit"])
def test_a_chunk_takes_over_the_memory_of_the_state(strategy: str) -> None:
    config = small(model={"name": "mlp", "depth": 3, "width": 8}, parallel={"devices": 2, "strategy": strategy})
    _, advance, states, keys, orders, data = chunked(config)
    found, _, _ = advance(states, keys, orders, jnp.asarray(0), jnp.asarray(1), data)
    assert states.params.is_deleted()
    assert not found.params.is_deleted()


@pytest.mark.usefixtures("double")
def test_a_chunk_is_the_step_called_by_hand() -> None:
    """In float64, with convolutions, augmentation and a border of epochs: chunks of 3 and 1 against the jitted step."""
    config = small(
        model={"depth": 5, "branch": "single", "width": 4, "norm_group": 256},
        data={"augment": True},
        train={"precision": "float64", "batch_size": 512},
        parallel={"strategy": "jit", "devices": 1, "chunk": 3},
    )
    assert len(digits().train.labels) < 4 * 512
    assert furthest(stepped(config, 4), steps_of(config, 4)[0]) < 1e-10


@pytest.mark.usefixtures("double")
def test_seeds_side_by_side_and_in_turn_are_the_same() -> None:
    ends = []
    for axis in ("map", "vmap"):
        config = small(
            model={"depth": 5, "branch": "single", "width": 4},
            train={"precision": "float64"},
            parallel={"devices": 1, "chunk": 3, "seeds_axis": axis},
        )
        config.seeds = 2
        ends.append(steps_of(config, 3))
    assert furthest(ends[0][0], ends[1][0]) < 1e-9
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-9)


def test_nothing_is_compiled_again_whatever_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes, tests and checkpoints at odd steps make chunks of many lengths; each program is compiled once."""
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e9)
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8},
        train={"steps": 23, "evaluate_every": 7},
        probes={"at": [2, 3, 11]},
        checkpoint={"every": 5},
    )
    with jax.log_compiles(), warnings_of_compilation() as said:
        rows = rows_of(config)
    assert {row.step for row in rows if isinstance(row, Layers)} == {2, 3, 11, 23}
    # The chunk itself is compiled ahead of time: other arguments would be refused.
    finished = [line for line in said if line.startswith("Finished XLA compilation")]
    for program in ("jit(probe)", "jit(sums)"):
        assert sum(program in line for line in finished) == 1, finished


def test_a_run_without_probes_compiles_none() -> None:
    """And trains as the others: its losses are theirs to the last bit."""
    probes = {"at": [], "last": False}
    mlp, train = {"name": "mlp", "depth": 5, "width": 8}, {"steps": 7}
    with jax.log_compiles(), warnings_of_compilation() as said:
        rows = rows_of(small(model=mlp, train=train, probes=probes))
    assert not [row for row in rows if isinstance(row, Layers)]
    assert not [line for line in said if "jit(probe)" in line]
    probed = rows_of(small(model=mlp, train=train))
    assert [row for row in rows if isinstance(row, Metrics)] == [row for row in probed if isinstance(row, Metrics)]


def test_the_last_look_can_be_left_out() -> None:
    """And what goes on from a snapshot leaves it out as well."""
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8},
        train={"steps": 7},
        probes={"at": [0, 5], "last": False},
        checkpoint={"every": 4},
    )
    rows = rows_of(config)
    assert [row.step for row in rows if isinstance(row, Layers)] == [0, 5]
    snapshot = next(row for row in rows if isinstance(row, Snapshot))
    again = list(fit(config, digits(), snapshot))
    assert [row.step for row in again if isinstance(row, Layers)] == [5]
    assert again[-1].digest == rows[-1].digest


def test_without_probes_a_divergence_is_still_placed() -> None:
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8},
        train={"steps": 7},
        schedule={"learning_rate": 1e30},
        probes={"at": [], "last": False},
    )
    [outcome] = rows_of(config)[-1].outcomes
    assert outcome.diverged_at is not None
    assert outcome.first_bad_layer


@contextmanager
def warnings_of_compilation() -> Iterator[list[str]]:
    """What JAX says that it compiles."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("jax")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def first_norms(config: Config, seed: int) -> list[float]:
    """Of each weight layer, in forward order, at step 0."""
    programs = prepare(config, digits())
    place = programs.seeds.index(seed)
    state, keys = (jax.tree.map(lambda leaf: leaf[place], tree) for tree in (programs.states, programs.keys))
    images, labels = programs.supply.batch_of(keys, jnp.asarray(0), programs.supply.data)
    model, (params_packing, _) = programs.model, packings(programs.model)

    def loss(params: object) -> jax.Array:
        return objective(model, model.apply(params, {}, images, Mode(True, 8)), labels)

    grads = jax.jit(jax.grad(loss))(params_packing.unpack(state.params))
    found = []
    for info in model.weight_layers:
        leaf = grads
        for key in info.path:
            leaf = leaf[key]
        found.append(float(np.linalg.norm(leaf if info.index is None else leaf[info.index])))
    return found


def test_the_training_gradients_norms_are_those_of_the_step() -> None:
    """At every logged step and seed; at step 0 layer by layer what jax.grad gives on that step's batch."""
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8, "norm": "none"},
        train={"steps": 9, "log_every": 2},
        probes={"train_grad_norm": True},
    )
    config.seeds = 2
    rows = rows_of(config)
    parts = [row.columns for row in rows if isinstance(row, TrainLayers)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert sorted(set(zip(columns["step"], columns["seed"], strict=True))) == [
        (s, k) for s in range(0, 9, 2) for k in (0, 1)
    ]
    assert list(columns["layer"][:5]) == [0, 1, 2, 3, 4]
    for seed in (0, 1):
        here = columns["train_grad_norm"][(columns["step"] == 0) & (columns["seed"] == seed)]
        assert here == pytest.approx(first_norms(config, seed), rel=1e-4)
    first = next(row.columns for row in rows if isinstance(row, Layers) and row.step == 0)
    assert set(columns["name"]) == set(first["name"][first["kind"] != "unit"])


def test_a_test_that_is_due_is_told_whatever_is_logged() -> None:
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8},
        train={"steps": 12, "log_every": 5, "evaluate_every": 3},
        schedule={"name": "step", "learning_rate": 0.08, "boundaries": [0.5]},
    )
    rows = [row for row in rows_of(config) if isinstance(row, Metrics)]
    assert [row.step for row in rows if "test_error" in row.values] == [0, 3, 6, 9, 12]
    assert [row.step for row in rows if "train_loss" in row.values] == [0, 3, 5, 6, 9, 10]
    rates = {row.step: row.values["learning_rate"] for row in rows if "learning_rate" in row.values}
    assert rates == pytest.approx({0: 0.08, 3: 0.08, 5: 0.08, 6: 0.008, 9: 0.008, 10: 0.008})


def held_out() -> Config:
    """Two seeds; 37 training examples are held out, and evaluated at steps 0, 4 and 6."""
    config = small(
        model={"name": "mlp", "depth": 3, "width": 8},
        data={"validation_examples": 37},
        train={"steps": 6, "evaluate_every": 4},
    )
    config.seeds = 2
    return config


def test_the_held_out_examples_are_evaluated_with_the_test_set() -> None:
    """At the end as the network's own forward pass gives it, with the mean of the examples that are left."""
    config = held_out()
    rows = rows_of(config)
    for name in ("validation_error", "test_error"):
        assert [row.step for row in rows if isinstance(row, Metrics) and name in row.values] == [0, 0, 4, 4, 6, 6]
    model, states, _, _ = started(config)
    state = jax.tree.map(jnp.asarray, from_arrays(model, states, last_state(rows)))
    whole = digits()
    left, out = whole.train.images[:-37] / 255, whole.train.images[-37:] / 255
    images, labels = jnp.asarray((out - left.mean(0)) / (left - left.mean(0)).std(), jnp.float32), whole.train.labels
    params, stats = packings(model)
    logits_of = jax.jit(lambda *values: model.apply(*values, images, EVALUATE).logits)
    for seed in (0, 1):
        logits = logits_of(params.unpack(state.params[seed]), stats.unpack(state.batch_stats[seed]))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[-37:])
        assert series(rows, "validation_loss", seed)[-1] == pytest.approx(float(losses.mean()), rel=1e-4)
        wrong = np.mean(logits.argmax(-1) != labels[-37:])
        assert series(rows, "validation_error", seed)[-1] == pytest.approx(float(wrong))


def test_training_sees_nothing_of_what_is_held_out() -> None:
    config, (train, test) = held_out(), arrays()
    inverted = train[0].copy()
    inverted[-37:] = 255 - inverted[-37:]
    same, other = (
        list(fit(config, resident.assemble(config.data, ((images, train[1]), test), 10, {})))
        for images in (train[0], inverted)
    )
    assert same[-1].digest == other[-1].digest
    assert series(same, "test_loss") == series(other, "test_loss")
    assert series(same, "validation_loss") != series(other, "validation_loss")
    config.data.validation_examples = None
    assert rows_of(config)[-1].digest != same[-1].digest


@pytest.mark.parametrize(("count", "batch", "advice"), [(1430, 16, "1421"), (1, 1437, "null")])
def test_a_batch_is_left_to_train_on(count: int, batch: int, advice: str) -> None:
    config = small(data={"validation_examples": count}, train={"batch_size": batch}, model={"norm": "none"})
    says = f"data.validation_examples={count} leaves .*={batch}.\nType: data.validation_examples={advice}$"
    with pytest.raises(InputError, match=says):
        rows_of(config)


def test_an_update_that_is_not_finite_is_a_divergence_and_is_not_kept() -> None:
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8},
        schedule={"learning_rate": 3e38},
        optimizer={"weight_decay": 1e6},  # part of the update, not of the gradient that is checked
        train={"steps": 1},
    )
    rows = rows_of(config)
    finished = rows[-1]
    assert isinstance(finished, Finished)
    assert finished.outcomes[0].diverged_at == 0
    assert all(np.isfinite(array).all() for name, array in last_state(rows).items() if name.startswith("params"))


def test_a_last_test_that_is_not_finite_is_a_divergence() -> None:
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8, "norm": "none"},
        schedule={"learning_rate": 1e30},
        train={"steps": 1},
    )
    finished = rows_of(config)[-1]
    assert isinstance(finished, Finished)
    assert finished.outcomes[0].diverged_at in (0, 1)


def test_a_probe_batch_larger_than_the_data_is_refused() -> None:
    config = small(probes={"batch_size": 1440})
    with pytest.raises(InputError, match=r"probes.batch_size=1437"):
        rows_of(config)
