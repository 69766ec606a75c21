"""Made records as the rows of an item."""

from collections.abc import Callable
from typing import Any

import polars as pl

from resjax.identity import pooled
from resjax.papers.item import Claim, Item, Preset
from resjax.records import Sweep
from resjax.report.groups import pool
from resjax.report.reproduction import Entry, Found, Reproduction, match

Make = Callable[..., Any]


def reproduced(rows: dict[str, Any], claims: list[Claim], join: Make, **said: Any) -> Found:
    """Rows as they were made, and claims on them."""
    preset = Preset(loss=said.pop("loss", None), fails=said.pop("fails", 20.0))
    names = dict.fromkeys(rows, ())
    item = Item("x", "", "", "", "", "", "", (), names, {"smoke": preset}, claims=tuple(claims), **said)
    entries = tuple(Entry(row, pooled(run["canonical"])) for row, (run, _, _) in rows.items())
    sweep: Sweep = join(*rows.values())
    return match(Reproduction(item, "smoke", entries, ""), sweep, pool(sweep))


def iterations(made: Any, at: dict[int, int]) -> Any:
    """The run with a training loss of 2 that falls to 0.5 at the step `at`, by seed."""
    run, metrics, layers = made
    step = pl.col("seed").replace_strict(at, default=0)
    loss = pl.when(pl.col("train_loss").is_null()).then(None).when(pl.col("step") < step).then(2.0).otherwise(0.5)
    return run, metrics.with_columns(train_loss=loss), layers
