"""Run folders, runs/<sweep>/<readable name>-<12 hex of the id>/: the only place that writes and reads them.

run.json        what ran and how it ended; written whole, then renamed
metrics.jsonl   one strict-JSON row a logged step and seed; a value that is not finite is null and named in not_finite
layers.parquet  one row a probed step, seed and layer; in parts while the run goes on
checkpoints/, log.txt, error.txt
"""

import fcntl
import json
import math
import os
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from resjax.durable import sync_rename, write_whole
from resjax.errors import InputError
from resjax.rows import Layers, Metrics

RUN, METRICS, LAYERS, PARTS, LOCK = "run.json", "metrics.jsonl", "layers.parquet", "layers.parts", ".lock"
ATTEMPTS = "attempts"
Schema = dict[str, Any]
METRICS_SCHEMA: Schema = {
    "step": pl.Int64,
    "seed": pl.Int64,
    "epoch": pl.Float64,
    "learning_rate": pl.Float64,
    "train_loss": pl.Float64,
    "train_error": pl.Float64,
    "grad_norm": pl.Float64,
    "test_loss": pl.Float64,
    "test_error": pl.Float64,
    "not_finite": pl.List(pl.String),
}
LAYERS_KEY: Schema = {
    "step": pl.Int64,
    "seed": pl.Int64,
    "layer": pl.Int64,
    "name": pl.String,
    "stage": pl.Int64,
    "kind": pl.String,
}
QUANTITIES = (
    "grad_norm",
    "grad_rms",
    "weight_norm",
    "update_ratio",
    "response_std",
    "act_grad_norm",
    "act_rms",
    "dead_fraction",
)
LAYERS_SCHEMA: Schema = LAYERS_KEY | dict.fromkeys(QUANTITIES, pl.Float64)


class Recorder:
    """Writes one run's folder. Use as a context: an exception that leaves it is recorded, and goes on.

    Whatever kills the process, at any moment, leaves whole rows and a whole run.json behind.
    """

    def __init__(self, folder: Path, run: dict[str, Any]) -> None:
        self.folder, self.run = folder, run | {"status": "running", "started": now()}
        self.clock = time.perf_counter()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = lock(self.folder)
        set_aside(self.folder)
        self.metrics_file = os.open(self.folder / METRICS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.update()
        self.log("started")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and self.run["status"] == "running":
            status = "failed" if isinstance(error, Exception) else "preempted"
            text = "".join(traceback.format_exception(error))
            write_whole(self.folder / "error.txt", text.encode())
            self.finish(status, error=f"{kind.__name__ if kind else ''}: {error}")
        os.close(self.metrics_file)
        os.close(self.lock)

    def update(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self.run |= facts
        write_whole(self.folder / RUN, (json.dumps(self.run, indent=1, allow_nan=False) + "\n").encode())

    def metrics(self, row: Metrics) -> None:
        """Append a row to metrics.jsonl in one write."""
        values = {name: value if math.isfinite(value) else None for name, value in row.values.items()}
        bad = [name for name, value in values.items() if value is None]
        line = {"step": row.step, "seed": row.seed} | values | ({"not_finite": bad} if bad else {})
        os.write(self.metrics_file, (json.dumps(line, allow_nan=False) + "\n").encode())

    def layers(self, row: Layers) -> None:
        """Write the layers of one step as a part of layers.parquet."""
        parts = self.folder / PARTS
        parts.mkdir(exist_ok=True)
        frame = (
            pl.DataFrame({"step": row.step, **row.columns}).select(list(LAYERS_SCHEMA)).cast(pl.Schema(LAYERS_SCHEMA))
        )
        write_frame(parts / f"step-{row.step:09d}.parquet", frame.with_columns(pl.col(pl.Float64).fill_nan(None)))

    def log(self, text: str) -> None:
        """Append a line to log.txt."""
        with (self.folder / "log.txt").open("a") as stream:
            stream.write(f"{now()} {text}\n")

    def finish(self, status: str, **facts: Any) -> None:
        """The last state: layers in one file, run.json with the status."""
        self.compact()
        os.fsync(self.metrics_file)
        times = facts.pop("times", {}) | {"total": round(time.perf_counter() - self.clock, 3)}
        self.log(status)
        self.update(status=status, ended=now(), times=times, **facts)

    def compact(self) -> None:
        """Make one layers.parquet of the parts."""
        parts = sorted((self.folder / PARTS).glob("step-*.parquet"))
        if not parts:
            return
        write_frame(self.folder / LAYERS, pl.concat([pl.read_parquet(part) for part in parts]))
        for part in parts:
            part.unlink()
        (self.folder / PARTS).rmdir()


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """`write_whole` of a frame as Parquet."""
    beside = path.with_name(path.name + ".new")
    frame.write_parquet(beside)
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    sync_rename(beside, path)


def lock(folder: Path) -> int:
    """Hold the run's lock until the descriptor is closed or the process ends. InputError where another holds it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise InputError(
            f"{folder} is being written by another process.\nExpected one process a run.\n"
            f"Type: resjax status {folder.parent}"
        ) from error
    return descriptor


def is_locked(folder: Path) -> bool:
    """Whether a living process writes the run."""
    try:
        os.close(lock(folder))
    except InputError:
        return True
    return False


def set_aside(folder: Path) -> None:
    """Move what an earlier attempt left to <sweep>/attempts/: nothing of it is lost, nothing of it is mixed in."""
    left = [path for path in folder.iterdir() if path.name != LOCK]
    if not left:
        return
    aside = folder.parent / ATTEMPTS / f"{folder.name}-{time.time_ns()}"
    aside.mkdir(parents=True)
    for path in left:
        path.rename(aside / path.name)


def state(folder: Path) -> str:
    """The run's status: that of run.json, "cut off" where it says running but no process does, "pending" without it."""
    try:
        status = json.loads((folder / RUN).read_text())["status"]
    except FileNotFoundError:
        return "pending"
    return "cut off" if status == "running" and not is_locked(folder) else status


@dataclass(frozen=True)
class Sweep:
    """One or more sweeps as read back. `metrics` and `layers` have a column `run`, the id of the run."""

    folders: tuple[Path, ...]
    runs: list[dict[str, Any]]
    metrics: pl.DataFrame
    layers: pl.DataFrame


def find(sweep: str, runs: str = "runs") -> Path:
    """The folder of a sweep, given by its path or by its name in `runs`. InputError with those that there are."""
    for folder in (Path(sweep), Path(runs) / sweep):
        if run_folders(folder):
            return folder
    there_are = sorted(path.name for path in Path(runs).glob("*") if run_folders(path))
    raise InputError(
        f"{sweep} is no sweep with runs, neither here nor in {runs}/.\n"
        f"Expected {'one of: ' + ', '.join(there_are) if there_are else 'a folder that resjax train wrote'}\n"
        "Type: resjax train -m experiment=quickstart"
    )


def run_folders(sweep: Path) -> list[Path]:
    """The runs' folders, by name."""
    return sorted(path.parent for path in sweep.glob(f"*/{RUN}"))


def read(*sweeps: Path) -> Sweep:
    """Everything that is recorded in the sweeps' folders; a run that is in two of them is read once."""
    folders = [folder for sweep in sweeps for folder in run_folders(sweep)]
    runs: dict[str, dict[str, Any]] = {}
    metrics, layers = (
        [pl.DataFrame(schema={"run": pl.String} | METRICS_SCHEMA)],
        [pl.DataFrame(schema={"run": pl.String} | LAYERS_SCHEMA)],
    )
    for folder in folders:
        run = json.loads((folder / RUN).read_text())
        if run["id"] in runs:
            continue
        runs[run["id"]] = run | {"status": state(folder)}
        name = pl.lit(run["id"]).alias("run")
        metrics.append(read_metrics(folder).select(name, pl.all()))
        layers.append(read_layers(folder).select(name, pl.all()))
    return Sweep(sweeps, list(runs.values()), pl.concat(metrics), pl.concat(layers))


def read_metrics(folder: Path) -> pl.DataFrame:
    """metrics.jsonl, without the half row that a kill may have left at its end."""
    path = folder / METRICS
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return pl.DataFrame([json.loads(line) for line in lines], schema=METRICS_SCHEMA)


def read_layers(folder: Path) -> pl.DataFrame:
    """layers.parquet, or its parts while there are."""
    paths = [path for path in (folder / LAYERS, *sorted((folder / PARTS).glob("step-*.parquet"))) if path.exists()]
    frames = [pl.read_parquet(path) for path in paths]
    return pl.concat([pl.DataFrame(schema=LAYERS_SCHEMA), *frames]).unique(
        ["step", "seed", "kind", "layer"], maintain_order=True
    )
