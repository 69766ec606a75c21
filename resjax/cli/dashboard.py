"""resjax dashboard: a wandb workspace for the runs of a project, with a sweep's verdicts."""

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from resjax import records
from resjax.cli.options import RUNS_HELP, Parser, parsed
from resjax.errors import InputError
from resjax.redaction import redacted

NO_SWEEP = """No sweep was named. The verdicts are made from the records, on the machine that has them:

    resjax report SWEEP
    resjax dashboard {project} --sweep SWEEP
"""
FROM = "Made from the records by `resjax report {sweep}`, which has the figures and every number."


def parser() -> Parser:
    """Its options."""
    found = Parser(
        "resjax dashboard",
        description="A wandb workspace for the runs of a project: depth sweep, gradient atlas, and\n"
        "with --sweep the verdicts of its records. It is built and checked without a\n"
        "network, and pushed where wandb has a key.\n"
        "It needs an extra: pip install 'resjax[dashboard]'",
        examples=("resjax dashboard resjax --sweep quickstart", "resjax dashboard resjax --out workspace.json"),
    )
    found.add_argument("project", metavar="PROJECT", help="wandb's project: tracker.project of the runs")
    found.add_argument("--entity", help="a user or a team; default: the account's; with one: custom charts")
    found.add_argument("--name", help="the workspace's; default: the sweep's, or resjax")
    found.add_argument("--sweep", help="its runs alone, and its verdicts: its name in runs/, or its folder")
    found.add_argument("--runs", default="runs", metavar="FOLDER", help=RUNS_HELP)
    found.add_argument("--arm", nargs="+", default=[], help="only these, such as plain residual")
    found.add_argument("--norm", nargs="+", default=[], help="only these, such as batch none")
    found.add_argument("--depth", nargs="+", default=[], type=int, help="only these, such as 20 56")
    found.add_argument("--out", type=Path, metavar="FILE.json", help="also write the workspace to a file")
    found.add_argument("--json", action="store_true", help="one JSON document: the workspace, and where it is")
    return found


def make(options: argparse.Namespace) -> int:
    """Build and check it, write it where asked, and push it where wandb has a key."""
    from resjax.tracking import dashboard

    asked = planned(options)
    workspace, made, url = dashboard.build(asked), dict[str, str](), None
    write(options.out, dashboard.document(workspace))
    why = dashboard.why_offline()
    if not why:
        workspace, made, url = dashboard.push(asked)
        write(options.out, dashboard.document(workspace))
    if options.json:
        found = {"pushed": not why, "why_not": why or None, "url": url, "presets": made}
        document = json.loads(dashboard.document(workspace))
        print(redacted(json.dumps(found | {"workspace": document}, indent=1, allow_nan=False)))
        return 0
    for line in [*built(workspace), *(unpushed(why, options) if why else pushed(str(url), made))]:
        Console().print(redacted(line), highlight=False, markup=False, soft_wrap=True)
    if options.out:
        Console().print(f"The workspace as JSON: {options.out}", highlight=False, markup=False, soft_wrap=True)
    return 0


def planned(options: argparse.Namespace) -> Any:
    """What is asked for, with the sweep's verdicts."""
    from resjax.tracking import dashboard
    from resjax.tracking.mirror import sweep_tag

    dashboard.library()
    shown = {"arms": tuple(options.arm), "norms": tuple(options.norm), "depths": tuple(options.depth)}
    begun = dashboard.Dashboard(options.project, options.name or "resjax", "", options.entity, **shown)
    dashboard.check(begun)
    if options.out and options.out.suffix != ".json":
        raise InputError(f"--out {options.out} is no JSON file's name.\nType: --out {options.out.with_suffix('.json')}")
    if options.sweep is None:
        return replace(begun, verdicts=NO_SWEEP.format(project=shlex.quote(options.project)))
    folder = records.find(options.sweep, options.runs)
    sweep = records.read(folder)
    check_shown(sweep.runs, options)
    for line in not_there(sweep.runs, options.project):
        print(redacted(f"WARNING: {line}"), file=sys.stderr)
    return replace(
        begun,
        name=options.name or folder.resolve().name,
        tags=tuple(sorted({sweep_tag(run["config"]["sweep"]) for run in sweep.runs})),
        verdicts=verdicts(folder, sweep),
    )


def check_shown(runs: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """InputError where the sweep has no run that is done, or none of an arm, norm or depth."""
    if not any(run["status"] == "done" for run in runs):
        raise InputError(f"no run of {options.sweep} is done yet.\nType: resjax status {shlex.quote(options.sweep)}")
    models = [run["config"]["model"] for run in runs]
    there = {
        "arm": [run["arm"] for run in runs],
        "norm": [model["norm"] for model in models],
        "depth": [model["depth"] for model in models],
    }
    for name, values in there.items():
        for value in getattr(options, name):
            if value not in values:
                known = " ".join(shlex.quote(str(known)) for known in sorted(set(values)))
                raise InputError(
                    f"{options.sweep} has no run of --{name} {value}.\nExpected: {known}\nType: --{name} {known}"
                )


def not_there(runs: list[dict[str, Any]], project: str) -> list[str]:
    """What the workspace will lack: runs that have no mirror, and those whose mirror is of another project."""
    trackers = [run["config"]["tracker"] for run in runs]
    bare = sum(tracker["name"] == "none" for tracker in trackers)
    elsewhere = sorted({tracker["project"] for tracker in trackers if tracker["name"] != "none"} - {project})
    found = [f"{bare} of {len(runs)} runs were not mirrored (tracker=none)"] if bare else []
    told = (
        f"runs were mirrored for the project {', '.join(elsewhere)} and not {project}, unless wandb sync changed that"
    )
    return found + ([told] if elsewhere else [])


def verdicts(folder: Path, sweep: records.Sweep) -> str:
    """The sentences of `resjax report`, and of a paper's item its verdicts, as Markdown."""
    import resjax.report as report  # takes seconds to import
    from resjax.report import experiment
    from resjax.report.reproduction import from_json

    asked = records.asked_of(folder)
    content = report.assemble(sweep, reproduction=from_json(asked) if asked else None)
    parts = [experiment.verdicts(content.paper)] if content.paper else []
    parts += [experiment.sentences(content)]
    parts += [f"**{part.heading}**\n\n{experiment.told(part)}" for part in content.lab]
    return "\n".join([*parts, FROM.format(sweep=folder.resolve().name)])


def write(path: Path | None, text: str) -> None:
    """The workspace as it is sent."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


def built(workspace: Any) -> list[str]:
    """What it has."""
    panels = {section.name: len(section.panels) for section in workspace.sections}
    told = ", ".join(f"{name} {count}" for name, count in panels.items())
    return [f"{workspace.name}: {sum(panels.values())} panels, built and checked ({told})"]


def unpushed(why: str, options: argparse.Namespace) -> list[str]:
    """Why it stays here, and what to type."""
    words = {"--entity": options.entity, "--name": options.name, "--sweep": options.sweep}
    command = ["resjax", "dashboard", options.project, *(w for pair in words.items() if pair[1] for w in pair)]
    command += [] if options.runs == "runs" else ["--runs", options.runs]
    for name in ("arm", "norm", "depth"):
        command += [f"--{name}", *map(str, getattr(options, name))] if getattr(options, name) else []
    first = "unset WANDB_MODE" if why.startswith("WANDB_MODE") else "wandb login"
    return [f"Not pushed: {why}.", f"Type: {first}, then: {shlex.join(command)}"]


def pushed(url: str, made: dict[str, str]) -> list[str]:
    """Where it is, and what became of the charts' presets."""
    refused = [f"  {preset}: {answer}" for preset, answer in made.items() if answer != "made"]
    told = f"custom charts: {len(made) - len(refused)} presets made, {len(refused)} refused (there already?)"
    return [f"Pushed: {url}", told, *refused]


COMMANDS = {"dashboard": parsed(parser, make)}
