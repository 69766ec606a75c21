"""Read runs back: their states, and everything that a sweep recorded."""

import contextlib
import json
from dataclasses import dataclass
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
    """One or more sweeps as read back. Every table has a column `run`, the id of the run."""

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
        f"{'Did you mean: ' + nearest(sweep, tuple(there_are)) if there_are else 'Type: ' + START}"
    )


def run_folders(sweep: Path) -> list[Path]:
    """The runs' folders, by name."""
    return sorted(path.parent for path in sweep.glob(f"*/{RUN}"))


def read(*sweeps: Path) -> Sweep:
    """Everything that is recorded in the sweeps' folders, but what training saw of its layers at every step."""
    folders = folders_by_run(*sweeps)
    runs = [json.loads((folder / RUN).read_text()) | {"status": state(folder)} for folder in folders.values()]
    metrics = together(METRICS_SCHEMA, {run: read_metrics(folder) for run, folder in folders.items()})
    layers = together(TABLES[LAYERS], {run: read_layers(folder) for run, folder in folders.items()})
    return Sweep(sweeps, runs, metrics, layers)


def read_train_layers(*sweeps: Path) -> pl.DataFrame:
    """What training itself saw of its layers, where probes.train_grad_norm asked for it: a row a step, so many."""
    found = {run: read_layers(folder, TRAIN_LAYERS) for run, folder in folders_by_run(*sweeps).items()}
    return together(TABLES[TRAIN_LAYERS], found)


def folders_by_run(*sweeps: Path) -> dict[str, Path]:
    """Each run's folder by the run's id; of a run that is in two, the finished one before any other."""
    folders = sorted((f for sweep in sweeps for f in run_folders(sweep)), key=lambda folder: state(folder) != "done")
    found: dict[str, Path] = {}
    for folder in folders:
        found.setdefault(json.loads((folder / RUN).read_text())["id"], folder)
    return found


def together(schema: Schema, frames: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Tables of runs one below the other, with the run's id in front."""
    named = [frame.select(pl.lit(run).alias("run"), pl.all()) for run, frame in frames.items()]
    return pl.concat([pl.DataFrame(schema=RUN_COLUMN | schema), *named])


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
    # Runs from before a column was there are read, too.
    together = pl.concat([pl.DataFrame(schema=TABLES[table]), *frames], how="diagonal").select(list(TABLES[table]))
    return together.unique(["step", "seed", "kind", "layer"], maintain_order=True)
