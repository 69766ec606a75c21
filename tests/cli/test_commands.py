"""The command as people use it, in a folder of their own."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from photographs import folder_of

from resjax import job, records
from resjax.cli import main
from resjax.cli.overrides import launch
from resjax.cli.train import refuse_data
from resjax.cli.words import choices
from resjax.config import SHORTCUTS, keys
from resjax.data import mock_imagenet, prepared
from resjax.errors import InputError

TINY = [
    "model=mlp",
    "model.width=8",
    "model.depth=4",
    "train.steps=6",
    "probes.train_grad_norm=true",
    "train.batch_size=64",
    "probes.batch_size=64",
]
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two arms and a depth, two seeds each."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["resjax"])
        words = ["-m", *TINY, "model.shortcut=none,identity", "seeds=2", "tracker=none", "sweep=tiny"]
        assert main(["train", *words, "hydra/launcher=in_process"]) == 0
    return folder


def in_copy(trained: Path, here: Path) -> None:
    shutil.copytree(trained / "runs", here / "runs")


def test_a_sweep_is_recorded(trained: Path) -> None:
    folders = sorted((trained / "runs" / "tiny").glob("mlp4-*"))
    assert [folder.name.rsplit("-", 1)[0] for folder in folders] == [
        "mlp4-plain-batch-digits-s0x2",
        "mlp4-residual-batch-digits-s0x2",
    ]
    for folder in folders:
        run = json.loads((folder / "run.json").read_text())
        assert run["status"] == "done"
        assert [seed["outcome"] for seed in run["seeds"]] == ["finite", "finite"]
        assert len((folder / "metrics.jsonl").read_text().splitlines()) == 2 * 7
        assert pl.read_parquet(folder / "layers.parquet")["step"].unique().sort().to_list() == [0, 1, 6]
        assert (folder / "checkpoints" / "000000006.json").exists()


def test_the_arms_start_from_the_same_values(trained: Path) -> None:
    norms = [
        pl.read_parquet(path).filter((pl.col("step") == 0) & (pl.col("kind") != "unit"))["weight_norm"]
        for path in sorted((trained / "runs" / "tiny").glob("*/layers.parquet"))
    ]
    assert norms[0].to_list() == norms[1].to_list()


def test_what_is_done_is_not_done_again(
    trained: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_copy(trained, here)
    words = ["train", "-m", *TINY, "model.shortcut=none,identity", "seeds=2", "tracker=none", "sweep=tiny"]
    assert main(words) == 0
    assert capsys.readouterr().err.count("done before (rerun=all does it again), skipped") == 2
    monkeypatch.setattr(job, "code", lambda: {"sha256": "of a function that was changed"})
    assert main(words) == 0
    assert capsys.readouterr().err.count("done before by other code (rerun=all does it again), skipped") == 2
    assert not (here / "runs" / "tiny" / "attempts").exists()


def test_a_job_that_fails_does_not_take_the_others_along(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from resjax.training import loop

    fit = loop.fit

    def breaks_at_depth_3(config, source, *more):
        for row in fit(config, source, *more):
            if config.model.depth == 3 and type(row).__name__ == "Metrics":
                raise RuntimeError("out of order")
            yield row

    monkeypatch.setattr(loop, "fit", breaks_at_depth_3)
    words = ["train", "-m", *TINY, "model.depth=3,4", "tracker=none", "sweep=half", "hydra/launcher=in_process"]
    assert main(words) == 1
    assert "RuntimeError: out of order" in capsys.readouterr().err
    assert main(["status", "half", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["status"], row["error"]) for row in rows] == [
        ("failed", "RuntimeError: out of order"),
        ("done", None),
    ]
    monkeypatch.setattr(loop, "fit", fit)
    assert main([*words, "rerun=none"]) == 0
    assert main(words) == 0
    assert [run["status"] for run in status_of("half", capsys)] == ["done", "done"]
    assert len(list((here / "runs" / "half" / "attempts").iterdir())) == 1


def test_a_sweep_without_its_data_is_refused_once(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is made; where some runs have theirs, those are."""
    monkeypatch.setenv("RESJAX_DATA", str(here / "data"))
    for words in (["train", "-m", *TINY, "data=cifar10", "model.depth=3,4"], ["reproduce", "he2015/fig6"]):
        assert main(words) == 2
        assert capsys.readouterr().err.count("is not prepared in") == 1
    assert not list(here.iterdir())
    assert main(["reproduce", "he2015/table2", "--preset", "quarter", "--dry-run"]) == 0
    assert "Not ready: data.name=imagenet2012 is not prepared in" in capsys.readouterr().out
    words = ["train", "-m", *TINY, "data=digits,cifar10", "sweep=half", "hydra/launcher=in_process", "tracker=none"]
    assert main(words) == 2
    assert [run["status"] for run in status_of("half", capsys)] == ["done", "pending"]


def test_a_sweep_whose_runs_the_devices_name_is_not_refused_beforehand(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them are done is known when the devices are counted; where they are named, it is known at once."""
    monkeypatch.setenv("RESJAX_DATA", str(here / "data"))
    words, scope = ["-m", *TINY, "data=cifar10", "model.depth=3,4"], "model.norm_scope=per_device"
    refuse_data(launch([*words, scope]))
    for known in ([], [scope, "parallel.devices=1"]):
        with pytest.raises(InputError, match="is not prepared in"):
            refuse_data(launch([*words, *known]))


def test_what_is_wrong_with_images_is_told_with_what_to_type(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also on the terminal: more of them than the share ends the run, and each is named."""
    folder_of(here / "pets", 8)
    for name in ("train/cat/1.png", "train/dog/2.png"):
        (here / "pets" / name).write_bytes(b"nothing of an image")
    images = ["data=folder", f"data.root={here / 'pets'}", "data.name=pets", "data.workers=0", "data.crop=8"]
    words = ["train", *TINY, *images, "data.shorter_side=[9,12]", "data.test_side=9", "train.batch_size=8"]
    assert main([*words, "tracker=none", "probes.batch_size=8"]) == 1
    said = capsys.readouterr().err
    assert "FAILED, CorruptedError: 2 of 8 train images cannot be read" in said
    assert "train/cat/1.png (no image file of a known kind" in said
    assert "Type: data.corrupt_share=0.5, to go on without them" in said


def test_the_made_set_can_be_made_and_checked(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESJAX_DATA", str(here))
    monkeypatch.setattr(mock_imagenet, "TRAIN_EXAMPLES", 30)
    monkeypatch.setattr(mock_imagenet, "TEST_EXAMPLES", 5)
    left = here / "incomplete-mock_imagenet-abc"
    left.mkdir()
    os.utime(left, (0, 0))
    assert main(["data", "prepare", "mock_imagenet"]) == 0
    assert not left.exists(), "what a killed one left long ago"
    assert main(["data", "check", "mock_imagenet"]) == 0
    assert "35 records counted, 35 images decoded" in capsys.readouterr().out
    with monkeypatch.context() as patch:  # what is there needs no folder that can be written
        patch.setattr(prepared, "make_folder", lambda root: pytest.fail(f"{root} is made"))
        assert main(["data", "prepare", "mock_imagenet"]) == 0
    assert f"mock_imagenet is in {here}" in capsys.readouterr().out
    next((here / "mock_imagenet").rglob("*train*")).write_bytes(b"")
    assert main(["data", "check", "mock_imagenet"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"damaged. Delete {here / 'mock_imagenet'}")


def status_of(sweep: str, capsys: pytest.CaptureFixture[str]) -> list[dict]:
    capsys.readouterr()
    main(["status", sweep, "--json"])
    return json.loads(capsys.readouterr().out)


def test_status_counts_what_is_left(trained: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_copy(trained, here)
    shutil.rmtree(next((here / "runs" / "tiny").glob("mlp4-plain*")))
    assert main(["status", "tiny"]) == 0
    assert "1 pending, 1 done" in (said := capsys.readouterr().out) or "1 done, 1 pending" in said
    assert "to go" in said


def test_the_report(trained: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_copy(trained, here)
    assert main(["report", "tiny"]) == 0
    said = capsys.readouterr().out
    assert "runs/tiny/report/report.html" in said
    page = (here / "runs" / "tiny" / "report" / "report.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:[^>]*\.(js|css|png|woff)""", page), "needs the network"
    assert main(["report", "tiny", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["arm"] for row in rows} == {"plain", "residual"}
    assert {row["n_finished"] for row in rows} == {2}


def test_export(trained: Path, here: Path) -> None:
    in_copy(trained, here)
    assert main(["export", "tiny", "out/all.parquet"]) == 0
    metrics, layers = (pl.read_parquet(here / "out" / name) for name in ("all.parquet", "all.layers.parquet"))
    assert len(metrics) == 2 * 2 * 7
    assert set(metrics["arm"]) == set(layers["arm"]) == {"plain", "residual"}
    trained = pl.read_parquet(here / "out" / "all.train_layers.parquet")
    assert len(trained) == 2 * 2 * 6 * 4  # arms, seeds, updates, weight layers
    assert trained["train_grad_norm"].null_count() == 0
    assert main(["export", "tiny", "all.csv"]) == 2
    assert main(["export", "tiny", "out/records"]) == 0
    compact = records.kept(here / "out" / "records")
    assert len(compact.runs) == 2
    assert len(compact.metrics) == len(metrics)
    assert len(compact.layers) == len(layers)


@pytest.mark.parametrize(("devices", "strategy"), [(1, "pmap"), (2, "jit"), (4, "pmap")])
def test_train_runs_on_so_many_devices(here: Path, devices: int, strategy: str) -> None:
    words = [*TINY, f"parallel={strategy}", f"parallel.devices={devices}", "train.steps=2", "tracker=none"]
    assert main(["train", *words]) == 0
    (run,) = (here / "runs" / "default").glob("*/run.json")
    assert json.loads(run.read_text())["devices"]["count"] == devices


def test_data_that_are_not_prepared_end_the_run_with_what_to_type(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESJAX_DATA", str(here / "data"))
    assert main(["train", "data=cifar10", "tracker=none"]) == 2
    said = capsys.readouterr().err
    assert "resjax data prepare cifar10" in said
    assert "Traceback" not in said


def test_a_place_that_cannot_be_written_is_bad_input(
    trained: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_copy(trained, here)
    (here / "file").write_text("")
    for words in (
        ["train", *TINY, "runs=file", "tracker=none"],
        ["report", "tiny", "--out", "file"],
        ["export", "tiny", "file/out.parquet"],
    ):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "file" in said
        assert "Traceback" not in said


def test_a_run_that_was_stopped_says_that_it_starts_anew(
    trained: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_copy(trained, here)
    path = next((here / "runs" / "tiny").glob("mlp4-plain*/run.json"))
    path.write_text(path.read_text().replace('"status": "done"', '"status": "preempted"'))
    words = ["train", *TINY, "model.shortcut=none", "seeds=2", "tracker=none", "sweep=tiny"]
    assert main(words) == 0
    assert "anew from step 0" in capsys.readouterr().err
    assert len(list((here / "runs" / "tiny" / "attempts").iterdir())) == 1


def test_images_that_are_too_small_leave_no_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "model=vgg", "model.width=8", "train.steps=3", "tracker=none", "sweep=small"]) == 2
    assert "Type: data.resize=32" in capsys.readouterr().err
    assert not list((here / "runs").glob("small/vgg*"))


def test_an_unknown_sweep_is_bad_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["report", "nothing"], ["status", "nothing"], ["export", "nothing", "a.parquet"]):
        assert main(words) == 2
        assert "nothing is no sweep" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--help"],
        ["status", "--help"],
        ["report", "--help"],
        ["export", "--help"],
        ["models", "--help"],
        ["data", "--help"],
        ["data", "list", "--help"],
        ["data", "prepare", "--help"],
        ["data", "check", "--help"],
        ["--help"],
    ],
)
def test_every_command_has_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):  # how argparse ends after its help
        assert main(words) == 0
    assert "usage: resjax" in capsys.readouterr().out


def test_every_choice_is_in_the_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows if row["setting"] == "model.shortcut"} == set(SHORTCUTS)
    for setting in ("shortcut", "order", "norm", "activation", "init"):
        told = [row["name"] for row in rows if row["setting"] == f"model.{setting}"]
        assert told == list(keys()[f"model.{setting}"].metadata["choices"])
    assert sorted(row["name"] for row in rows if row["setting"] == "model") == choices()["model"]
    assert all(row["what"] for row in rows)


def test_data_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["data", "list", "--json", "--root", str(tmp_path)]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["digits"]["status"] == "bundled"
    assert rows["cifar10"]["status"] == "not prepared"
    assert "resjax data prepare cifar10" in rows["cifar10"]["type"]


def test_unverified_makes_sense_for_a_file_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, argument in (("cifar10", "FILE"), ("mnist", "FOLDER")):
        assert main(["data", "prepare", name, "--unverified", "--root", str(tmp_path)]) == 2
        assert f"resjax data prepare {name} --archive {argument} --unverified" in capsys.readouterr().err


def test_a_termination_is_recorded_and_ends_with_143(here: Path) -> None:
    program = (
        "import os, signal, sys, threading; from resjax.cli import main; from resjax.training import loop\n"
        "import resjax.records as records; write = records.Recorder.metrics\n"
        "def metrics(self, row):\n"
        "    write(self, row)\n"
        "    if row.step == 2: os.kill(os.getpid(), signal.SIGTERM)\n"
        "records.Recorder.metrics = metrics\n"
        f"sys.exit(main(['train', *{TINY!r}, 'train.steps=1000', 'tracker=none']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 143, done.stderr
    (run,) = (here / "runs" / "default").glob("*/run.json")
    assert json.loads(run.read_text())["status"] == "preempted"


def test_the_hydra_entry_is_the_same_command(here: Path) -> None:
    entry = CHECKOUT / "experiments" / "train.py"
    done = subprocess.run(
        [sys.executable, str(entry), "-m", "model.depth=20,21"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "model.depth=20 or model.depth=26" in done.stderr
