"""resjax report and export: what is read from a sweep's records."""

import argparse
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from resjax import records
from resjax.cli.output import show, wide
from resjax.errors import InputError

OUT_HELP = (
    "metrics; layers go to OUT.layers.parquet, those of probes.train_grad_norm to OUT.train_layers.parquet; "
    "a name without an ending: a folder of compact records, to carry away"
)


def add_commands(commands: Any) -> None:
    """Add them to the parser."""
    report = commands.add_parser("report", help="a sweep as a page, figures and tables")
    report.add_argument("--no-theory", action="store_true", help="without what mean-field theory expects of step 0")
    report.add_argument("--out", type=Path, metavar="FOLDER", help="default: the first sweep's folder, report/")
    export = commands.add_parser("export", help="every run's metrics and layers as tidy tables")
    report.set_defaults(command=write_report)
    export.set_defaults(command=write_tables)
    for command, many in ((report, "+"), (export, None)):
        command.add_argument("sweep", nargs=many, metavar="SWEEP", help="its name in runs/, or its folder")
        command.add_argument("--runs", default="runs", metavar="FOLDER", help="folder of all sweeps; default: runs")
    report.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    export.add_argument("out", type=Path, metavar="OUT", help=OUT_HELP)


def write_report(options: argparse.Namespace) -> int:
    """resjax report."""
    import resjax.report as report  # draws figures: takes a second to import
    from resjax.report.reproduction import from_json

    folders = [records.find(sweep, options.runs, compact=True) for sweep in options.sweep]
    sweep = records.read(*folders)
    if not any(run["status"] == "done" for run in sweep.runs):
        raise InputError(f"no run of {', '.join(options.sweep)} is done yet.\nType: resjax status {options.sweep[0]}")
    asked = records.asked_of(folders[0]) if len(folders) == 1 else {}
    written = report.write(
        sweep,
        options.out or folders[0] / "report",
        theory=not options.no_theory,
        reproduction=from_json(asked) if asked else None,
    )
    if options.json:
        show(written.rows, as_json=True)
        return 0
    console = wide()
    console.print(report.terminal(written.rows, console.width))
    for sentence in written.verdict:
        console.print(f"- {sentence}", highlight=False, markup=False)
    console.print(f"\nThe page: {written.page}", highlight=False, markup=False, soft_wrap=True)
    return 0


def write_tables(options: argparse.Namespace) -> int:
    """resjax export."""
    folder = records.find(options.sweep, options.runs)
    if not options.out.suffix:
        return write_records(folder, options.out)
    if options.out.suffix != ".parquet":
        raise InputError(
            f"{options.out} is no Parquet file's name, and no folder's.\n"
            f"Type: {options.out.with_suffix('.parquet')} for tables, {options.out.with_suffix('')} for compact records"
        )
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


def write_records(folder: Path, out: Path) -> int:
    """The sweep as three small files, to carry away and to commit; a figure.py of experiments/ reads them."""
    sweep = records.read(folder)
    if not sweep.runs:
        raise InputError(f"{folder} has no run that is done.\nType: resjax status {folder}")
    records.keep(sweep, out)
    size = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    told = f"{out}: {len(sweep.runs)} runs, {size / 1e6:.2f} MB"
    Console().print(told, highlight=False, markup=False, soft_wrap=True)
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
