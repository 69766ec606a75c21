"""Small runs to break, and what has to be the same afterwards."""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from nursery import SAID, born

from resjax import records

INTERVAL = 40
SMALL = [
    "model=mlp",
    "model.width=8",
    "model.depth=4",
    "train.steps=400",
    "train.batch_size=32",
    "train.evaluate_every=150",
    "probes.batch_size=32",
    "probes.at=[0,1,70,200]",
    "probes.train_grad_norm=true",
    "probes.parts=0",
    "parallel.devices=1",
    "parallel.threads=1",
    "parallel.chunk=16",
    f"checkpoint.every={INTERVAL}",
    "seeds=2",
    "tracker=none",
]


@dataclass(frozen=True)
class Result:
    """Everything that has to be the same, bit for bit."""

    digest: str
    metrics: bytes
    layers: pl.DataFrame
    train_layers: pl.DataFrame

    def same(self, other: "Result") -> bool:
        """Whether two runs are one."""
        return (
            self.digest == other.digest
            and self.metrics == other.metrics
            and self.layers.equals(other.layers)
            and self.train_layers.equals(other.train_layers)
        )


def result(folder: Path) -> Result:
    """Of a run that is done."""
    run = records.facts_of(folder)
    assert run["status"] == "done", (run["status"], run.get("error"))
    order = ["step", "seed", "kind", "layer"]
    return Result(
        run["digest"],
        (folder / "metrics.jsonl").read_bytes(),
        records.read_layers(folder).sort(order),
        records.read_layers(folder, "train_layers.parquet").sort(order),
    )


def only_run(folder: Path, sweep: str = "default") -> Path:
    """The folder of the one run there."""
    (found,) = (path.parent for path in (folder / "runs" / sweep).glob("*/run.json"))
    return found


def finished(folder: Path, words: Sequence[str], code: int = 0, **environment: str) -> Path:
    """Run to the end, with this exit code; the run's folder."""
    process = born(folder, list(words), **environment)
    process.join(120)
    assert process.exitcode == code, (process.exitcode, (folder / SAID).read_text()[-3000:])
    return only_run(folder)


def rows_are_whole(path: Path) -> None:
    """No row is torn, but the last one may lack its end; none is there twice, where the run is done."""
    content = path.read_bytes() if path.exists() else b""
    for line in content.split(b"\n")[:-1]:
        json.loads(line)


def no_row_twice(path: Path) -> None:
    """Each step and seed once."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert max(Counter((row["step"], row["seed"]) for row in rows).values()) == 1


def last_step(folder: Path) -> int:
    """The step of the last row, -1 where there is none."""
    row = records.last_row(folder)
    return -1 if row is None else int(row["step"])


def went_on_from(folder: Path) -> int:
    """The step from which the last process went on, by its log; 0 where it began anew."""
    begun = re.findall(r"(?:goes on from step (\d+)|started)$", (folder / "log.txt").read_text(), re.MULTILINE)
    return int(begun[-1] or 0)


def wait_for(condition, seconds: float = 60.0) -> None:
    """Until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
