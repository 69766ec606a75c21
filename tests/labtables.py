"""Made-up tables of the lab, as the report reads them."""

from typing import Any

import polars as pl

from resjax.records import LAB_TABLES, LabTable


def lab_table(
    instrument: str, run: str, rows: list[dict[str, Any]], beside: str | None = None, **about: Any
) -> LabTable:
    """Of a run, by its id, as it is now. about: what about.json says otherwise."""
    facts = {
        "instrument": instrument,
        "settings": {},
        "seed": 0,
        "beside": beside,
        "checkpoint": [checkpoint(one) for one in (run, beside) if one],
        "code_sha256": "code",
        "ended": "2026-01-01",
    }
    return LabTable(run, facts | about, pl.DataFrame(rows, schema=LAB_TABLES[instrument]))


def checkpoint(run: str) -> str:
    """What stands for the digest of a run's checkpoint."""
    return f"checkpoint of {run}"
