"""resjax reproduce: a paper's figure or table, or a question: the runs that it needs, then what they say beside it."""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from resjax import records
from resjax.cli.options import JSON_HELP, RUNS_HELP, Command, Parser
from resjax.cli.output import show, wide
from resjax.cli.planning import Plan, dry_run, next_round, plan, together_with
from resjax.cli.predict import scaled
from resjax.cli.train import CODES, missing, refuse_data, start, time_to_stop
from resjax.errors import InputError
from resjax.papers.item import PRESETS
from resjax.papers.loading import find, items
from resjax.progress import duration
from resjax.stopping import TIME_UP

DESCRIPTION = """A paper's figure or table, or a question that none printed: makes the runs that
it needs, skips those that are done, and ends with a page that sets ours beside
the paper's, with a verdict on every statement and its test."""
MORE = """sizes: smoke    digits, two or three minutes
       laptop   a tenth of CIFAR-10; he2015/fig6 took 44 minutes on two cores
       quarter  16,000 updates, a GPU
       paper    as published
Settings are those of resjax train and come last: seeds=5, tracker=none."""
SHOWN = ("row", "parameters", "multiply_adds", "steps", "seeds", "time_here", "disk")


def run(words: Sequence[str]) -> int:
    """Print or make it; 0 done, 1 a job failed, 75 the time is up, InputError, or as a signal stopped it."""
    options = parser().parse_intermixed_args(list(words))
    settings = [word for word in options.words if "=" in word]
    named = [word for word in options.words if "=" not in word]
    if not named and not settings and not options.dry_run:
        show([listed(name) for name in items()], options.json)
        return 0
    if len(named) != 1:
        found = f"{' '.join(named)} are several" if named else "No item is named"
        expected = "Expected one item, and settings as SETTING=VALUE."
        raise InputError(f"{found}.\n{expected}\nType: resjax reproduce {(named or ['he2015/fig6'])[0]}")
    item, part = find(named[0])
    planned = plan(item, part, options.preset, settings, options.runs)
    if options.dry_run:
        return tell(planned, options.json)
    return make(planned, options)


def parser() -> Parser:
    """Its options."""
    found = Parser(
        "resjax reproduce",
        description=DESCRIPTION,
        examples=(
            "resjax reproduce he2015/fig6 --preset smoke",
            "resjax reproduce he2015/fig6 --dry-run",
            "resjax reproduce",
        ),
        codes=CODES,
        more=MORE,
    )
    found.add_argument("words", nargs="*", metavar="ITEM | SETTING=VALUE", help="without an item: a list of all")
    found.add_argument("--preset", choices=PRESETS, default="laptop", help="the size; default: laptop")
    found.add_argument("--dry-run", action="store_true", help="list runs, size, time and disk; opens no device")
    found.add_argument("--json", action="store_true", help=JSON_HELP)
    found.add_argument("--runs", default="runs", metavar="FOLDER", help=RUNS_HELP)
    found.add_argument("--out", type=Path, metavar="FOLDER", help="of the page; default: the sweep's folder, report/")
    return found


def listed(name: str) -> dict[str, Any]:
    """An item's line."""
    item = items()[name]
    parts = ", ".join(f"{name}/{part}" for part in item.parts)
    return {"item": name, "question": item.question, "paper": item.source, "parts": parts}


def tell(planned: Plan, as_json: bool) -> int:
    """The runs that would be made."""
    found = dry_run(planned)
    if as_json:
        show(found, as_json=True)
        return 0
    show([told(row) for row in found], as_json=False, columns=SHOWN)
    seconds, size = (sum(row[key] for row in found) for key in ("seconds", "disk_bytes"))
    shown = Console()
    total = f"{duration(seconds)} on this machine's CPU (training and compilation), {scaled(size)}B on disk"
    lines = [f"{len(found)} runs in {planned.folder}: {total}"]
    lines += [f"Size {planned.size}: {'; '.join(planned.reproduction.changed) or 'the whole recipe'}"]
    if planned.item.search:
        lines.append("A bisection: these are its first runs; what it makes next follows from how they end.")
    lines += [f"Not ready: {refusal}" for refusal in missing(planned.jobs)]
    for line in lines:
        shown.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def told(row: dict[str, Any]) -> dict[str, Any]:
    """A run's row for people."""
    numbers = {"parameters": f"{row['parameters']:,}", "multiply_adds": scaled(row["multiply_adds"])}
    return row | numbers | {"time_here": duration(row["seconds"]), "disk": f"{scaled(row['disk_bytes'])}B"}


def make(planned: Plan, options: argparse.Namespace) -> int:
    """The runs, round by round, and the page."""
    refuse_data(planned.launch)  # before a folder is made
    code, end = 0, time_to_stop(planned.jobs)
    while planned.jobs and not code:
        note(planned)
        if end is not None and time.monotonic() >= end:  # between two rounds
            print("the time is up: the same command goes on", file=sys.stderr)
            return TIME_UP
        code, before = start(planned.launch, hint=False, end=end), planned
        planned = next_round(planned)
        if not code and planned.jobs == before.jobs:  # nothing came of the round: the runs were skipped
            code = 1
    note(planned)
    if code > 1:
        return code
    if not any(run["status"] == "done" for run in records.read(planned.folder).runs):
        return code or 1
    report(planned, options)
    return code


def note(planned: Plan) -> None:
    """Write down in the sweep's folder what its runs are for."""
    asked = together_with(records.asked_of(planned.folder), planned.reproduction)
    records.note_asked(planned.folder, asked.as_json())


def report(planned: Plan, options: argparse.Namespace) -> None:
    """Write the page and print what it says."""
    import resjax.report as report  # draws figures: takes a second to import
    from resjax.report.paper import as_json
    from resjax.report.paper_words import terminal
    from resjax.report.reproduction import from_json

    sweep = records.read(planned.folder)
    asked = from_json(records.asked_of(planned.folder))
    written = report.write(sweep, options.out or planned.folder / "report", reproduction=asked)
    assert written.paper is not None
    if options.json:
        print(json.dumps(as_json(written.paper), indent=1, allow_nan=False))
        return
    console = wide()
    for shown in terminal(written.paper):
        console.print(shown, highlight=False, markup=False, soft_wrap=isinstance(shown, str))
    console.print(f"\nThe page: {shlex.quote(str(written.page))}", highlight=False, markup=False, soft_wrap=True)


COMMANDS = {"reproduce": Command(parser, run)}
