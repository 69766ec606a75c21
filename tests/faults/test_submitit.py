"""Runs made by submitit on this machine: as those made without it; one that dies is told; what is done is done once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from broken import SMALL, finished, last_step, no_row_twice, only_run, result, wait_for, went_on_from

from resjax import records
from resjax.config import Config
from resjax.errors import InputError
from resjax.sweep.executor import refuse_processes
from resjax.sweep.launcher import Launcher

TINY = [*SMALL, "train.steps=40", "probes.at=[0]", "probes.train_grad_norm=false", "seeds=1"]
SAID = "said.txt"


def submitted(folder: Path, words: list[str]) -> "subprocess.Popen[bytes]":
    """`resjax train -m WORDS` through submitit, begun as in a terminal of its own; it says it in said.txt."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "resjax.cli", "train", "-m", *words, "hydra/launcher=submitit_local"]
    with (folder / SAID).open("w") as said:
        return subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, start_new_session=True)


def said(process: "subprocess.Popen[bytes]", folder: Path, code: int, seconds: float = 300) -> str:
    """It ends, with this exit code; what it said."""
    found = process.wait(seconds)
    text = (folder / SAID).read_text()
    assert found == code, text
    return text


def test_one_is_done_and_one_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, words = tmp_path / "submitted", [*TINY, "model.depth=4,5"]
    with monkeypatch.context() as patch:
        patch.setenv("RESJAX_FAULT", "metrics.written#2=kill@mlp5")
        told = said(submitted(folder, [*words, "hydra.launcher.jobs=2"]), folder, 1)
    done, died = records.run_folders(folder / "runs" / "default")
    facts = records.facts_of(died)
    assert (facts["status"], facts["failure"]["kind"], facts["attempt"]) == ("failed", "killed", 1)
    assert "crashed or was killed" in facts["error"]
    assert facts["error"] in told
    assert "submitit INFO" in (died / "error.txt").read_text()
    assert "done before" in said(submitted(folder, [*words, "rerun=none"]), folder, 0)
    assert records.facts_of(done)["attempt"] == 1
    assert result(done).same(result(finished(tmp_path / "whole", TINY)))


def test_a_run_of_two_processes_needs_two_tasks() -> None:
    config = Config()
    refuse_processes(config, Launcher(where="slurm"))
    with pytest.raises(InputError, match=r"parallel.processes=1.*\n.*\nType: parallel=jit parallel.processes=2"):
        refuse_processes(config, Launcher(where="slurm", nodes=2))


def test_ctrl_c_saves(full: bool, tmp_path: Path, tally) -> None:
    if not full:
        pytest.skip("--full")
    words = [*SMALL, "train.steps=6000", "checkpoint.every=2000", "train.evaluate_every=2000", "seeds=1"]
    process = submitted(tmp_path, words)
    wait_for(lambda: list(tmp_path.glob("runs/default/*/run.json")) and last_step(only_run(tmp_path)) > 500)
    os.killpg(process.pid, signal.SIGINT)  # a terminal tells everything that was started in it
    assert "being saved" in said(process, tmp_path, 130)
    run = only_run(tmp_path)
    assert records.facts_of(run)["status"] == "preempted"
    said(submitted(tmp_path, words), tmp_path, 0)
    assert went_on_from(run) > 500
    no_row_twice(run / "metrics.jsonl")
    tally("Ctrl-C of a submitit_local sweep", f"saved, went on from step {went_on_from(run)}")


def test_the_quickstart(full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally) -> None:
    if not full:
        pytest.skip("--full")
    monkeypatch.delenv("XLA_FLAGS")  # the tests' quick compilation makes slow programs
    said(submitted(tmp_path, ["experiment=quickstart", "tracker=none"]), tmp_path, 0, 1800)
    statuses = [records.facts_of(run)["status"] for run in records.run_folders(tmp_path / "runs" / "quickstart")]
    assert statuses == ["done"] * 8
    tally("the quickstart by submitit_local", "8 of 8 runs done")
