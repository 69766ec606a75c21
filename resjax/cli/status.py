"""resjax status: what is done, running, failed and left of a sweep, at any time, from any terminal; without JAX."""

import argparse
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from resjax import records
from resjax.cli.options import JSON_HELP, RUNS_HELP, Parser, parsed
from resjax.cli.output import show
from resjax.progress import duration

UNFINISHED = ("failed", "preempted", "cut off", "pending", "damaged")


def parser() -> Parser:
    """Its options."""
    found = Parser(
        "resjax status",
        description="What of a sweep is done, running, failed, diverged and left, with the time\nto go. It only reads: "
        "type it at any time, in any terminal.",
        examples=("resjax status quickstart", "resjax status runs/quickstart --json"),
    )
    found.add_argument("sweep", metavar="SWEEP", help="its name in runs/, or its folder")
    found.add_argument("--runs", default="runs", metavar="FOLDER", help=RUNS_HELP)
    found.add_argument("--json", action="store_true", help=JSON_HELP)
    return found


def show_status(options: argparse.Namespace) -> int:
    """resjax status."""
    folder = records.find(options.sweep, options.runs)
    names = dict.fromkeys([*records.planned(folder), *(path.name for path in records.run_folders(folder))])
    rows = [row(folder / name) for name in names]
    told = [name for name in rows[0] if any(row[name] is not None for row in rows)] if rows else []
    show(rows, options.json, told)  # failures and errors where there are some
    if not options.json:
        Console().print(summary(rows), highlight=False, soft_wrap=True)
        if {row["status"] for row in rows} & set(UNFINISHED):
            Console().print("The sweep's command, typed again, runs what is not done.", highlight=False)
        elif rows:
            elsewhere = f" --runs={shlex.quote(options.runs)}" if options.runs != "runs" else ""
            line = f"Type: resjax report {shlex.quote(options.sweep)}{elsewhere}"
            Console().print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def row(folder: Path) -> dict[str, Any]:
    """One run's line: its state, its diverged seeds, its seconds, and its error."""
    run = records.facts_if_readable(folder)
    status = records.state(folder, run or None)
    seeds = run.get("seeds", [])
    steps = run.get("config", {}).get("train", {}).get("steps")
    last = records.last_row(folder) if status not in ("pending", "done") else None
    step = steps if status == "done" else last["step"] if last else None
    return {
        "run": folder.name,
        "status": status,
        "seeds": len(seeds) or None,
        "diverged": sum(seed["outcome"] == "diverged" for seed in seeds) if status == "done" else None,
        "step": f"{step}/{steps}" if step is not None else None,
        "seconds": run.get("times", {}).get("total"),
        "failure": run.get("failure", {}).get("kind") if status == "failed" else None,
        "error": run.get("error") if status in ("failed", "preempted") else None,
    }


def summary(rows: list[dict[str, Any]]) -> str:
    """How many are what, and the time to go if the rest takes as long as what is done."""
    counts = Counter(row["status"] for row in rows)
    line = ", ".join(f"{count} {status}" for status, count in counts.items())
    diverged = sum(bool(row["diverged"]) for row in rows)
    line += f"; {diverged} with diverged seeds" if diverged else ""
    spent = [row["seconds"] for row in rows if row["status"] == "done" and row["seconds"]]
    left = sum(row["status"] not in ("done", "failed") for row in rows)
    return line + (f"; {left} left, about {duration(left * sum(spent) / len(spent))} to go" if left and spent else "")


COMMANDS = {"status": parsed(parser, show_status)}
