"""wandb mirrors the records, and whatever happens to it costs a run nothing."""

import json
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
from offline_runs import read_back

from resjax.config import Config
from resjax.errors import InputError
from resjax.identity import canonical
from resjax.records import QUANTITIES, Recorder, read_layers
from resjax.report import presets, run_tables, series
from resjax.rows import Layers, Metrics, TrainLayers
from resjax.tracking import NoTracker, Tracking, WandbTracker, mirror, register
from resjax.tracking.series import MOST_LAYERS, layer_series, means, thinned

STEPS = 2


def facts() -> dict[str, Any]:
    config = Config()
    config.train.steps = STEPS
    return {
        "id": "a" * 64,
        "name": "resnet8-plain",
        "group": "b" * 64,
        "arm": "plain",
        "config": asdict(config),
        "canonical": canonical(config, devices=2),
        "data": {"digest": "c"},
        "model": {"parameters": 3},
        "seeds": [{"seed": seed, "outcome": "finite", "diverged_at": None, "first_bad_layer": None} for seed in (0, 1)],
        "status": "done",
    }


def layers(step: int) -> Layers:
    """Two weight layers and four units of two seeds; |dL/dh| doubles from a unit to the one before."""
    columns: dict[str, np.ndarray] = {
        "seed": np.repeat([0, 1], 6),
        "layer": np.tile([0, 1, 0, 1, 2, 3], 2),
        "name": np.tile(["stem.conv", "head", "stem", "unit1", "unit2", "unit3"], 2),
        "stage": np.tile([0, 4, 1, 1, 1, 1], 2),
        "kind": np.tile(["conv", "dense", *["unit"] * 4], 2),
        "layer_depth": np.tile([1, 9, 1, 3, 5, 7], 2),
    }
    nothing, no = dict.fromkeys(QUANTITIES, np.full(12, np.nan)), np.nan
    known = {
        "grad_norm": np.array([1.0, 3.0, *[no] * 4, 4.0, 3.0, *[no] * 4]),
        "grad_snr": np.array([0.5, 0.5, *[no] * 4, 0.5, 0.5, *[no] * 4]),
        "response_std": np.array([1.0, no, 1.0, 1.0, 1.0, 1.0] * 2),
        "act_grad_norm": np.array([no, no, 8.0, 4.0, 2.0, 1.0, no, no, 16.0, 8.0, 4.0, 2.0]),
        "act_var": np.array([no, no, 1.0, 2.0, 3.0, 4.0] * 2),
    }
    return Layers(step, columns | nothing | known)


def test_a_layers_series_is_the_geometric_mean_over_seeds() -> None:
    columns = layers(0).columns | {"step": np.full(12, 7)}
    means = pytest.approx({"grad_norm/000 stem.conv": 2.0, "grad_norm/001 head": 3.0})
    assert dict(layer_series(columns, "grad_norm", "what was not looked at")) == {7: means}


@pytest.mark.parametrize(("depth", "weights", "units"), [(20, 20, 10), (110, 110, 55), (1202, 135, 121)])
def test_deep_nets_series_are_thinned_as_in_the_report(depth: int, weights: int, units: int) -> None:
    """The last layer stays; a run of depth 1202 has fewer than a thousand keys."""
    columns = {
        "layer": np.concatenate([np.arange(depth), np.arange(depth // 2)]),
        "kind": np.repeat(["conv", "unit"], [depth, depth // 2]),
    }
    kept = {units: thinned(columns, units)["layer"] for units in (False, True)}
    assert (len(kept[False]), len(kept[True])) == (weights, units)
    assert (kept[False][-1], kept[True][-1]) == (depth - 1, depth // 2 - 1)
    assert MOST_LAYERS == series.MOST_LAYERS
    assert 4 * weights + 2 * units < 1000


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
        for step in range(STEPS + 1):
            for row in (Metrics(step, 0, {"train_loss": 2.0 - step}), layers(step)):
                if isinstance(row, Layers):
                    recorder.layers(row)
                tracker.row(row)
        columns = {name: layers(0).columns[name] for name in ("seed", "layer", "name", "stage", "kind", "layer_depth")}
        twice = {name: np.tile(column, 2) for name, column in columns.items()}
        norms = {"train_grad_norm": np.tile(layers(0).columns["grad_norm"], 2)}
        tracker.row(TrainLayers({"step": np.repeat([1, 2], 12)} | twice | norms))
        recorder.finish("done")
        tracker.close(recorder.run, folder)
    return tracker


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder, without a key and without an entity."""
    folder, said = tmp_path_factory.mktemp("offline") / "run", list[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_API_KEY", raising=False)
        patch.delenv("WANDB_ENTITY", raising=False)
        config = Config(runs="/home/somebody/runs")
        config.data.root = "/home/somebody/data"
        assert isinstance(mirrored(config, folder, Tracking(), said), WandbTracker)
    assert said == []
    return folder


def test_offline_needs_no_key_and_what_is_written_reads_back(offline: Path) -> None:
    written = read_back(offline)
    history = written["history"]
    assert [row["step"] for row in history if "train_loss/seed0" in row] == [0, 1, 2]
    assert [row["train_loss/mean"] for row in history if "train_loss/mean" in row] == [2.0, 1.0, 0.0]
    seen = {"grad_norm/000 stem.conv": 2.0, "grad_snr/001 head": 0.5, "response_std/000 stem.conv": 1.0}
    for key, value in (seen | {"act_grad_norm/003 unit3": 2**0.5, "act_var/001 unit1": 2.0}).items():
        assert [row[key] for row in history if key in row] == pytest.approx([value] * 3)
    assert not [row for row in history if "response_std/000 stem" in row], "a unit's is its last layer's"
    trained = [row for row in history if "train_grad_norm/000 stem.conv" in row]
    assert [(row["step"], row["train_grad_norm/000 stem.conv"]) for row in trained] == [(1, 2.0), (2, 2.0)]
    assert any(key.startswith("gradient norm by layer and step") for row in history for key in row), "the heat-map"
    assert not [key for key in written["config"] if "visualize" in key], "no preset can be named"
    assert len(tables(offline)) == len(presets.TITLES)


def test_the_mirror_knows_neither_paths_nor_words(offline: Path) -> None:
    """wandb's own record of the machine would tell them, and its name."""
    (binary,) = offline.glob("wandb/offline-run-*/run-*.wandb")
    said = binary.read_bytes()
    assert b"stem.conv" in said, "it is no compressed file"
    for secret in (sys.executable, str(Path.cwd()), "/home/somebody"):
        assert secret.encode() not in said, secret


def test_runs_can_be_sorted_by_what_their_gradients_do(offline: Path) -> None:
    summary = read_back(offline)["summary"]
    assert {
        "status": "done",
        "arm": "plain",
        "depth": Config().model.depth,
        "norm": "batch",
        "parameters": 3,
    }.items() <= summary.items()
    for moment in ("step 0", "end"):
        factors = [summary[f"gradient/{moment}/{name}"] for name in ("ratio", "rate", "range")]
        assert factors == pytest.approx([8.0, 2**0.5, 8.0]), "two layers a unit"
        assert (summary[f"gradient/{moment}/n"], summary[f"gradient/{moment}/class"]) == (2, "healthy")


def test_with_an_entity_the_charts_name_its_presets_and_their_tables_are_the_records(tmp_path: Path) -> None:
    config, said = Config(), list[str]()
    config.tracker.entity = "someone"
    mirrored(config, tmp_path / "run", Tracking(), said)
    assert said == []
    written, found = read_back(tmp_path / "run")["config"], tables(tmp_path / "run")
    expected = run_tables.tables(run_tables.one_run(facts(), read_layers(tmp_path / "run")))
    assert set(found) == set(expected) == set(presets.TITLES)
    for name, table in expected.items():
        panel = written[f"_wandb.visualize.charts/{name}"]["panel_config"]
        assert panel["panelDefId"] == f"someone/{presets.preset(name)}"
        assert panel["stringSettings"] == {"title": presets.TITLES[name]}
        assert panel["fieldSettings"] == {field: field for field in presets.fields(name)}
        assert found[name]["columns"] == table.columns
        assert found[name]["data"] == [list(row) for row in table.iter_rows()]
        assert f"charts/{name}_table" in json.dumps(panel["userQuery"])


def tables(folder: Path) -> dict[str, Any]:
    """The tables of an offline run, as the files they are, by their charts."""
    paths = folder.glob("wandb/offline-run-*/files/media/table/*/charts/*.table.json")
    return {path.name.split("_table_")[0]: json.loads(path.read_text()) for path in paths}


def test_charts_that_fail_are_said_and_the_rest_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError("no charts today")

    monkeypatch.setattr(run_tables, "tables", fails)
    said: list[str] = []
    mirrored(Config(), tmp_path / "run", Tracking(), said)
    assert said == ["wandb has no charts of this run, the records are whole: no charts today"]
    assert read_back(tmp_path / "run")["summary"]["status"] == "done"


def test_a_run_that_looked_at_nothing_has_no_charts(tmp_path: Path) -> None:
    said: list[str] = []
    tracker = Tracking().open(Config(), facts(), tmp_path, said.append)
    tracker.close(facts(), tmp_path)
    assert said == []
    assert read_back(tmp_path)["summary"]["status"] == "done"


class Account:
    """wandb's API, which has one of the presets already."""

    def __init__(self, **_: Any) -> None:
        self.made = MADE

    def create_custom_chart(self, **preset: Any) -> str:
        if "growth" in preset["name"]:
            raise ValueError("there is one of that name")
        self.made.append(preset)
        return f"{preset['entity']}/{preset['name']}"


MADE: list[dict[str, Any]] = []


def test_register_makes_every_preset_and_says_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    MADE.clear()
    monkeypatch.setattr(wandb, "Api", Account)
    answers = register("someone")
    assert list(answers) == [f"someone/{presets.preset(name)}" for name in presets.TITLES]
    refused = {preset: answer for preset, answer in answers.items() if answer != "made"}
    assert refused == {f"someone/{presets.preset('growth_rate')}": "ValueError: there is one of that name"}
    assert [preset["spec"] for preset in MADE] == [presets.chart(n) for n in presets.TITLES if n != "growth_rate"]
    assert {(preset["spec_type"], preset["access"], preset["entity"]) for preset in MADE} == {
        ("vega2", "private", "someone")
    }


def test_register_without_a_key_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(**_: Any) -> None:
        raise wandb.errors.UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "Api", nobody)
    with pytest.raises(InputError, match=r"for someone: No API key configured\.\n.*\nType: wandb login"):
        register("someone")


def test_a_server_that_is_not_reached_is_waited_for_once_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as deaf:  # takes connections, and never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.delenv("WANDB_MODE")
        monkeypatch.setattr(mirror, "CONNECT_SECONDS", 3)
        begin, modes = mirror.WandbTracker, list[str]()
        monkeypatch.setattr(mirror, "WandbTracker", lambda *of: (modes.append(of[3]), begin(*of))[1])
        config, tracking, said = Config(), Tracking(), list[str]()
        config.tracker.mode = "online"
        for name in ("first", "second", "third"):
            mirrored(config, tmp_path / name, tracking, said)
    assert modes.count("online") == 1, "of three runs the first one waits"
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
