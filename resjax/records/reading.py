"""Read runs back: their states, and everything that a sweep recorded."""

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from resjax.config import nearest
from resjax.errors import InputError
from resjax.records.lock import is_locked
from resjax.records.schema import LAYERS, METRICS, METRICS_SCHEMA, PARTS, RUN, TABLES, TRAIN_LAYERS, Schema

RUN_COLUMN: Schema = {"run": pl.String}
START = "resjax train -m experiment=quickstart"


def state(folder: Path) -> str:
    """The run's status: that of run.json, "cut off" where it says running but no process does, "pending" without it."""
    try:
        status = json.loads((folder / RUN).read_text())["status"]
    except FileNotFoundError:
        return "pending"
    return "cut off" if status == "running" and not is_locked(folder) else status


@dataclass(frozen=True)
class Sweep:
    """One or more sweeps as read back. Every table has a column `run`, the id of the run.

    train_layers: what training itself saw of its layers, where probes.train_grad_norm asked for it.
    """

    folders: tuple[Path, ...]
    runs: list[dict[str, Any]]
    metrics: pl.DataFrame
    layers: pl.DataFrame
    train_layers: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RUN_COLUMN | TABLES[TRAIN_LAYERS]))


def find(sweep: str, runs: str = "runs") -> Path:
    """The folder of a sweep, given by its path or by its name in `runs`. InputError with those that there are."""
    for folder in (Path(sweep), Path(runs) / sweep):
        if run_folders(folder):
            return folder
    there_are = sorted(path.name for path in Path(runs).glob("*") if run_folders(path))
    raise InputError(
        f"{sweep} is no sweep with runs, neither here nor in {runs}/.\n"
        f"Expected {'one of: ' + ', '.join(there_are) if there_are else 'a folder that resjax train wrote'}\n"
        f"{'Did you mean: ' + nearest(sweep, tuple(there_are)) if there_are else 'Type: ' + START}"
    )


def run_folders(sweep: Path) -> list[Path]:
    """The runs' folders, by name."""
    return sorted(path.parent for path in sweep.glob(f"*/{RUN}"))


def read(*sweeps: Path) -> Sweep:
    """Everything that is recorded in the sweeps' folders; a run that is in two of them is read once."""
    folders = sorted((f for sweep in sweeps for f in run_folders(sweep)), key=lambda folder: state(folder) != "done")
    runs: dict[str, dict[str, Any]] = {}
    metrics, layers, train_layers = (
        [pl.DataFrame(schema=RUN_COLUMN | schema)] for schema in (METRICS_SCHEMA, TABLES[LAYERS], TABLES[TRAIN_LAYERS])
    )
    for folder in folders:
        run = json.loads((folder / RUN).read_text())
        if run["id"] in runs:  # a finished copy before any other
            continue
        runs[run["id"]] = run | {"status": state(folder)}
        name = pl.lit(run["id"]).alias("run")
        metrics.append(read_metrics(folder).select(name, pl.all()))
        layers.append(read_layers(folder).select(name, pl.all()))
        train_layers.append(read_layers(folder, TRAIN_LAYERS).select(name, pl.all()))
    return Sweep(sweeps, list(runs.values()), *map(pl.concat, (metrics, layers, train_layers)))


def read_metrics(folder: Path) -> pl.DataFrame:
    """metrics.jsonl, without the half row that a kill may have left at its end."""
    path = folder / METRICS
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return pl.DataFrame([json.loads(line) for line in lines], schema=METRICS_SCHEMA)


def parts(folder: Path, table: str) -> list[Path]:
    """The parts of a run's table, by their first step."""
    return sorted((folder / PARTS).glob(f"{Path(table).stem}-*.parquet"))


def read_layers(folder: Path, table: str = LAYERS) -> pl.DataFrame:
    """layers.parquet, or another table of layers, or its parts while there are."""
    frames = []
    for path in (*parts(folder, table), folder / table):
        with contextlib.suppress(FileNotFoundError):  # parts are gone once they are in the one file, which comes last
            frames.append(pl.read_parquet(path))
    return pl.concat([pl.DataFrame(schema=TABLES[table]), *frames]).unique(
        ["step", "seed", "kind", "layer"], maintain_order=True
    )
