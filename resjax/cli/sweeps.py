"""resjax status, report and export: everything that is read from a sweep's records."""

import argparse
import json
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from resjax import records
from resjax.cli.output import show
from resjax.durable import write_whole
from resjax.errors import InputError
from resjax.progress import duration

PLAN = "plan.json"
OUT_HELP = "metrics; layers go to OUT.layers.parquet, those of probes.train_grad_norm to OUT.train_layers.parquet"


def add_commands(commands: Any) -> None:
    """Add them to the parser."""
    status = commands.add_parser("status", help="what is done, running, failed, diverged and left of a sweep")
    report = commands.add_parser("report", help="a sweep as a page, figures and tables")
    report.add_argument("--no-theory", action="store_true", help="without what mean-field theory expects of step 0")
    report.add_argument("--out", type=Path, metavar="FOLDER", help="default: the first sweep's folder, report/")
    export = commands.add_parser("export", help="every run's metrics and layers as tidy tables")
    status.set_defaults(command=show_status)
    report.set_defaults(command=write_report)
    export.set_defaults(command=write_tables)
    for command, many in ((status, None), (report, "+"), (export, None)):
        command.add_argument("sweep", nargs=many, metavar="SWEEP", help="its name in runs/, or its folder")
        command.add_argument("--runs", default="runs", metavar="FOLDER", help="folder of all sweeps; default: runs")
    for command in (status, report):
        command.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    export.add_argument("out", type=Path, metavar="OUT.parquet", help=OUT_HELP)


def write_plan(sweep: Path, names: list[str]) -> None:
    """Note the runs that a sweep will make, beside those noted before."""
    sweep.mkdir(parents=True, exist_ok=True)
    known = planned(sweep)
    write_whole(sweep / PLAN, json.dumps(list(dict.fromkeys([*known, *names])), indent=1).encode())


def planned(sweep: Path) -> list[str]:
    """The folder names of the runs that were ever planned."""
    path = sweep / PLAN
    return list(json.loads(path.read_text())) if path.exists() else []


def show_status(options: argparse.Namespace) -> int:
    """resjax status."""
    folder = records.find(options.sweep, options.runs)
    names = dict.fromkeys([*planned(folder), *(path.name for path in records.run_folders(folder))])
    rows = [status_row(folder / name) for name in names]
    show(rows, options.json)
    if not options.json:
        Console().print(summary_line(rows), highlight=False)
        if {"failed", "preempted", "cut off", "pending"} & {row["status"] for row in rows}:
            Console().print("The sweep's command, typed again, runs what is not done.", highlight=False)
    return 0


def status_row(folder: Path) -> dict[str, Any]:
    """One run's line: its state, its diverged seeds, its seconds, and its error."""
    status = records.state(folder)
    run = json.loads((folder / records.RUN).read_text()) if status != "pending" else {}
    seeds = run.get("seeds", [])
    return {
        "run": folder.name,
        "status": status,
        "seeds": len(seeds) or None,
        "diverged": sum(seed["outcome"] == "diverged" for seed in seeds) if status == "done" else None,
        "step": progress_of(folder, run),
        "seconds": run.get("times", {}).get("total"),
        "error": run.get("error"),
    }


def progress_of(folder: Path, run: dict[str, Any]) -> str | None:
    """The last step that was logged, of how many."""
    steps = records.read_metrics(folder)["step"].to_list() if run else []
    return f"{max(steps)}/{run['config']['train']['steps']}" if steps else None


def summary_line(rows: list[dict[str, Any]]) -> str:
    """How many are what, and the time to go if the rest takes as long as what is done."""
    counts = {
        status: sum(row["status"] == status for row in rows) for status in dict.fromkeys(r["status"] for r in rows)
    }
    line = ", ".join(f"{count} {status}" for status, count in counts.items())
    diverged = sum(bool(row["diverged"]) for row in rows)
    line += f"; {diverged} with diverged seeds" if diverged else ""
    spent = [row["seconds"] for row in rows if row["status"] == "done" and row["seconds"]]
    left = sum(row["status"] not in ("done", "failed") for row in rows)
    return line + (f"; {left} left, about {duration(left * sum(spent) / len(spent))} to go" if left and spent else "")


def write_report(options: argparse.Namespace) -> int:
    """resjax report."""
    import resjax.report as report  # draws figures: takes a second to import

    folders = [records.find(sweep, options.runs) for sweep in options.sweep]
    sweep = records.read(*folders)
    if not any(run["status"] == "done" for run in sweep.runs):
        raise InputError(f"no run of {', '.join(options.sweep)} is done yet.\nType: resjax status {options.sweep[0]}")
    written = report.write(sweep, options.out or folders[0] / "report", theory=not options.no_theory)
    if options.json:
        show(written.rows, as_json=True)
        return 0
    console = Console()
    console.print(report.terminal(written.rows))
    for sentence in written.verdict:
        console.print(f"- {sentence}", highlight=False, markup=False)
    console.print(f"\nThe page: {written.page}", highlight=False, markup=False, soft_wrap=True)
    return 0


def write_tables(options: argparse.Namespace) -> int:
    """resjax export."""
    if options.out.suffix != ".parquet":
        raise InputError(f"{options.out} is not a Parquet file's name.\nType: {options.out.with_suffix('.parquet')}")
    folder = records.find(options.sweep, options.runs)
    sweep, train_layers = records.read(folder), records.read_train_layers(folder)
    types = {"parameters": pl.Int64, "imported": pl.String}  # where no run says it
    facts = pl.DataFrame([run_facts(run) for run in sweep.runs], schema_overrides=types, infer_schema_length=None)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    tables = [(sweep.metrics, options.out), (sweep.layers, options.out.with_suffix(".layers.parquet"))]
    if len(train_layers):
        tables.append((train_layers, options.out.with_suffix(".train_layers.parquet")))
    for frame, path in tables:
        records.write_frame(path, frame.join(facts, on="run", how="left", maintain_order="left"))
        Console().print(f"{path}: {len(frame):,} rows", highlight=False, markup=False, soft_wrap=True)
    return 0


def run_facts(run: dict[str, Any]) -> dict[str, Any]:
    """What tells a run from the others, as columns."""
    config = run["config"]
    return {
        "run": run["id"],
        "run_name": run["name"],
        "status": run["status"],
        "arm": run["arm"],
        "model": config["model"]["name"],
        "depth": config["model"]["depth"],
        "norm": config["model"]["norm"],
        "data": config["data"]["name"],
        "learning_rate_base": config["schedule"]["learning_rate"],
        "batch_size": config["train"]["batch_size"],
        "parameters": run.get("model", {}).get("parameters"),
        "imported": run.get("imported", {}).get("file"),
    }
