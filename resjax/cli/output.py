"""Tables for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def show(rows: Sequence[Mapping[str, Any]], as_json: bool, columns: Sequence[str] = ()) -> None:
    """Print the rows: one JSON document, or a table of `columns` (all of them where none are named)."""
    if as_json:
        print(json.dumps(list(rows), indent=1, allow_nan=False))
        return
    table = Table(box=None, pad_edge=False)
    names = columns or (list(rows[0]) if rows else [])
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if row[name] is None else escape(str(row[name])) for name in names))
    wide().print(table)


def wide() -> Console:
    """A console that gives a file or a pipe room, so that names stay whole."""
    console = Console()
    if not console.is_terminal:
        console.width = 240
    return console
