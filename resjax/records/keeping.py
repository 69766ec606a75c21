"""A sweep as a few small files that can be committed, and back."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from resjax.records.files import write_json
from resjax.records.lab import LabTable
from resjax.records.reading import RUN_COLUMN, Sweep, read_folders
from resjax.records.schema import LAYERS, METRICS_SCHEMA, RUNS, TABLES

METRICS_TABLE, ASKED = "metrics.parquet", "reproduction.json"
LAB_ABOUT, LAB_TABLE = "lab.json", "lab_{}.parquet"  # of an instrument
SCHEMAS = {METRICS_TABLE: METRICS_SCHEMA, LAYERS: TABLES[LAYERS]}


def keep(sweep: Sweep, folder: Path) -> None:
    """Every run's facts, every step's row in single precision, as it was computed, every probe's; what was asked."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [run | {"config": without_paths(run["config"])} for run in sweep.runs]
    (folder / RUNS).write_text(json.dumps(runs, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    floats = pl.selectors.float()
    for name, table in ((METRICS_TABLE, sweep.metrics), (LAYERS, sweep.layers)):
        table.cast({floats: pl.Float32}).write_parquet(folder / name, compression_level=15)
    if sweep.lab:
        keep_lab(sweep.lab, folder)
    for asked in filter(None, map(asked_of, sweep.folders)):
        write_json(folder / ASKED, asked)


def without_paths(config: dict[str, Any]) -> dict[str, Any]:
    """The settings without the machine's own folders, which decide nothing."""
    return config | {"runs": "runs", "data": config["data"] | {"root": None}}


def keep_lab(found: tuple[LabTable, ...], folder: Path) -> None:
    """What each table was made of, in one file; the rows, one file an instrument."""
    write_json(folder / LAB_ABOUT, [{"run": one.run} | one.about for one in found])
    for name in sorted({one.instrument for one in found}):
        numbered = [
            one.table.select(pl.lit(number, pl.Int32).alias("number"), pl.all())
            for number, one in enumerate(found)
            if one.instrument == name
        ]
        table = pl.concat(numbered).cast({pl.selectors.float(): pl.Float32})
        table.write_parquet(folder / LAB_TABLE.format(name), compression_level=15)


def kept_lab(folder: Path) -> tuple[LabTable, ...]:
    """What `keep_lab` wrote."""
    if not (folder / LAB_ABOUT).exists():
        return ()
    abouts = json.loads((folder / LAB_ABOUT).read_text(encoding="utf-8"))
    tables = {
        name: pl.read_parquet(folder / LAB_TABLE.format(name), glob=False).cast({pl.selectors.float(): pl.Float64})
        for name in {about["instrument"] for about in abouts}
    }
    return tuple(
        LabTable(about.pop("run"), about, tables[about["instrument"]].filter(number=number).drop("number"))
        for number, about in enumerate(abouts)
    )


def kept(folder: Path) -> Sweep:
    """What `keep` wrote; columns that were not there then are empty."""
    floats = pl.selectors.float()
    metrics, layers = (
        pl.concat(
            [
                pl.DataFrame(schema=RUN_COLUMN | schema),
                pl.read_parquet(folder / name, glob=False).cast({floats: pl.Float64}),
            ],
            how="diagonal",
        )
        for name, schema in SCHEMAS.items()
    )
    return Sweep((folder,), json.loads((folder / RUNS).read_text(encoding="utf-8")), metrics, layers, kept_lab(folder))


def read(*sweeps: Path) -> Sweep:
    """Everything that is recorded in the sweeps' folders, or in folders of compact records, but what training saw of
    its layers at every step. A run that is in two counts once, the finished one first.
    """
    compact = [folder for folder in sweeps if (folder / RUNS).exists()]
    parts = [read_folders(*(folder for folder in sweeps if folder not in compact)), *map(kept, compact)]
    chosen: dict[str, tuple[int, dict[str, Any]]] = {}
    every = [(number, run) for number, part in enumerate(parts) for run in part.runs]
    for number, run in sorted(every, key=lambda one: one[1]["status"] != "done"):
        chosen.setdefault(run["id"], (number, run))
    own = [[run for run, (of, _) in chosen.items() if of == number] for number in range(len(parts))]
    metrics, layers = (
        pl.concat([frame.filter(pl.col("run").is_in(ids)) for frame, ids in zip(frames, own, strict=True)])
        for frames in ([part.metrics for part in parts], [part.layers for part in parts])
    )
    lab = tuple(one for part, ids in zip(parts, own, strict=True) for one in part.lab if one.run in ids)
    return Sweep(sweeps, [run for _, run in chosen.values()], metrics, layers, lab)


def note_asked(folder: Path, asked: dict[str, Any]) -> None:
    """Write down in a sweep's folder which item of a paper its runs are for."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ASKED, asked)


def asked_of(folder: Path) -> dict[str, Any]:
    """What `note_asked` wrote; nothing where nobody asked."""
    path = folder / ASKED
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
