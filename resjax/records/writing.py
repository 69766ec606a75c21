"""Write one run's folder so that a kill at any moment leaves whole rows and a whole run.json."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from resjax import faults
from resjax.durable import make_folder, no_room_said
from resjax.errors import InputError
from resjax.records import marks
from resjax.records.files import append_log, failure_of, now, one_line, write_error, write_frame, write_json
from resjax.records.lock import lock
from resjax.records.reading import parts
from resjax.records.schema import LAYERS, LOCK, LOG, METRICS, PARTS, RESERVE, RUN, TABLES, TRAIN_LAYERS
from resjax.records.states import facts_if_readable, keep_error, put_back, set_aside
from resjax.rows import Layers, Metrics, TrainLayers

RESERVED_BYTES = 64 * 1024  # so that a full disk, too, can be recorded


class Recorder:
    """Writes one run's folder. Use as a context: an exception that leaves it is recorded, and goes on.

    With a mark it goes on from there; without one it begins, and what an earlier attempt left goes to <sweep>/attempts.
    Settings that turn out not to fit together (InputError, before the first row) are no run, and leave none.

    Whatever kills the process, at any moment, leaves whole rows and a whole run.json behind. held: the descriptor of
    the run's lock, where the caller has it already.
    """

    def __init__(
        self, folder: Path, run: dict[str, Any], mark: marks.Mark | None = None, held: int | None = None
    ) -> None:
        self.folder, self.mark_before, self.held = folder, mark, held
        self.run = run | {"status": "running", "started": now()}
        self.clock = time.perf_counter()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            if self.held is None:
                opened.callback(os.close, lock(self.folder))
            self.begin()
            self.metrics_file = os.open(
                self.folder / METRICS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
            opened.callback(os.close, self.metrics_file)
            self.update()
            self.log("started" if self.mark_before is None else f"goes on from step {self.mark_before['step']}")
            self.opened = opened.pop_all()
        return self

    def begin(self) -> None:
        """Make the folder what it was at the mark, or empty."""
        self.before, self.aside = facts_if_readable(self.folder), None
        self.run["attempt"] = self.before.get("attempt", 0) + 1
        for left in self.folder.rglob("*.new"):  # half-written by a process that was killed
            left.unlink()
        self.digest, self.size, self.parts = hashlib.sha256(), 0, dict[str, str]()
        if self.mark_before is None:
            self.aside = set_aside(self.folder)
        else:
            marks.rewind(self.folder, self.mark_before)
            keep_error(self.folder)
            content = (self.folder / METRICS).read_bytes()
            self.digest.update(content)
            self.size = len(content)
            for part in marks.parts_before(self.folder, self.mark_before["step"]):
                self.parts[part.name] = hashlib.sha256(part.read_bytes()).hexdigest()
        self.reserve()

    def reserve(self) -> None:
        """Some bytes of ballast, given up when the disk is full."""
        with contextlib.suppress(OSError):
            (self.folder / RESERVE).write_bytes(bytes(RESERVED_BYTES))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self.opened:
            if error is None or self.run["status"] != "running":
                pass
            elif isinstance(error, InputError) and (self.mark_before or not os.fstat(self.metrics_file).st_size):
                self.undo()
            elif isinstance(error, KeyboardInterrupt | GeneratorExit):
                self.write_error(error)
                self.finish("preempted", error=one_line(error))
            else:
                self.write_error(error)
                self.finish("failed", error=one_line(error), failure=failure_of(error))
            (self.folder / RESERVE).unlink(missing_ok=True)

    def undo(self) -> None:
        """As if it had not been begun: planned again, or what it was before."""
        if self.mark_before is None:
            marks.empty_folder(self.folder, keep=(LOCK, RUN, LOG) if self.before else (LOCK,))
        if self.aside is not None:
            put_back(self.folder, self.aside)
        elif self.before:
            write_json(self.folder / RUN, self.before)

    def write_error(self, error: BaseException) -> None:
        """The whole trace, in error.txt; where there is no room even for that, in the log of whoever looks."""
        (self.folder / RESERVE).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            write_error(self.folder, "".join(traceback.format_exception(error)))

    def update(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self.run |= facts
        write_json(self.folder / RUN, self.run)

    def metrics(self, row: Metrics) -> None:
        """Append a row to metrics.jsonl in one write."""
        values = {name: value if math.isfinite(value) else None for name, value in row.values.items()}
        bad = [name for name, value in values.items() if value is None]
        line = {"step": row.step, "seed": row.seed} | values | ({"not_finite": bad} if bad else {})
        content = (json.dumps(line, allow_nan=False) + "\n").encode()
        faults.point("metrics.before")
        self.append(content)
        faults.point("metrics.written")
        self.digest.update(content)
        self.size += len(content)

    def append(self, content: bytes) -> None:
        """The whole row or nothing of it. Raises DiskFullError."""
        rest = content
        try:
            with no_room_said(self.folder / METRICS, len(content)):
                while rest:  # one write, unless the disk is full or a signal comes
                    rest = rest[os.write(self.metrics_file, rest) :]
        except OSError:
            os.ftruncate(self.metrics_file, self.size)
            raise

    def layers(self, row: Layers) -> None:
        """Write the layers of one step as a part of layers.parquet."""
        self.part(LAYERS, row.step, {"step": row.step, **row.columns})

    def train_layers(self, row: TrainLayers) -> None:
        """Write what training saw of the layers in a chunk of steps as a part of train_layers.parquet."""
        self.part(TRAIN_LAYERS, int(row.columns["step"][0]), row.columns)

    def part(self, table: str, step: int, columns: dict[str, Any]) -> None:
        """Write a part of a table, named by its first step; nan becomes null, and so does what was not looked at."""
        make_folder(self.folder / PARTS)
        schema = TABLES[table]
        frame = pl.DataFrame(columns)
        frame = frame.with_columns(pl.lit(None).alias(name) for name in schema if name not in frame.columns)
        frame = frame.select(list(schema)).cast(pl.Schema(schema))
        frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None))
        path = self.folder / PARTS / f"{Path(table).stem}-{step:09d}.parquet"
        write_frame(path, frame, "part")
        self.parts[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()

    def mark(self, step: int) -> marks.Mark:
        """How far the records are now that every row of the steps before `step` is written, and brought to the disk."""
        os.fsync(self.metrics_file)
        before = {name: digest for name, digest in self.parts.items() if marks.step_of(name) < step}
        return {
            "step": step,
            "metrics_bytes": self.size,
            "metrics_sha256": self.digest.hexdigest(),
            "parts_sha256": marks.digest_of(before),
        }

    def log(self, text: str) -> None:
        """Append a line to log.txt."""
        append_log(self.folder, f"{now()} {text}\n")

    def finish(self, status: str, **facts: Any) -> None:
        """The last state: each table in one file, run.json with the status; then, of a run that is done, no parts."""
        with contextlib.suppress(Exception) if status == "failed" else contextlib.nullcontext():
            self.compact()  # of a run that failed as far as it can be; its parts stay
        faults.point("finish.compacted")
        os.fsync(self.metrics_file)
        total = time.perf_counter() - self.clock + self.run.get("spent", 0)
        times = facts.pop("times", {}) | {"total": round(total, 3)}
        self.log(status)
        self.update(status=status, ended=now(), times=times, **facts)
        faults.point("finish.said")
        if status == "done":
            shutil.rmtree(self.folder / PARTS, ignore_errors=True)

    def compact(self) -> None:
        """Make one file of each table's parts."""
        for table in TABLES:
            # Without glob=False a [ in the path would be a pattern of polars'.
            found = [pl.read_parquet(part.resolve(), glob=False) for part in parts(self.folder, table)]
            if found:
                write_frame(self.folder / table, pl.concat(found), "table")
