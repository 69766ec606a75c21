"""Killed at each named point of writing a checkpoint or a record: the run ends as if nothing had been."""

import random
from pathlib import Path

from broken import SMALL, Result, finished, no_row_twice, only_run, result, rows_are_whole
from nursery import born

from resjax.faults import VARIABLE

# Every point at which something is half done, and how often a run of SMALL passes it, at least.
POINTS = {
    "metrics.before": 800,
    "metrics.written": 800,
    "part.beside": 25,
    "part.renamed": 25,
    "run.beside": 4,
    "run.renamed": 4,
    "save": 10,
    "checkpoint.arrays": 10,
    "checkpoint.synced": 10,
    "digests.beside": 10,
    "digests.renamed": 10,
    "checkpoint.rotated": 8,
    "table.beside": 2,
    "table.renamed": 2,
    "finish.compacted": 1,
    "finish.said": 1,
}
# By default: these, one after the other in one run, each of whose processes passes them.
SOME = ("metrics.written", "digests.beside", "table.beside")


def test_killed_at_every_point(tmp_path: Path, full: bool, tally) -> None:
    undisturbed = result(finished(tmp_path / "whole", SMALL))
    if not full:
        for point in SOME:
            killed_at(tmp_path / "run", point, 1)
        ends_the_same(tmp_path / "run", undisturbed)
    chance, kills = random.Random(0), 0
    for point in POINTS if full else ():
        for repeat in range(10):
            folder = tmp_path / f"{point}{repeat}"
            killed_at(folder, point, chance.randint(1, POINTS[point]))
            ends_the_same(folder, undisturbed)
            kills += 1
    tally(f"kill -9 at {len(POINTS)} named points of writing, 10 times each", f"{kills} kills: 0 differing runs")


def killed_at(folder: Path, point: str, number: int) -> None:
    """Go on, and be killed there."""
    process = born(folder, SMALL, **{VARIABLE: f"{point}#{number}=kill"})
    process.join(120)
    assert process.exitcode == -9, (point, number, process.exitcode, (folder / "said.txt").read_text()[-2000:])
    if list((folder / "runs").glob("default/*/run.json")):
        rows_are_whole(only_run(folder) / "metrics.jsonl")


def ends_the_same(folder: Path, undisturbed: Result) -> None:
    """Go on to the end; nothing differs, and nothing is left."""
    run = finished(folder, SMALL)
    assert result(run).same(undisturbed)
    no_row_twice(run / "metrics.jsonl")
    assert not list(run.rglob("*.new")), "what was half-written is gone"
