"""A sweep as a few small files that can be committed, and back."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from resjax.records.files import write_json
from resjax.records.reading import RUN_COLUMN, Sweep
from resjax.records.schema import LAYERS, METRICS_SCHEMA, TABLES

RUNS, METRICS_TABLE, ASKED = "runs.json", "metrics.parquet", "reproduction.json"
SCHEMAS = {METRICS_TABLE: METRICS_SCHEMA, LAYERS: TABLES[LAYERS]}


def keep(sweep: Sweep, folder: Path) -> None:
    """Every run's facts, every step's row in single precision, as it was computed, every probe's; what was asked."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [run | {"config": run["config"] | {"runs": "runs"}} for run in sweep.runs]  # not a path of the machine
    (folder / RUNS).write_text(json.dumps(runs, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    floats = pl.selectors.float()
    for name, table in ((METRICS_TABLE, sweep.metrics), (LAYERS, sweep.layers)):
        table.cast({floats: pl.Float32}).write_parquet(folder / name, compression_level=15)
    for asked in filter(None, map(asked_of, sweep.folders)):
        write_json(folder / ASKED, asked)


def kept(folder: Path) -> Sweep:
    """What `keep` wrote; columns that were not there then are empty."""
    floats = pl.selectors.float()
    tables = [
        pl.concat(
            [
                pl.DataFrame(schema=RUN_COLUMN | schema),
                pl.read_parquet(folder / name, glob=False).cast({floats: pl.Float64}),
            ],
            how="diagonal",
        )
        for name, schema in SCHEMAS.items()
    ]
    return Sweep((folder,), json.loads((folder / RUNS).read_text(encoding="utf-8")), *tables)


def note_asked(folder: Path, asked: dict[str, Any]) -> None:
    """Write down in a sweep's folder which item of a paper its runs are for."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ASKED, asked)


def asked_of(folder: Path) -> dict[str, Any]:
    """What `note_asked` wrote; nothing where nobody asked."""
    path = folder / ASKED
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
