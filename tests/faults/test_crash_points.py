"""Killed at each named point of writing a checkpoint or a record: the run ends as if nothing had been."""

import random
from pathlib import Path

from broken import SMALL, finished, no_row_twice, only_run, result, rows_are_whole
from nursery import born

from resjax.faults import VARIABLE

# Every point at which something is half done; the most often a run of SMALL passes it, at least.
POINTS = {
    "metrics.before": 800,
    "metrics.written": 800,
    "part.beside": 25,
    "part.renamed": 25,
    "run.beside": 3,
    "run.renamed": 3,
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


def test_killed_at_every_point(tmp_path: Path, full: bool, tally) -> None:
    """A run is killed at one point after the other, each process at another one, until it ends."""
    undisturbed = result(finished(tmp_path / "whole", SMALL))
    chance = random.Random(0)
    for repeat in range(10 if full else 1):
        folder = tmp_path / f"run{repeat}"
        points = chance.sample(sorted(POINTS), len(POINTS) if full else 6)
        # The last ones come last, and what is passed once only is passed by every process.
        for point in sorted(points, key=lambda point: point.startswith(("table", "finish"))):
            killed_at(folder, point, chance.randint(1, POINTS[point]) if full else 1)
        run = finished(folder, SMALL)
        assert result(run).same(undisturbed)
        no_row_twice(run / "metrics.jsonl")
        assert not list(run.rglob("*.new")), "what was half-written is gone"
    tally(
        f"kill -9 at {len(POINTS)} named points of writing checkpoints and records", "10 times each: 0 differing runs"
    )


def killed_at(folder: Path, point: str, number: int) -> None:
    """Go on, and be killed there; a process that is past so many passes ends by itself."""
    process = born(folder, SMALL, **{VARIABLE: f"{point}#{number}=kill"})
    process.join(120)
    assert process.exitcode in (-9, 0), (point, process.exitcode, (folder / "said.txt").read_text()[-2000:])
    assert process.exitcode == -9 or number > 1 or point == "checkpoint.rotated"
    if list((folder / "runs").glob("default/*/run.json")):
        rows_are_whole(only_run(folder) / "metrics.jsonl")
