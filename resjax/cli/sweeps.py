"""resjax report and export: what is read from a sweep's records."""

import argparse
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from resjax import records
from resjax.cli.options import JSON_HELP, RUNS_HELP, Parser, parsed
from resjax.cli.output import show, wide
from resjax.errors import InputError

SWEEP_HELP = "its name in runs/, or its folder"
OUT_HELP = "OUT.parquet: the metrics; the layers go to OUT.layers.parquet, those of probes.train_grad_norm to "
OUT_HELP += "OUT.train_layers.parquet. OUT: a folder of compact records, to carry away"


def report_parser() -> Parser:
    """The options of `resjax report`."""
    found = Parser(
        "resjax report",
        description="A sweep as a page, with figures, tables and a verdict; several sweeps stand side\nby side. It is "
        "made from records alone: type it again when more is done.",
        examples=("resjax report quickstart", "resjax report depth wide --out both"),
        more="It writes report.html, one file that needs nothing else, figures/ and tables/.",
    )
    found.add_argument("sweep", nargs="+", metavar="SWEEP", help=SWEEP_HELP)
    found.add_argument("--out", type=Path, metavar="FOLDER", help="default: report/ in the first sweep's folder")
    found.add_argument("--no-theory", action="store_true", help="without what mean-field theory expects of step 0")
    found.add_argument("--runs", default="runs", metavar="FOLDER", help=RUNS_HELP)
    found.add_argument("--json", action="store_true", help=JSON_HELP)
    return found


def export_parser() -> Parser:
    """The options of `resjax export`."""
    found = Parser(
        "resjax export",
        description="A sweep's metrics and layers as tidy tables, a row a step and seed, or a step,\nseed and layer, "
        "with the settings that tell the runs apart.",
        examples=("resjax export depth depth.parquet", "resjax export depth kept"),
    )
    found.add_argument("sweep", metavar="SWEEP", help=SWEEP_HELP)
    found.add_argument("out", type=Path, metavar="OUT", help=OUT_HELP)
    found.add_argument("--runs", default="runs", metavar="FOLDER", help=RUNS_HELP)
    return found


def write_report(options: argparse.Namespace) -> int:
    """resjax report."""
    import resjax.report as report  # draws figures: takes a second to import
    from resjax.report.reproduction import from_json
    from resjax.report.verdict import READING

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
    for heading, sentences in written.sections.items():
        console.print(f"\n{heading}", highlight=False, markup=False, style="bold")
        for sentence in sentences:
            console.print(f"- {sentence}", highlight=False, markup=False)
    if written.sections:
        console.print(f"\n{READING}", highlight=False, markup=False, style="italic dim")
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


COMMANDS = {"report": parsed(report_parser, write_report), "export": parsed(export_parser, write_tables)}
