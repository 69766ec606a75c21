"""wandb mirrors the records, and whatever happens to it costs a run nothing."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resjax.config import Config
from resjax.records import QUANTITIES, Recorder
from resjax.rows import Layers, Metrics, TrainLayers
from resjax.tracking import NoTracker, Tracking, WandbTracker, layer_series, means


def facts() -> dict[str, Any]:
    return {
        "id": "a" * 64,
        "name": "resnet8-plain",
        "group": "b" * 64,
        "arm": "plain",
        "config": {"model": {"depth": 8}},
        "data": {"digest": "c"},
        "model": {"parameters": 3},
        "seeds": [{"seed": 0, "outcome": "finite"}],
        "status": "done",
    }


def layers(step: int) -> Layers:
    columns: dict[str, np.ndarray] = {
        "seed": np.array([0, 1, 0, 1]),
        "layer": np.array([0, 0, 1, 1]),
        "name": np.array(["stem.conv", "stem.conv", "head", "head"]),
        "stage": np.array([0, 0, 4, 4]),
        "kind": np.array(["conv", "conv", "dense", "dense"]),
    }
    nothing = {name: np.full(4, np.nan) for name in QUANTITIES}
    return Layers(step, columns | nothing | {"grad_norm": np.array([1.0, 4.0, 3.0, 3.0])})


def test_a_layers_series_is_the_geometric_mean_over_seeds() -> None:
    columns = layers(0).columns | {"step": np.full(4, 7)}
    means = pytest.approx({"grad_norm/000 stem.conv": 2.0, "grad_norm/001 head": 3.0})
    assert dict(layer_series(columns, "grad_norm", "act_grad_norm")) == {7: means}


def test_a_series_of_training_leaves_out_what_is_not_finite_or_0() -> None:
    """Two steps, two seeds, two layers; at step 4 layer 1 has nothing to show."""
    columns = {
        "step": np.repeat([3, 4], 4),
        "seed": np.tile(np.repeat([0, 1], 2), 2),
        "layer": np.tile([0, 1], 4),
        "name": np.tile(["stem.conv", "head"], 4),
        "train_grad_norm": np.array([1.0, 3.0, 4.0, np.nan, 2.0, 0.0, 2.0, np.inf]),
    }
    stem, head = "train_grad_norm/000 stem.conv", "train_grad_norm/001 head"
    assert dict(layer_series(columns, "train_grad_norm")) == {
        3: pytest.approx({stem: 2.0, head: 3.0}),
        4: pytest.approx({stem: 2.0}),
    }


def test_means_are_over_the_seeds_that_are_finite() -> None:
    values = {"train_loss/seed0": 1.0, "train_loss/seed1": 3.0, "train_loss/seed2": float("inf"), "step": 4.0}
    assert means(values) == {"train_loss/mean": 2.0}


def mirrored(config: Config, folder: Path, tracking: Tracking, said: list[str]) -> NoTracker | WandbTracker:
    with Recorder(folder, facts()) as recorder:
        tracker = tracking.open(config, recorder.run, folder, said.append)
        for step in range(3):
            for row in (Metrics(step, 0, {"train_loss": 2.0 - step}), layers(step)):
                if isinstance(row, Layers):
                    recorder.layers(row)
                tracker.row(row)
        columns = {name: np.tile(layers(0).columns[name], 2) for name in ("seed", "layer", "name", "stage", "kind")}
        norms = {"train_grad_norm": np.array([1.0, 4.0, 3.0, 3.0] * 2)}
        tracker.row(TrainLayers({"step": np.repeat([1, 2], 4)} | columns | norms))
        recorder.finish("done")
        tracker.close(recorder.run, folder)
    return tracker


def test_offline_needs_no_key_and_what_is_written_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    said: list[str] = []
    tracker = mirrored(Config(), tmp_path / "run", Tracking(), said)
    assert isinstance(tracker, WandbTracker)
    assert said == []
    (binary,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    history = read_back(binary)
    assert [row["step"] for row in history if "train_loss/seed0" in row] == [0, 1, 2]
    assert [row["train_loss/mean"] for row in history if "train_loss/mean" in row] == [2.0, 1.0, 0.0]
    assert [row["grad_norm/000 stem.conv"] for row in history if "grad_norm/000 stem.conv" in row] == [2.0] * 3
    trained = [row for row in history if "train_grad_norm/000 stem.conv" in row]
    assert [(row["step"], row["train_grad_norm/000 stem.conv"]) for row in trained] == [(1, 2.0), (2, 2.0)]
    assert any(key.startswith("gradient norm by layer and step") for row in history for key in row), "the heat-map"


def read_back(binary: Path) -> list[dict[str, Any]]:
    """The history of an offline run, as wandb's own command reads it."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(binary)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return [record["history"]["item"] for record in records if record["type"] == "history"]


def test_a_server_that_is_not_reached_is_waited_for_once_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as deaf:  # takes connections, and never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.delenv("WANDB_MODE")
        config, tracking, said = Config(), Tracking(), list[str]()
        config.tracker.mode = "online"
        began = time.perf_counter()
        for name in ("first", "second", "third"):
            mirrored(config, tmp_path / name, tracking, said)
        seconds = time.perf_counter() - began
    assert seconds < 20, f"{seconds:.0f} s for a sweep"
    assert len([line for line in said if "not reached" in line]) == 1
    for name in ("first", "second", "third"):
        assert json.loads((tmp_path / name / "run.json").read_text())["status"] == "done"
        assert list((tmp_path / name / "wandb").glob("offline-run-*/run-*.wandb"))


def test_a_tracker_that_breaks_is_left_behind(tmp_path: Path) -> None:
    said: list[str] = []
    tracker = Tracking().open(Config(), facts(), tmp_path, said.append)
    assert isinstance(tracker, WandbTracker)
    tracker.mirror.finish()
    for step in range(3):
        tracker.row(Metrics(step, 0, {"train_loss": 1.0}))
    assert tracker.broken
    assert len(said) == 1


def test_none_is_no_tracker() -> None:
    config = Config()
    config.tracker.name = "none"
    assert isinstance(Tracking().open(config, facts(), Path(), print), NoTracker)
