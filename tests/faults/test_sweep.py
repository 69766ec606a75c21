"""A sweep whose runs break in every way: the others are made, each is classed right, nothing is done twice or lost."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from broken import SMALL, wait_for
from nursery import SAID, born

from resjax import records
from resjax.faults import VARIABLE

TINY = [word for word in SMALL if not word.startswith(("model.depth", "train.steps", "seeds", "probes.train"))]
TINY += ["train.steps=60"]
# Depth of the run that breaks: how, and what it is called afterwards.
BREAKS = {
    3: ("chunk#2=fail", "exception"),
    4: ("chunk#2=leave", "exit"),
    5: ("chunk#2=vanish", "exit"),
    6: ("chunk#2=crash", "crash"),
    7: ("chunk#2=kill", "killed"),
    8: ("chunk#2=hunger", "memory"),
    9: ("chunk#2=hang", "timeout"),
}
DIVERGES = 10


def sweep_of(folder: Path, depths: list[int], *more: str) -> list[str]:
    """A run a depth; an experiment's file, as the rate depends on the depth."""
    rates = ",".join(f"{depth}:{1e30 if depth == DIVERGES else 0.02:g}" for depth in depths)
    file = folder / "own" / "experiment" / "depths.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        "# @package _global_\n"
        f"schedule:\n  learning_rate: ${{choose:${{model.depth}},{{{rates}}}}}\n"
        f"hydra:\n  sweeper:\n    params:\n      model.depth: {','.join(map(str, depths))}\n"
    )
    return ["-m", *TINY, "model.norm=none", "hydra.launcher.jobs=2", "--config-dir", "own", "experiment=depths", *more]


def faults_of(depths: list[int]) -> str:
    return ";".join(f"{BREAKS[depth][0]}@mlp{depth}-" for depth in depths if depth in BREAKS)


def begun(folder: Path) -> bool:
    return any(path.stat().st_size for path in folder.glob("runs/default/*/metrics.jsonl"))


def runs_of(folder: Path) -> dict[int, dict]:
    found = [records.facts_of(path) for path in records.run_folders(folder / "runs" / "default")]
    return {run["config"]["model"]["depth"]: run for run in found}


def test_one_of_each_fault(tmp_path: Path, full: bool, tally) -> None:
    depths = [*BREAKS, DIVERGES, 11, 12, 13] if full else [3, 7]
    words = sweep_of(tmp_path, depths, f"hydra.launcher.timeout_min={1.5 if full else 2}", "hydra.launcher.grace_s=2")
    process = born(tmp_path, words, **{VARIABLE: faults_of(depths)})
    process.join(600)
    said = (tmp_path / SAID).read_text()
    assert process.exitcode == 1, said
    runs = runs_of(tmp_path)
    assert sorted(runs) == sorted(depths)
    for depth, run in runs.items():
        assert run["status"] == ("failed" if depth in BREAKS else "done"), (depth, run, said)
        if depth in BREAKS:
            assert run["failure"]["kind"] == BREAKS[depth][1]
            assert run["error"].splitlines()[0] in said[said.rindex("did not end well") :], "listed last"
            folder = next((tmp_path / "runs" / "default").glob(f"mlp{depth}-*"))
            assert (folder / "error.txt").read_text()
    if full:
        assert runs[DIVERGES]["seeds"][0]["outcome"] == "diverged"
    trace = next((tmp_path / "runs" / "default").glob("mlp3-*/error.txt")).read_text()
    assert "broken on purpose" in trace
    assert "Traceback" in trace
    if not full:
        return
    finished = born(tmp_path, words)
    finished.join(600)
    assert finished.exitcode == 0
    after = runs_of(tmp_path)
    assert {run["status"] for run in after.values()} == {"done"}
    assert {depth for depth, run in after.items() if run["attempt"] == 2} == set(depths) & set(BREAKS)
    tally(
        "a 12-job sweep with an exception, sys.exit, os._exit, a segmentation fault, kill -9, MemoryError, "
        "an endless loop (timeout) and a divergence",
        f"{len(depths) - len(set(depths) & set(BREAKS))} others done, each classed right; the command again: all done",
    )


def test_killed_as_a_whole(tmp_path: Path, full: bool, tally) -> None:
    """The conductor and its children are killed -9 at random; every other time the conductor alone."""
    if not full:
        pytest.skip("with --full")
    depths, kills, chance = list(range(3, 15)), 30, random.Random(1)
    folders = [tmp_path / str(number) for number in range(3 * kills)]
    landed = 0
    while landed < kills:
        folder = folders.pop()
        landed += killed_until_done(folder, sweep_of(folder, depths), depths, chance, kills - landed)
    assert landed == kills
    tally(f"a {len(depths)}-job sweep killed -9 as a whole", f"{kills} times: no finished job made again, none lost")


def killed_until_done(folder: Path, words: list[str], depths: list[int], chance: random.Random, most: int) -> int:
    """Kill a sweep at random moments until it ends by itself, or so often and let it end; the kills that hit."""
    landed, done = 0, dict[int, str]()
    while landed < most:
        process = born(folder, words)
        process.join(chance.uniform(2, 30))
        if process.exitcode is not None:
            break
        if landed % 2:
            for child in children(process.pid):
                os.kill(child, 9)
        process.kill()
        process.join()
        landed += 1
        runs = runs_of(folder) if (folder / "runs").exists() else {}
        assert all(runs[depth]["ended"] == ended for depth, ended in done.items()), "a finished run was made again"
        done = {depth: run["ended"] for depth, run in runs.items() if run["status"] == "done"}
    last = born(folder, words)
    last.join(600)
    assert last.exitcode == 0, (folder / SAID).read_text()
    runs = runs_of(folder)
    assert {run["status"] for run in runs.values()} == {"done"}
    assert sorted(runs) == depths
    assert all(runs[depth]["ended"] == ended for depth, ended in done.items())
    return landed


def children(parent: int) -> list[int]:
    """The processes that it started."""
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(number) for task in tasks for number in task.read_text().split()]


def test_two_sweeps_share_the_work(tmp_path: Path, full: bool, tally) -> None:
    depths, processes, times = (list(range(3, 27)), 4, 10) if full else ([3, 4], 2, 1)
    for repeat in range(times):
        folder = tmp_path / str(repeat)
        words = sweep_of(folder, depths, "hydra.launcher.jobs=1")
        sharing = [born(folder, words) for _ in range(processes)]
        for process in sharing:
            process.join(1200)
        assert {process.exitcode for process in sharing} == {0}, (folder / SAID).read_text()
        for path in records.run_folders(folder / "runs" / "default"):
            run = records.facts_of(path)
            assert (run["status"], run["attempt"]) == ("done", 1)
            assert len(re.findall(r" started$", (path / "log.txt").read_text(), re.MULTILINE)) == 1
        assert sorted(runs_of(folder)) == depths
    tally(f"{processes} processes on one {len(depths)}-job sweep", f"{times} times: each job exactly once")


def test_many_starts_in_one_second(tmp_path: Path, full: bool, tally) -> None:
    """In an empty folder: each writes a launch of its own, one of them makes the run, the others wait for it."""
    if not full:
        pytest.skip("with --full")
    words = ["-m", *TINY, "model.depth=4"]
    starts = [born(tmp_path, words) for _ in range(20)]
    for process in starts:
        process.join(240)
    assert {process.exitcode for process in starts} == {0}, (tmp_path / SAID).read_text()
    launches = list((tmp_path / "runs" / "default" / "launches").glob("*.json"))
    assert len(launches) == len(starts)
    assert len({json.loads(path.read_text())["runs"][0] for path in launches}) == 1
    assert len(list((tmp_path / "runs" / "default" / "launches").glob("code-*"))) == 1
    assert runs_of(tmp_path)[4]["attempt"] == 1
    tally(f"{len(starts)} starts of one sweep in the same second", "no collision, the run made once")


def test_a_signal_to_the_sweep_saves_what_runs(tmp_path: Path, full: bool) -> None:
    if not full:
        pytest.skip("with --full")
    process = born(tmp_path, [*sweep_of(tmp_path, [3, 4]), "train.steps=100000"])
    wait_for(lambda: process.exitcode is not None or begun(tmp_path), 120)
    process.terminate()
    process.join(60)
    assert process.exitcode == 143
    assert "preempted" in {run["status"] for run in runs_of(tmp_path).values()}
    assert list(tmp_path.glob("runs/default/*/checkpoints/*.json"))


@pytest.mark.parametrize("where", ["basic", "in_process"])
def test_editing_settings_during_a_sweep_changes_no_later_job(where: str, tmp_path: Path, full: bool) -> None:
    if not full:
        pytest.skip("with --full")
    words = [word for word in sweep_of(tmp_path, [3, 4], f"hydra/launcher={where}") if "steps" not in word]
    words.remove("hydra.launcher.jobs=2")
    file = tmp_path / "own" / "experiment" / "depths.yaml"
    text = file.read_text()
    file.write_text(text + "train:\n  steps: 50\n")
    process = born(tmp_path, words)
    wait_for(lambda: begun(tmp_path), 120)
    file.write_text(text + "train:\n  steps: 70\n")
    process.join(240)
    assert process.exitcode == 0
    assert [run["config"]["train"]["steps"] for run in runs_of(tmp_path).values()] == [50, 50]


def test_editing_code_during_a_sweep_changes_no_later_job(tmp_path: Path, full: bool, tally) -> None:
    """A copy of the package makes a sweep, and cannot even be imported from its second run on."""
    if not full:
        pytest.skip("with --full")
    project, copy = Path(__file__).parents[2], tmp_path / "copy"
    for part in ("resjax", "conf"):
        shutil.copytree(project / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    words = ["train", *sweep_of(tmp_path, [3, 4, 5])]
    words.remove("hydra.launcher.jobs=2")
    command = [sys.executable, "-P", "-m", "resjax.cli", *words]
    environment = os.environ | {"PYTHONPATH": str(copy)}
    with (tmp_path / SAID).open("w") as stream:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=stream)
    wait_for(lambda: process.poll() is not None or begun(tmp_path), 120)
    edited = list((copy / "resjax").rglob("*.py"))
    for path in edited:
        path.write_text("raise SystemExit('edited')\n")
    assert process.wait(240) == 0, (tmp_path / SAID).read_text()
    runs = runs_of(tmp_path)
    assert {depth: run["status"] for depth, run in runs.items()} == {3: "done", 4: "done", 5: "done"}
    assert len({run["code"]["sha256"] for run in runs.values()}) == 1
    broken = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "edited" in broken.stderr, "the copy is what ran"
    tally("every file of the code edited after a sweep's first run began", f"{len(runs)} of {len(runs)} runs done")
