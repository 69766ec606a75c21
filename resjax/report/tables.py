"""The summary of a sweep, and every table as CSV, HTML cells and terminal lines."""

from pathlib import Path
from typing import Any, Literal

import polars as pl
from rich.console import Group
from rich.table import Table
from rich.text import Text

from resjax.records import Sweep
from resjax.report.groups import Group as Networks
from resjax.report.groups import Pool, pool
from resjax.statistics import estimate

PERCENT = 100.0
TEN = "test_error_10crop"
COLUMNS = (
    ("model", "network"),
    ("arm", "arm"),
    ("depth", "depth"),
    ("norm", "norm"),
    ("data", "data"),
    ("setting", "setting"),
    ("parameters", "parameters"),
    ("train_error", "training error, %"),
    ("test_error", "test error, %"),
    ("test_error_10crop", "test error, ten crops, %"),
    ("gap", "test − training, points"),  # noqa: RUF001
    ("train_loss", "training loss, nats"),
    ("n_finished", "finished"),
    ("n_diverged", "diverged"),
    ("seeds", "seeds"),
)
MEASURED = ("train_error", "test_error", "test_error_10crop", "gap", "train_loss")
NUMBERS = ("depth", "parameters", *MEASURED, "n_finished", "n_diverged")
SHORT = {
    "train_error": "training\nerror, %",
    "test_error": "test\nerror, %",
    "test_error_10crop": "ten-crop\nerror, %",
    "n_finished": "seeds\ndone",
    "n_diverged": "\ndiverged",
    "gap": "test −\ntraining",  # noqa: RUF001
}
LEAVE = ("model", "norm", "parameters", "gap")  # of a table that is too wide, the last first; words that all rows share
APART = ("model", "arm", "depth", "norm", "data", "setting")  # what tells rows apart stands in every table
LONGEST, SHORTEST = 24, 10  # letters of a setting in the table; of a column of words
Cells = list[dict[str, str]]  # a row each, as it is shown
CAPTION = "mean ± std over the seeds that finished"


def summary(sweep: Sweep) -> list[dict[str, Any]]:
    """A row a group, by data, model, norm, depth, arm. Errors are fractions; a mean is over the seeds that finished.

    _std: sample standard deviation (ddof 1); _ci95: half the 95 % interval, Student's t below ten seeds, BCa bootstrap
    from ten. Both are None from one seed.
    """
    return rows(pool(sweep))


def rows(pooled: Pool) -> list[dict[str, Any]]:
    """`summary` of what is pooled."""
    return [row(group) for group in pooled.groups]


def row(group: Networks) -> dict[str, Any]:
    """One group's row."""
    names = ("model", "arm", "depth", "norm", "data", "setting", "parameters")
    found: dict[str, Any] = {name: getattr(group, name) for name in names}
    for quantity in MEASURED:
        value = estimate(group.final(quantity).values())
        found |= {f"{quantity}_mean": value.mean, f"{quantity}_std": value.std, f"{quantity}_ci95": value.half}
    counts = {"n_finished": len(group.finished), "n_diverged": len(group.diverged)}
    return found | counts | {"seeds": [seed.number for seed in group.seeds]}


def columns(found: list[dict[str, Any]], most: bool = True) -> list[tuple[str, str]]:
    """Those worth showing: the setting where it differs, ten crops where there are; without `most`, what all rows
    share neither.
    """
    hidden = {"setting"} if not any(row["setting"] for row in found) else set()
    hidden |= {TEN} if not any(row[f"{TEN}_mean"] is not None for row in found) else set()
    if not most:
        hidden |= {key for key in ("model", "data", "seeds") if len({str(row[key]) for row in found}) == 1}
    told = dict(COLUMNS) | ({} if TEN in hidden else {"test_error": "test error, one crop, %"})
    return [(key, told[key]) for key, _ in COLUMNS if key not in hidden]


def cell(row: dict[str, Any], key: str, digits: int = 2) -> str:
    """A value for people; errors in percent, with so many digits."""
    if key == "train_loss":
        return spread(row["train_loss_mean"], row["train_loss_std"], 1.0, 4)
    if key in MEASURED:
        return spread(row[f"{key}_mean"], row[f"{key}_std"], PERCENT, digits)
    if key == "seeds":
        return spans(row["seeds"])
    value = row[key]
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)  # noqa: RUF001


def spread(mean: float | None, std: float | None, scale: float, digits: int) -> str:
    """mean ± std; without the spread where there is one seed."""
    if mean is None:
        return "–"  # noqa: RUF001
    return f"{scale * mean:.{digits}f}" + ("" if std is None else f" ± {scale * std:.{digits}f}")


def spans(numbers: list[int]) -> str:
    """Sorted numbers, with a hyphen for three or more in a row: 0-2, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def terminal(found: list[dict[str, Any]], width: int) -> Group:
    """The summary for a terminal of so many columns: one decimal, without what the rows share.

    No number is cut: what has no room is left out, the last of LEAVE first, then numbers go into a table of their own,
    each beside what tells its row apart; and long settings stand below.
    """
    settings = list(dict.fromkeys(row["setting"] for row in found))
    below = max(map(len, settings), default=0) > LONGEST
    marks = {setting: str(place) for place, setting in enumerate(settings, 1)} if below else {}
    cells = [{key: cell(row, key, digits=1) for key, _ in COLUMNS} for row in found]
    for row in cells:
        row["setting"] = marks.get(row["setting"], row["setting"])
    shown = [key for key, _ in columns(found, most=False) if key not in ("train_loss", "seeds")]
    titles = {key: heading(key, found) for key in shown}
    leave = [key for key in LEAVE if key in shown and (key in NUMBERS or len({row[key] for row in cells}) == 1)]
    while leave and needed(shown, cells, titles) > width:
        shown.remove(leave.pop())
    letters = next((most for most in range(SHORTEST, 0, -1) if fits(shown, cells, titles, most, width)), 1)
    tables = [as_table(keys, cells, titles, letters) for keys in split(shown, cells, titles, letters, width)]
    legend = [f"setting {mark}: {setting or 'none'}" for setting, mark in marks.items()]
    return Group(*tables, Text(CAPTION, style="italic dim"), *(Text(line) for line in legend))


def fits(shown: list[str], cells: Cells, titles: dict[str, str], letters: int, width: int) -> bool:
    """Whether every number has room beside what tells its row apart, with words of so many letters at least."""
    apart = [key for key in shown if key in APART]
    return all(needed([*apart, key], cells, titles, letters) <= width for key in shown if key not in APART)


def split(shown: list[str], cells: Cells, titles: dict[str, str], letters: int, width: int) -> list[list[str]]:
    """The columns of one table, or of as many as the width asks for."""
    apart, tables = [key for key in shown if key in APART], list[list[str]]()
    for key in shown:
        if key not in APART:
            if not tables or needed([*tables[-1], key], cells, titles, letters) > width:
                tables.append([*apart])
            tables[-1].append(key)
    return tables


def as_table(keys: list[str], cells: Cells, titles: dict[str, str], letters: int) -> Table:
    """These columns: numbers whole, words folded at so many letters and more where there is no room."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for key in keys:
        number, least = key in NUMBERS, min_width(key, cells, titles, letters)
        justify: Literal["left", "right"] = "right" if number else "left"
        table.add_column(titles[key], justify=justify, no_wrap=number, overflow="fold", min_width=least)
    for row in cells:
        table.add_row(*(row[key] for key in keys))
    return table


def heading(key: str, found: list[dict[str, Any]]) -> str:
    """A column's title for a terminal; of one crop where there are ten, too."""
    if key == "test_error" and TEN in dict(columns(found)):
        return "one-crop\nerror, %"
    return SHORT.get(key, dict(COLUMNS)[key])


def min_width(key: str, cells: Cells, titles: dict[str, str], letters: int) -> int:
    """The width that a column needs with its title: whole numbers, and of words at least so many letters."""
    longest = max(len(line) for text in (titles[key], *(row[key] for row in cells)) for line in text.split("\n"))
    return longest if key in NUMBERS else min(longest, letters)


def needed(shown: list[str], cells: Cells, titles: dict[str, str], letters: int = SHORTEST) -> int:
    """The width of a table, with the space behind each column."""
    return sum(min_width(key, cells, titles, letters) + 1 for key in shown)


def write_csv(path: Path, found: list[dict[str, Any]] | pl.DataFrame) -> None:
    """A table as CSV; a list in a cell becomes words with spaces between."""
    if isinstance(found, pl.DataFrame):
        found.write_csv(path)
        return
    plain = [{key: _plain(value) for key, value in row.items()} for row in found]
    pl.DataFrame(plain, infer_schema_length=None).write_csv(path)


def _plain(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value
