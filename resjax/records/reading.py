"""Read runs back: their states, and everything that a sweep recorded."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import polars as pl

from resjax.errors import InputError
from resjax.legal import slug
from resjax.records.lab import LabTable, read_lab
from resjax.records.lock import is_locked
from resjax.records.schema import LAYERS, METRICS, METRICS_SCHEMA, PARTS, RUN, RUNS, TABLES, TRAIN_LAYERS, Schema
from resjax.settings import nearest

RUN_COLUMN: Schema = {"run": pl.String}
LAST_BYTES = 4096  # in which a row of metrics ends
START = "resjax train -m experiment=quickstart"


def facts_of(folder: Path) -> dict[str, Any]:
    """run.json; nothing where there is none. InputError where it is no run's."""
    try:
        found = json.loads((folder / RUN).read_text(), parse_constant=refuse_constant)
        if not isinstance(found, dict) or "status" not in found:
            raise ValueError("it has no status")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(
            f"{folder / RUN} is damaged: {error}\nExpected what resjax wrote.\n"
            f"Move the folder away, and type the sweep's command again: mv {folder} {folder}.damaged"
        ) from error
    return found


def refuse_constant(name: str) -> None:
    """Strict JSON has neither NaN nor Infinity."""
    raise ValueError(f"{name} is no JSON")


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def state(folder: Path, facts: dict[str, Any] | None = None) -> str:
    """The run's status: that of run.json, "cut off" where it says running but no process does, "pending" without it.

    "damaged" where it cannot be read. facts: run.json where it was read already.
    """
    try:
        status: str = (facts_of(folder) if facts is None else facts).get("status", "pending")
    except InputError:
        return "damaged"
    return "cut off" if status == "running" and not is_locked(folder) else status


@dataclass(frozen=True)
class Sweep:
    """One or more sweeps as read back. Every table has a column `run`, the id of the run; lab: what the lab found."""

    folders: tuple[Path, ...]
    runs: list[dict[str, Any]]
    metrics: pl.DataFrame
    layers: pl.DataFrame
    lab: tuple[LabTable, ...] = ()


def find(sweep: str, runs: str = "runs", compact: bool = False) -> Path:
    """The folder of a sweep, given by its path or by its name in `runs`, safe or as it was typed.

    compact: a folder of compact records will do, too. InputError with those that there are.
    """
    safe = "" if "/" in sweep else slug(sweep)
    for folder in (Path(sweep), Path(runs) / sweep, Path(runs) / (safe or sweep)):
        with contextlib.suppress(OSError, ValueError):  # the name is too long for a folder's, or has a NUL
            if sweep and (run_folders(folder) or (compact and (folder / RUNS).exists())):
                return folder
    there_are = sorted(path.name for path in Path(runs).glob("*") if run_folders(path))
    shown = sweep if sweep and sweep.isprintable() else repr(sweep)
    raise InputError(
        f"{shown} is no sweep with runs, neither here nor in {runs}/.\n"
        f"Expected {'one of: ' + ', '.join(there_are) if there_are else 'a folder that resjax train wrote'}\n"
        f"{instead(sweep, there_are) if there_are else 'Type: ' + START}"
    )


def instead(sweep: str, there_are: list[str]) -> str:
    """The sweep that was meant, where one is alike."""
    alike = get_close_matches(sweep, there_are, 1)
    return f"Did you mean: {alike[0]}" if alike else f"Type one of these in place of {sweep!r}"


def find_runs(word: str, runs: str = "runs") -> list[Path]:
    """The runs that a word names: a run's folder or its name, the beginning of one, or a whole sweep's finished ones.

    InputError where it is none, or the beginning of several, or a sweep with none that is done.
    """
    if sweep := sweep_named(word, runs):
        if done := [path for path in run_folders(sweep) if state(path) == "done"]:
            return done
        raise InputError(
            f"no run of {word} is done.\nExpected a sweep with one that is.\nType: resjax status {sweep.name}"
        )
    if (Path(word) / RUN).exists():
        return [Path(word)]
    found = all_runs(runs)
    begun = named_so(word, found)
    begun = begun or [path for path in found if f"{path.parent.name}/{path.name}".startswith(word) and "/" in word]
    begun = begun or [path for path in found if path.name.startswith(word)]
    if len(begun) == 1:
        return begun
    if not found:
        raise InputError(f"{word} is no run; there is none in {runs}/.\nExpected a finished run.\nType: {START}")
    there_are = tuple(f"{path.parent.name}/{path.name}" for path in begun or found)
    if begun:
        raise InputError(
            f"{word} is the beginning of several runs.\nExpected one of: {', '.join(there_are)}\n"
            f"Did you mean: {nearest(word, there_are)}"
        )
    sweeps = tuple(sorted({path.parent.name for path in found}))
    raise InputError(
        f"{word} is no run and no sweep.\nExpected a sweep: {', '.join(sweeps)}; or a run: {', '.join(there_are)}\n"
        f"Did you mean: {nearest(word, (*sweeps, *there_are))}"
    )


def sweep_named(word: str, runs: str = "runs") -> Path | None:
    """The folder of the sweep that a word names; None where it names a run, or nothing."""
    if (Path(word) / RUN).exists() or len(named_so(word, all_runs(runs))) == 1:
        return None
    with contextlib.suppress(InputError):
        return find(word, runs)
    return None


def all_runs(runs: str) -> list[Path]:
    """The folders of every sweep's runs, by name."""
    return sorted(path.parent for path in Path(runs).glob(f"*/*/{RUN}"))


def named_so(word: str, folders: Sequence[Path]) -> list[Path]:
    """Those of the runs' folders whose name it is, maybe behind the sweep's."""
    return [path for path in folders if word in (path.name, f"{path.parent.name}/{path.name}")]


def run_folders(sweep: Path) -> list[Path]:
    """The runs' folders, by name."""
    return sorted(path.parent for path in sweep.glob(f"*/{RUN}"))


def read_folders(*sweeps: Path) -> Sweep:
    """Everything that is recorded in the sweeps' folders, but what training saw of its layers at every step."""
    folders = folders_by_run(*sweeps)
    runs = [facts_of(folder) | {"status": state(folder)} for folder in folders.values()]
    metrics = together(METRICS_SCHEMA, {run: read_metrics(folder) for run, folder in folders.items()})
    layers = together(TABLES[LAYERS], {run: read_layers(folder) for run, folder in folders.items()})
    lab = tuple(table for run, folder in folders.items() for table in read_lab(folder, run))
    return Sweep(sweeps, runs, metrics, layers, lab)


def read_train_layers(*sweeps: Path) -> pl.DataFrame:
    """What training itself saw of its layers, where probes.train_grad_norm asked for it: a row a step, so many."""
    found = {run: read_layers(folder, TRAIN_LAYERS) for run, folder in folders_by_run(*sweeps).items()}
    return together(TABLES[TRAIN_LAYERS], found)


def folders_by_run(*sweeps: Path) -> dict[str, Path]:
    """Each run's folder by the run's id, but for those that are only planned; of one in two, the finished first."""
    there = {folder: facts_of(folder) for sweep in sweeps for folder in run_folders(sweep)}
    begun = {folder: run for folder, run in there.items() if run.get("status") != "pending"}
    found: dict[str, Path] = {}
    for folder in sorted(begun, key=lambda folder: begun[folder]["status"] != "done"):
        found.setdefault(begun[folder]["id"], folder)
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


def last_row(folder: Path) -> dict[str, Any] | None:
    """The last whole row of metrics.jsonl."""
    try:
        with (folder / METRICS).open("rb") as stream:
            stream.seek(max(stream.seek(0, 2) - LAST_BYTES, 0))
            lines = stream.read().split(b"\n")[:-1]
        row: dict[str, Any] = json.loads(lines[-1])
        return row
    except (OSError, IndexError, ValueError):
        return None


def parts(folder: Path, table: str) -> list[Path]:
    """The parts of a run's table, by their first step."""
    return sorted((folder / PARTS).glob(f"{Path(table).stem}-*.parquet"))


def read_layers(folder: Path, table: str = LAYERS) -> pl.DataFrame:
    """layers.parquet, or another table of layers, or its parts while there are."""
    frames = []
    for path in (*parts(folder, table), folder / table):
        with contextlib.suppress(FileNotFoundError):  # parts are gone once they are in the one file, which comes last
            frames.append(pl.read_parquet(path.resolve(), glob=False))
    # Runs from before a column was there are read, too.
    together = pl.concat([pl.DataFrame(schema=TABLES[table]), *frames], how="diagonal").select(list(TABLES[table]))
    return together.unique(["step", "seed", "kind", "layer"], maintain_order=True)
