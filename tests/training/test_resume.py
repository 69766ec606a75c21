"""From any Snapshot fit yields bit for bit what the run yielded from there; asked to stop, it ends with one."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from problems import digits, last_state, plain, rows_of, small, started

from resjax.config import Config
from resjax.errors import InputError
from resjax.rows import Finished, Metrics, Row, Snapshot, Started, Stopped
from resjax.training.loop import fit
from resjax.training.state import from_arrays, to_arrays

# Random crops, dropped branches, a warm-up that ends, adam's count: everything that a state must not lose.
NETS: dict[str, Callable[[], Config]] = {
    "mlp": lambda: small(
        model={"name": "mlp", "depth": 5, "width": 8},
        optimizer={"name": "adam"},
        train={"steps": 12, "evaluate_every": 5},
        probes={"at": [0, 4, 9], "train_grad_norm": True},
        checkpoint={"every": 4},
    ),
    "held out": lambda: small(
        model={"name": "mlp", "depth": 3, "width": 8},
        data={"validation_examples": 37},
        train={"steps": 12, "evaluate_every": 5},
        checkpoint={"every": 4},
    ),
    "resnet": lambda: small(
        model={"depth": 8, "shortcut": "stochastic_depth"},
        data={"augment": True},
        train={"steps": 7},
        schedule={"name": "step", "warmup_learning_rate": 0.01, "warmup_error": 0.89},
        probes={"at": [0, 3]},
        checkpoint={"every": 3},
    ),
}


@cache
def whole(net: str) -> list[Row]:
    config = NETS[net]()
    config.seeds = 2
    return rows_of(config)


def resumed(net: str, snapshot: Snapshot) -> list[Row]:
    config = NETS[net]()
    config.seeds = 2
    return list(fit(config, digits(config.data.validation_examples), snapshot))


@pytest.mark.parametrize("net", ["mlp", "held out", pytest.param("resnet", marks=pytest.mark.slow)])
def test_from_every_snapshot_the_rest_comes_again(net: str) -> None:
    rows = whole(net)
    places = [index for index, row in enumerate(rows) if isinstance(row, Snapshot)]
    assert len(places) == 3
    for place in places[::2] if net == "mlp" else places[:1]:
        again = resumed(net, rows[place])
        assert isinstance(again[0], Started)
        assert [plain(row) for row in again[1:]] == [plain(row) for row in rows[place + 1 :]]


def test_a_snapshot_says_where_the_stream_is() -> None:
    snapshots = [row for row in whole("mlp") if isinstance(row, Snapshot)]
    assert [(row.epoch, row.place) for row in snapshots] == [divmod(step * 16, 1437) for step in (4, 8, 12)]
    assert set(snapshots[0].root_keys) == {0, 1}


def test_what_diverged_stays_so() -> None:
    config = small(
        model={"name": "mlp", "depth": 5, "width": 8, "norm": "none"},
        schedule={"learning_rate": 1e30},
        train={"steps": 50},
    )
    rows = rows_of(config)
    (snapshot,) = [row for row in rows if isinstance(row, Snapshot)]
    again = list(fit(config, digits(), snapshot))
    assert [type(row) for row in again] == [Started, Finished]
    assert again[-1].outcomes == rows[-1].outcomes
    assert again[-1].digest == rows[-1].digest


def test_an_array_of_another_network_is_refused() -> None:
    model, states, _, _ = started(NETS["mlp"]())
    arrays, kernel = to_arrays(model, states), "params/head/dense/kernel"
    assert from_arrays(model, states, arrays).params.tobytes() == np.asarray(states.params).tobytes()
    for wrong in (arrays[kernel][:, :-1], arrays[kernel].astype(np.float64)):
        with pytest.raises(InputError, match=kernel):
            from_arrays(model, states, arrays | {kernel: wrong})
    with pytest.raises(InputError, match="more"):
        from_arrays(model, states, arrays | {"more": np.zeros(1)})


def test_other_random_numbers_are_refused() -> None:
    snapshot = next(row for row in whole("mlp") if isinstance(row, Snapshot))
    with pytest.raises(InputError, match="random numbers"):
        resumed("mlp", replace(snapshot, root_keys={0: [1, 2], 1: [3, 4]}))


@pytest.mark.parametrize("polls", [0, 1, 3, 6])
def test_asked_to_stop_it_ends_with_its_state(polls: int) -> None:
    left = [polls]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    config = NETS["mlp"]()
    config.seeds = 2
    rows = list(fit(config, digits(), None, stop))
    stopped = rows[-1]
    assert isinstance(stopped, Stopped)
    told = [row for row in rows if isinstance(row, Metrics)]
    assert len(told) == 2 * stopped.step, "every step before is told"
    if stopped.step:
        assert last_snapshot(rows).step == stopped.step
        again = resumed("mlp", last_snapshot(rows))
        assert again[-1].digest == whole("mlp")[-1].digest
        told += [row for row in again if isinstance(row, Metrics)]
        assert [plain(row) for row in told] == [plain(row) for row in whole("mlp") if isinstance(row, Metrics)]


def last_snapshot(rows: list[Row]) -> Snapshot:
    return [row for row in rows if isinstance(row, Snapshot)][-1]


def test_a_checkpoint_is_due_by_the_clock_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from resjax.training import agenda

    config = NETS["mlp"]()
    config.seeds, config.checkpoint.every, config.probes.at = 2, 0, []
    config.parallel.chunk = 3
    monkeypatch.setattr(agenda, "late", lambda config, seconds: True)
    rows = rows_of(config)
    assert len([row for row in rows if isinstance(row, Snapshot)]) > 3
    assert rows[-1].digest == whole("mlp")[-1].digest
    assert last_state(rows).keys() == last_snapshot(whole("mlp")).arrays.keys()
