"""From the command to the first step: what somebody waits for who has typed it."""

import json
import shutil
import subprocess
import sys
import time
from os import environ
from pathlib import Path

from benchmarks.bench import Bench, Row
from benchmarks.summary import summary
from benchmarks.workers import ROOT, WorkerError

REPEATS = 3
EXAMPLES = 2048  # as many as data=synthetic has
LOOK = 0.01  # seconds between two looks at the file
COMMAND = "train model=resnet data=synthetic schedule=constant train.steps=1 tracker=none"


def start(bench: Bench) -> list[Row]:
    """Seconds to the first step: of `resjax train` to its row on the disk, of the others from their process's start.

    Cold: no program is in the compilation cache; warm: the same command again, in a new folder. programs_s: of that,
    what run.json calls `compile`: drawing the initial weights, placing the data, tracing, compiling or reading what was
    compiled, and one part of the test.
    """
    depth = bench.depths[0]
    found: dict[tuple[str, str | None], list[float]] = {}
    programs: dict[tuple[str, str | None], list[float]] = {}
    for number in range(REPEATS):
        cache = bench.scratch / f"cache-{number}"
        for state in ("cold", "warm"):
            taken, compiling = command(bench, depth, cache, bench.scratch / f"{state}-{number}")
            found.setdefault(("ours", state), []).append(taken)
            programs.setdefault(("ours", state), []).append(compiling)
        for name in bench.contestants:
            if name != "ours":
                found.setdefault((name, None), []).append(worker(bench, name, depth))
        shutil.rmtree(cache, ignore_errors=True)
    return [
        {
            "depth": depth,
            "contestant": key[0],
            "cache": key[1],
            "first_step_s": summary(seconds),
            "programs_s": summary(programs[key]) if key in programs else None,
        }
        for key, seconds in found.items()
    ]


def command(bench: Bench, depth: int, cache: Path, folder: Path) -> tuple[float, float]:
    """Seconds until `resjax train` has written the first step's row, and its own time for programs.

    WorkerError where it fails.
    """
    folder.mkdir()
    words = [sys.executable, "-m", "resjax.cli", *COMMAND.split(), f"model.depth={depth}"]
    words += [f"train.batch_size={bench.batch}", f"data.augment={str(bench.augment).lower()}"]
    own = {"RESJAX_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    begun = time.perf_counter()
    with (folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(
            words, cwd=folder, env=environ | bench.environment | own, stdout=said, stderr=subprocess.STDOUT
        )
        while not (seen := first_row(folder)) and process.poll() is None:
            time.sleep(LOOK)
        taken = time.perf_counter() - begun
        if process.wait() or not (seen or first_row(folder)):
            raise WorkerError(
                f"{' '.join(words)} ended with {process.returncode}:\n{(folder / 'said.txt').read_text()}"
            )
    (record,) = folder.glob("runs/*/*/run.json")
    return taken, float(json.loads(record.read_text())["times"]["compile"])


def first_row(folder: Path) -> bool:
    """Whether the run in `folder` has written a row."""
    return any(path.stat().st_size for path in folder.glob("runs/*/*/metrics.jsonl"))


def worker(bench: Bench, name: str, depth: int) -> float:
    """Seconds from a worker's start to the end of its first step."""
    begun = time.perf_counter()
    with bench.start(name) as process:
        process.ask("prepare", **bench.job(name, depth, examples=EXAMPLES))
        process.train(1)
        return time.perf_counter() - begun
