"""What the lab found of a run, in its folder: lab/<instrument>-<8 hex>/, one for each settings, seed and run beside.

about.json      the instrument, its settings, the checkpoint, code and examples that it was made of, whether it is done
table.parquet   tidy rows; in parts, one a piece of the work, while it goes on
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from resjax.durable import make_folder
from resjax.errors import InputError
from resjax.records.files import now, write_frame, write_json
from resjax.records.lock import lock
from resjax.records.schema import LAB_TABLES, LOCK, Schema

LAB, ABOUT, TABLE, PIECES = "lab", "about.json", "table.parquet", "pieces"
FORMAT = 1
# Of two attempts, both with the same of these, the second goes on where the first was cut off.
MADE_OF = ("format", "instrument", "settings", "seed", "beside", "checkpoint", "code_sha256")


@dataclass(frozen=True)
class LabTable:
    """One instrument's rows of one run. about: what about.json says."""

    run: str
    about: dict[str, Any]
    table: pl.DataFrame

    @property
    def instrument(self) -> str:
        """Its name."""
        return str(self.about["instrument"])

    @property
    def settings(self) -> str:
        """Its settings in one spelling: tables are compared where they are the same."""
        return json.dumps([self.about["settings"], self.about["seed"]], sort_keys=True, allow_nan=False)


class LabRecorder:
    """Writes one table, piece by piece. Use as a context, which holds the lock.

    about: with `MADE_OF`. What a cut-off attempt of the same left is kept; of another checkpoint or code, it goes.
    """

    def __init__(self, run: Path, about: dict[str, Any], schema: Schema) -> None:
        self.folder = run / LAB / folder_name(about)
        self.about, self.schema = about | {"format": FORMAT}, schema

    def __enter__(self) -> Self:
        self.descriptor = lock(self.folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if [path.name for path in self.folder.iterdir()] == [LOCK]:  # nothing came of it
            (self.folder / LOCK).unlink()
            self.folder.rmdir()
        os.close(self.descriptor)

    def done_before(self) -> dict[str, Any] | None:
        """about.json of the same, made to the end, maybe by other code; None where there is none."""
        before = about_of(self.folder)
        done = before.get("status") == "done" and self.same(before, but="code_sha256")
        return before if done and table_in(self.folder / TABLE, self.schema) is not None else None

    def same(self, before: dict[str, Any], but: str = "") -> bool:
        """Whether an attempt was made of the same."""
        return all(before.get(key) == self.about.get(key) for key in MADE_OF if key != but)

    def begin(self, afresh: bool = False) -> bool:
        """Make the folder ready; whether there are pieces to go on from, which are thrown away where it is `afresh`."""
        before = about_of(self.folder)
        kept = self.same(before) and before.get("status") == "running" and not afresh
        if not kept:
            shutil.rmtree(self.folder / PIECES, ignore_errors=True)
        for left in self.folder.rglob("*.new"):  # half-written by a process that was killed
            left.unlink()
        make_folder(self.folder / PIECES)
        self.spent = before.get("seconds", 0.0) if kept else 0.0
        self.clock = time.perf_counter()
        self.update(status="running", started=before["started"] if kept else now())
        return kept and any((self.folder / PIECES).glob("*.parquet"))

    def has(self, piece: str) -> bool:
        """Whether the piece is recorded, and can be read."""
        return table_in(self.place(piece), self.schema) is not None

    def write(self, piece: str, columns: dict[str, Any]) -> None:
        """Record a piece; nan becomes null."""
        frame = pl.DataFrame(columns).select(list(self.schema)).cast(pl.Schema(self.schema))
        write_frame(self.place(piece), frame.with_columns(pl.col(pl.Float64).fill_nan(None)), "piece")

    def pause(self) -> None:
        """Note the time that was spent, to go on later."""
        self.update(seconds=self.seconds())

    def finish(self, pieces: Iterable[str]) -> None:
        """One table of the pieces, in this order; then they go."""
        parts = [pl.read_parquet(self.place(piece).resolve(), glob=False) for piece in pieces]
        table = pl.concat([pl.DataFrame(schema=self.schema), *parts])
        write_frame(self.folder / TABLE, table, "table")
        self.update(status="done", ended=now(), seconds=self.seconds())
        shutil.rmtree(self.folder / PIECES, ignore_errors=True)

    def seconds(self) -> float:
        """Over all attempts."""
        return round(self.spent + time.perf_counter() - self.clock, 3)

    def update(self, **facts: Any) -> None:
        """Add facts to about.json."""
        self.about |= facts
        write_json(self.folder / ABOUT, self.about)

    def place(self, piece: str) -> Path:
        """The file of a piece."""
        return self.folder / PIECES / f"{hashlib.sha256(piece.encode()).hexdigest()[:16]}.parquet"


def folder_name(about: dict[str, Any]) -> str:
    """The instrument, and 8 hex of what was asked of it."""
    asked = json.dumps([about["settings"], about["seed"], about["beside"]], sort_keys=True, allow_nan=False)
    return f"{about['instrument']}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"


def about_of(folder: Path) -> dict[str, Any]:
    """about.json; nothing where there is none that can be read."""
    with suppress(OSError, ValueError):
        found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def table_in(path: Path, schema: Schema) -> pl.DataFrame | None:
    """The table in a file, None where it is not there, or damaged, or another one."""
    with suppress(FileNotFoundError, pl.exceptions.PolarsError):
        found = pl.read_parquet(path.resolve(), glob=False)
        return found if found.schema == pl.Schema(schema) else None
    return None


def read_lab(run: Path, identity: str) -> list[LabTable]:
    """Every table of a run that is done, by instrument. identity: the run's id. InputError where one is damaged.

    Of instruments that this version does not have, as a later one may, there are none.
    """
    found = []
    for path in sorted((run / LAB).glob(f"*/{TABLE}")):
        about = about_of(path.parent)
        if about.get("status") == "done" and about["instrument"] in LAB_TABLES:
            table = table_in(path, LAB_TABLES[about["instrument"]])
            if table is None:
                raise InputError(
                    f"{path} is damaged, or of another version of resjax.\n"
                    f"Expected the table that resjax lab {about['instrument']} writes.\n"
                    f"Type: rm -r {path.parent}, and the lab's command again, which measures it anew"
                )
            found.append(LabTable(identity, about, table))
    return found
