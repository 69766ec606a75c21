"""Write one run's folder so that a kill at any moment leaves whole rows and a whole run.json."""

import contextlib
import json
import math
import os
import shutil
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from resjax.durable import sync_rename, write_whole
from resjax.errors import InputError
from resjax.records.lock import lock
from resjax.records.reading import parts
from resjax.records.schema import ATTEMPTS, LAYERS, LOCK, METRICS, PARTS, RUN, TABLES, TRAIN_LAYERS
from resjax.rows import Layers, Metrics, TrainLayers


class Recorder:
    """Writes one run's folder. Use as a context: an exception that leaves it is recorded, and goes on.

    Settings that turn out not to fit together (InputError, before the first row) are no run, and leave no folder.

    Whatever kills the process, at any moment, leaves whole rows and a whole run.json behind.
    """

    def __init__(self, folder: Path, run: dict[str, Any]) -> None:
        self.folder, self.run = folder, run | {"status": "running", "started": now()}
        self.clock = time.perf_counter()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, lock(self.folder))
            set_aside(self.folder)
            self.metrics_file = os.open(self.folder / METRICS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            opened.callback(os.close, self.metrics_file)
            self.update()
            self.log("started")
            self.opened = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self.opened:
            if isinstance(error, InputError) and not os.fstat(self.metrics_file).st_size:
                shutil.rmtree(self.folder)
            elif error is not None and self.run["status"] == "running":
                status = "failed" if isinstance(error, Exception) else "preempted"
                text = "".join(traceback.format_exception(error))
                write_whole(self.folder / "error.txt", text.encode())
                self.finish(status, error=f"{kind.__name__ if kind else ''}: {error}".rstrip(": "))

    def update(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self.run |= facts
        write_whole(self.folder / RUN, (json.dumps(self.run, indent=1, allow_nan=False) + "\n").encode())

    def metrics(self, row: Metrics) -> None:
        """Append a row to metrics.jsonl in one write."""
        values = {name: value if math.isfinite(value) else None for name, value in row.values.items()}
        bad = [name for name, value in values.items() if value is None]
        line = {"step": row.step, "seed": row.seed} | values | ({"not_finite": bad} if bad else {})
        content = (json.dumps(line, allow_nan=False) + "\n").encode()
        while content:  # one write, unless the disk is full or a signal comes
            content = content[os.write(self.metrics_file, content) :]

    def layers(self, row: Layers) -> None:
        """Write the layers of one step as a part of layers.parquet."""
        self.part(LAYERS, row.step, {"step": row.step, **row.columns})

    def train_layers(self, row: TrainLayers) -> None:
        """Write what training saw of the layers in a chunk of steps as a part of train_layers.parquet."""
        self.part(TRAIN_LAYERS, int(row.columns["step"][0]), row.columns)

    def part(self, table: str, step: int, columns: dict[str, Any]) -> None:
        """Write a part of a table, named by its first step; nan becomes null, and so does what was not looked at."""
        (self.folder / PARTS).mkdir(exist_ok=True)
        schema = TABLES[table]
        frame = pl.DataFrame(columns)
        frame = frame.with_columns(pl.lit(None).alias(name) for name in schema if name not in frame.columns)
        frame = frame.select(list(schema)).cast(pl.Schema(schema))
        frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None))
        write_frame(self.folder / PARTS / f"{Path(table).stem}-{step:09d}.parquet", frame)

    def log(self, text: str) -> None:
        """Append a line to log.txt."""
        with (self.folder / "log.txt").open("a") as stream:
            stream.write(f"{now()} {text}\n")

    def finish(self, status: str, **facts: Any) -> None:
        """The last state: each table in one file, run.json with the status."""
        self.compact()
        os.fsync(self.metrics_file)
        times = facts.pop("times", {}) | {"total": round(time.perf_counter() - self.clock, 3)}
        self.log(status)
        self.update(status=status, ended=now(), times=times, **facts)

    def compact(self) -> None:
        """Make one file of each table's parts."""
        for table in TABLES:
            found = parts(self.folder, table)
            if found:
                write_frame(self.folder / table, pl.concat([pl.read_parquet(part) for part in found]))
        shutil.rmtree(self.folder / PARTS, ignore_errors=True)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """`write_whole` of a frame as Parquet."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    frame.write_parquet(beside)
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    sync_rename(beside, path)


def set_aside(folder: Path) -> None:
    """Move what an earlier attempt left to <sweep>/attempts/: nothing of it is lost, nothing of it is mixed in."""
    # run.json first: without it nothing that is left here looks like a run.
    left = sorted((path for path in folder.iterdir() if path.name != LOCK), key=lambda path: path.name != RUN)
    if not left:
        return
    aside = folder.parent / ATTEMPTS / f"{folder.name}-{time.time_ns()}"
    aside.mkdir(parents=True)
    for path in left:
        path.rename(aside / path.name)
