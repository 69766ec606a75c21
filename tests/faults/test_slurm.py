"""A real SLURM of one node: a preempted run is requeued and goes on, a cancelled one is not. Only with --full."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from broken import last_step, no_row_twice, result, wait_for, went_on_from
from cluster import Unavailable, slurm

from resjax import records
from resjax.sweep import slurm as asked

# Long enough to be preempted: about 20 s a run, of which half is waiting for JAX.
RUN = [
    "model=mlp",
    "model.width=256",
    "train.steps=2000",
    "train.log_every=10",
    "train.evaluate_every=700",
    "probes.batch_size=32",
    "probes.at=[0,500,1500]",
    "probes.train_grad_norm=true",
    "parallel.devices=1",
    "parallel.threads=1",
    "checkpoint.every=100",
    "tracker=none",
    "sweep=depth",
]
SLURM = [
    "hydra/launcher=submitit_slurm",
    "hydra.launcher.partition=low",
    "hydra.launcher.gpus_per_node=null",
    "hydra.launcher.cpus_per_task=2",
]
DEPTHS = (3, 4, 5, 6)
SAID = "said.txt"


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Its variables. Only in a full run: it takes minutes."""
    if not request.config.getoption("--full"):
        pytest.skip("a cluster takes minutes: --full")
    with tempfile.TemporaryDirectory(prefix="slurm") as folder, ExitStack() as running:  # sockets want a short path
        try:
            variables = running.enter_context(slurm(Path(folder) / "cluster"))
        except Unavailable as why:
            pytest.skip(f"there is no SLURM: {why}")
        yield variables


def train(folder: Path, words: list[str], **variables: str) -> "subprocess.Popen[bytes]":
    """`resjax train -m WORDS`, begun in a folder; what it prints is added to said.txt there."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "resjax.cli", "train", "-m", *RUN, *words]
    with (folder / SAID).open("a") as said:
        return subprocess.Popen(command, cwd=folder, env=os.environ | variables, stdout=said, stderr=said)


def ends(process: "subprocess.Popen[bytes]", folder: Path, code: int, seconds: float = 400) -> str:
    """It ends, with this exit code; what it said."""
    try:
        found = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        found = None
    said = (folder / SAID).read_text()
    assert found == code, said
    return said


def ask(cluster: dict[str, str], *command: str) -> str:
    """What a command of SLURM prints."""
    asked = subprocess.run(command, env=os.environ | cluster, capture_output=True, text=True, timeout=30, check=True)
    return asked.stdout.strip()


def queue(cluster: dict[str, str]) -> dict[str, str]:
    """The jobs that are not over, and their states."""
    return dict(line.split() for line in ask(cluster, "squeue", "--noheader", "--array", "--format=%i %T").splitlines())


def preempt(cluster: dict[str, str]) -> None:
    """A job comes that goes first, and takes the whole node."""
    ask(cluster, "sbatch", "--partition=high", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 2")


def runs(folder: Path) -> list[Path]:
    """The sweep's runs, by depth."""
    return records.run_folders(folder / "runs" / "depth")


def running(folder: Path, least: int) -> Path | None:
    """A run that is being made, and has done so many steps."""
    there = [run for run in runs(folder) if records.state(run) == "running" and last_step(run) >= least]
    return there[0] if there else None


def job_of(run: Path) -> str:
    """Its job in SLURM."""
    return (run.parent / "launches" / "submitit" / f"{run.name}.job").read_text()


def test_a_job_is_over_when_the_queue_says_so_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [{"1_0": "RUNNING"}, {"1_0": "PREEMPTED"}, {"1_0": "PENDING"}, None, {"1_0": "COMPLETING"}, {}, None, {}]
    answers = iter(said)
    monkeypatch.setattr(asked, "states", lambda: next(answers))
    monkeypatch.setattr(asked, "ASK_EVERY_S", 0)
    queue, found = asked.Queue(), []
    for _ in said:
        queue.look()
        found.append(queue.over("1_0"))
    assert found == ["", "", "", "", "", "", "", asked.GONE]


def test_a_preempted_run_goes_on_and_ends_the_same(cluster: dict[str, str], tmp_path: Path, tally) -> None:
    depths = f"model.depth={','.join(map(str, DEPTHS))}"
    ends(train(tmp_path / "whole", [depths]), tmp_path / "whole", 0)
    folder = tmp_path / "preempted"
    process = train(folder, [depths, *SLURM], **cluster)
    try:
        wait_for(lambda: running(folder, least=600), 200)
        victim = running(folder, least=600)
        assert victim
        job = job_of(victim)
        preempt(cluster)
        ends(process, folder, 0)
    finally:
        process.kill()
    assert "Restarts=1" in ask(cluster, "scontrol", "show", "job", job)
    assert went_on_from(victim) >= 600
    for run, undisturbed in zip(runs(folder), runs(tmp_path / "whole"), strict=True):
        assert run.name == undisturbed.name
        assert records.facts_of(run)["attempt"] == (2 if run == victim else 1)
        assert result(run).same(result(undisturbed))
        no_row_twice(run / "metrics.jsonl")
    tally(
        "a 4-job depth sweep on a one-node SLURM, one job preempted",
        f"requeued, went on from step {went_on_from(victim)} of 2000, ended bit for bit as the undisturbed one",
    )


def test_a_job_that_is_preempted_while_python_starts_is_not_lost(cluster: dict[str, str], tmp_path: Path) -> None:
    process = train(tmp_path, ["model.depth=3", *SLURM], **cluster)
    try:
        wait_for(lambda: "RUNNING" in queue(cluster).values(), 100)
        preempt(cluster)
        ends(process, tmp_path, 0)
    finally:
        process.kill()
    assert [records.facts_of(run)["status"] for run in runs(tmp_path)] == ["done"]


def test_a_cancelled_job_stays_cancelled_and_an_interrupted_command_leaves_the_rest(
    cluster: dict[str, str], tmp_path: Path, tally
) -> None:
    words = ["model.depth=3,4", *SLURM]
    process = train(tmp_path, words, **cluster)
    try:
        wait_for(lambda: running(tmp_path, least=200), 200)
        cancelled = running(tmp_path, least=200)
        assert cancelled
        ask(cluster, "scancel", job_of(cancelled))
        (other,) = (run for run in runs(tmp_path) if run != cancelled)
        wait_for(lambda: running(tmp_path, least=200) == other, 200)
        process.send_signal(signal.SIGINT)
        said = ends(process, tmp_path, 130, 30)
        assert f"scancel {job_of(other)}" in said
        assert queue(cluster) == {job_of(other): "RUNNING"}
        process = train(tmp_path, ["model.depth=4" if "mlp4" in other.name else "model.depth=3", *SLURM], **cluster)
        assert "is in SLURM's queue already" in ends(process, tmp_path, 0)
    finally:
        process.kill()
    facts = records.facts_of(cancelled)
    assert (facts["status"], facts["failure"]["kind"]) == ("failed", "cancelled"), (facts, said)
    assert re.search(rf"{cancelled.name}: FAILED, its job \S+ was cancelled", said), said
    assert records.facts_of(other)["attempt"] == 1
    wait_for(lambda: not queue(cluster))  # nothing comes back
    tally("scancel, and Ctrl-C of the waiting command", "the job stayed cancelled; the others stayed in the queue")
