import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from resjax import records
from resjax.durable import write_whole
from resjax.errors import InputError
from resjax.records import Recorder
from resjax.rows import Layers, Metrics, TrainLayers


def facts(identity: str = "a" * 64) -> dict[str, Any]:
    return {"id": identity, "name": "run", "seeds": [{"seed": 0, "outcome": "pending"}]}


def layers(step: int, value: float = 1.0) -> Layers:
    columns: dict[str, np.ndarray] = {
        "seed": np.array([0, 0]),
        "layer": np.array([0, 0]),
        "name": np.array(["stem.conv", "stem"]),
        "stage": np.array([0, 0]),
        "kind": np.array(["conv", "unit"]),
    }
    return Layers(step, columns | {name: np.array([value, np.nan]) for name in records.QUANTITIES})


def written(folder: Path) -> Path:
    with Recorder(folder, facts()) as recorder:
        for step in (0, 1):
            recorder.layers(layers(step))
            recorder.metrics(Metrics(step, 0, {"train_loss": 2.0 - step, "grad_norm": float("inf") if step else 1.0}))
        recorder.finish("done", times={"train": 1.0}, digest="d")
    return folder


def test_a_finished_run(tmp_path: Path) -> None:
    folder = written(tmp_path / "sweep" / "run")
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "done"
    assert run["digest"] == "d"
    assert set(run["times"]) == {"train", "total"}
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "layers.parquet",
        "log.txt",
        "metrics.jsonl",
        "run.json",
    ]


def test_a_value_that_is_not_finite_is_null_beside_a_flag(tmp_path: Path) -> None:
    lines = (written(tmp_path / "run") / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON")) for line in lines]
    assert rows[0] == {"step": 0, "seed": 0, "train_loss": 2.0, "grad_norm": 1.0}
    assert rows[1] == {"step": 1, "seed": 0, "train_loss": 1.0, "grad_norm": None, "not_finite": ["grad_norm"]}


def test_layers_are_tidy_and_a_quantity_without_meaning_is_null(tmp_path: Path) -> None:
    frame = pl.read_parquet(written(tmp_path / "run") / "layers.parquet")
    assert frame.schema == pl.Schema(records.LAYERS_SCHEMA)
    assert frame["step"].to_list() == [0, 0, 1, 1]
    assert frame["grad_norm"].to_list() == [1.0, None, 1.0, None]


def test_reading_back(tmp_path: Path) -> None:
    written(tmp_path / "sweep" / "run")
    sweep = records.read(tmp_path / "sweep")
    assert [run["status"] for run in sweep.runs] == ["done"]
    assert sweep.metrics["run"].unique().to_list() == ["a" * 64]
    assert sweep.metrics["train_loss"].to_list() == [2.0, 1.0]
    assert sweep.metrics["not_finite"].to_list() == [None, ["grad_norm"]]
    assert len(sweep.layers) == 4


def test_runs_with_and_without_a_validation_set_are_read_together(tmp_path: Path) -> None:
    """A row without one is as it was before there were such columns."""
    written(tmp_path / "sweep" / "run")
    with Recorder(tmp_path / "sweep" / "other", facts("b" * 64)) as recorder:
        recorder.metrics(Metrics(0, 0, {"test_error": 0.5, "validation_loss": 1.5, "validation_error": float("nan")}))
        recorder.finish("done")
    metrics = records.read(tmp_path / "sweep").metrics.sort("run", "step")
    assert metrics["validation_loss"].to_list() == [None, None, 1.5]
    assert metrics["validation_error"].to_list() == [None, None, None]
    assert metrics["not_finite"].to_list() == [None, ["grad_norm"], ["validation_error"]]


def test_what_training_saw_of_its_layers_is_a_table_of_its_own(tmp_path: Path) -> None:
    """Parts of several steps each; while the run goes on, and when it is done."""
    key = {name: layers(0).columns[name][:1] for name in ("layer", "name", "stage", "kind")}
    with Recorder(tmp_path / "sweep" / "run", facts()) as recorder:
        for start in (0, 2):
            columns = {name: np.repeat(column, 2) for name, column in key.items()}
            norms = {"seed": np.array([0, 0]), "train_grad_norm": np.array([start, np.nan])}
            recorder.train_layers(TrainLayers({"step": np.array([start, start + 1])} | norms | columns))
        recorder.layers(layers(0))
        running = records.read_train_layers(tmp_path / "sweep")
        recorder.finish("done")
    done = records.read_train_layers(tmp_path / "sweep")
    assert done["step"].to_list() == [0, 1, 2, 3]
    assert done["train_grad_norm"].to_list() == [0.0, None, 2.0, None]
    assert done.equals(running)
    assert records.read(tmp_path / "sweep").layers["step"].to_list() == [0, 0], "the probes' table knows nothing of it"
    assert (tmp_path / "sweep" / "run" / "train_layers.parquet").exists()
    assert not (tmp_path / "sweep" / "run" / records.PARTS).exists()


def test_a_run_in_two_sweeps_is_read_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        written(tmp_path / name / "run")
    sweep = records.read(tmp_path / "one", tmp_path / "two")
    assert len(sweep.runs) == 1
    assert len(sweep.metrics) == 2


def fail(folder: Path) -> None:
    with Recorder(folder, facts()) as recorder:
        recorder.layers(layers(0))
        recorder.metrics(Metrics(0, 0, {"train_loss": 5.0}))
        _ = 1 / 0


def test_an_exception_is_recorded_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "run")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["status"] == records.state(tmp_path / "run") == "failed"
    assert run["error"] == "ZeroDivisionError: division by zero"
    assert "ZeroDivisionError" in (tmp_path / "run" / "error.txt").read_text()
    assert (tmp_path / "run" / "layers.parquet").exists(), "what was measured until then is kept"


def test_an_interrupt_is_preempted_not_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Recorder(tmp_path / "run", facts()):
        raise KeyboardInterrupt
    assert records.state(tmp_path / "run") == "preempted"


def die_while_writing(folder: Path) -> None:
    with Recorder(folder, facts()) as recorder:
        recorder.layers(layers(0))
        recorder.metrics(Metrics(0, 0, {"train_loss": 2.0}))
        os.write(recorder.metrics_file, b'{"step": 1, "seed"')
        (folder / records.PARTS / "layers-000000001.parquet.new").write_bytes(b"half")
        os._exit(9)


def test_a_kill_leaves_whole_rows_and_is_seen(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=die_while_writing, args=(tmp_path / "sweep" / "run",))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert records.state(tmp_path / "sweep" / "run") == "cut off"
    sweep = records.read(tmp_path / "sweep")
    assert sweep.metrics["step"].to_list() == [0]
    assert sweep.layers["step"].to_list() == [0, 0]


def test_another_attempt_sets_the_first_aside(tmp_path: Path) -> None:
    folder = tmp_path / "sweep" / "run"
    with pytest.raises(ZeroDivisionError):
        fail(folder)
    written(folder)
    assert not (folder / "error.txt").exists()
    assert records.read(tmp_path / "sweep").metrics["train_loss"].to_list() == [2.0, 1.0]
    (aside,) = (tmp_path / "sweep" / records.ATTEMPTS).iterdir()
    assert "5.0" in (aside / "metrics.jsonl").read_text()


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    with Recorder(tmp_path / "run", facts()) as recorder:
        assert records.state(tmp_path / "run") == "running"
        with pytest.raises(InputError, match="another process"), Recorder(tmp_path / "run", facts()):
            pass
        recorder.finish("done")
    assert records.state(tmp_path / "run") == "done"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_text()
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "run" / "run.json", b"{}")
    assert (tmp_path / "run" / "run.json").read_text() == before


def test_a_sweep_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    written(tmp_path / "runs" / "depth" / "run")
    assert records.find("depth", str(tmp_path / "runs")) == tmp_path / "runs" / "depth"
    with pytest.raises(InputError, match="one of: depth"):
        records.find("dept", str(tmp_path / "runs"))


def test_a_failure_leaves_a_damaged_run_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b"{")
    records.fail(tmp_path, "killed", "its process died", "the trace")
    assert (tmp_path / "run.json").read_bytes() == b"{"
    assert records.state(tmp_path) == "damaged"
    assert "the trace" in (tmp_path / "error.txt").read_text()


def test_records_that_cannot_be_read_are_a_problem_and_no_crash(tmp_path: Path) -> None:
    mark = {"step": 1, "metrics_bytes": 3, "metrics_sha256": "", "parts_sha256": ""}
    (tmp_path / "metrics.jsonl").mkdir()
    assert "cannot be read" in (records.problem(tmp_path, mark) or "")
