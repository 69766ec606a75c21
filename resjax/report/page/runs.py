"""Every run, folded: how it ended, what it took, and its settings, with the command that makes it again."""

import json
import re
import shlex
from dataclasses import asdict
from typing import Any

from resjax.config import Config
from resjax.datarules import DECIDES_NOTHING
from resjax.records import flat, without_paths
from resjax.report.groups import Pool
from resjax.report.page.content import Content
from resjax.report.page.keys import of_run
from resjax.report.page.markup import folded, table, text, told_by
from resjax.report.provenance import devices, facts, revision, settings
from resjax.settings import spelled

UNTYPED = ("runs", "rerun", "model.unroll", "tracker.name", *(f"data.{name}" for name in DECIDES_NOTHING))
PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
MEANT = ("true", "false", "null", "none", "inf", "nan", "yes", "no", "on", "off")  # no words to Hydra
SECTIONS = ("parallel.", "tracker.", "checkpoint.")


def how(content: Content) -> str:
    """What differs, what is common, where it ran, and every run."""
    differing, common = settings(content.sweep)
    parts = [pairs(("fact", "value"), facts(content.sweep))]
    if differing:
        parts += ["<h3>Settings that differ between the runs</h3>", pairs(("setting", "values"), differing)]
    parts.append(folded(f"Settings that all runs share ({len(common)})", pairs(("setting", "value"), common)))
    parts.append("<h3>Every run</h3>")
    parts += [run_card(run, content.pool, [key for key, _ in differing]) for run in content.sweep.runs]
    return "".join(parts)


def pairs(titles: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    """A table of names and values."""
    first, second = titles
    return table([(first, ""), (second, "long")], [[(key, ""), (value, "long")] for key, value in rows])


def run_card(run: dict[str, Any], pool: Pool, differing: list[str]) -> str:
    """One run, under its name and how it ended."""
    form = flat(run["config"])
    told = [(key, spelled(form[key])) for key in differing if key in form]
    body = pairs(("fact", "value"), run_facts(run))
    body += folded("What sets it apart", pairs(("setting", "value"), told)) if told else ""
    whole = json.dumps(without_paths(run["config"]), indent=1, allow_nan=False)
    body += folded("Every setting", f"<pre>{text(whole)}</pre>")
    title = f"<summary><code>{text(run['name'])}</code> {text(outcome(run))}</summary>"
    return f'<details class="run"{told_by(of_run(run, pool))}>{title}{body}</details>'


def outcome(run: dict[str, Any]) -> str:
    """Its status, and how many seeds diverged."""
    lost = sum(seed["outcome"] == "diverged" for seed in run["seeds"])
    return f"{run['status']}, {lost} of {len(run['seeds'])} seeds diverged" if lost else str(run["status"])


def run_facts(run: dict[str, Any]) -> list[tuple[str, str]]:
    """What is known of it: its end, its size, where and when it ran, and the command."""
    seeds = [
        f"{seed['seed']}: {seed['outcome']}"
        + (f" at step {seed['diverged_at']}, first in {seed['first_bad_layer']}" if seed["diverged_at"] else "")
        for seed in run["seeds"]
    ]
    model, times = run.get("model", {}), run.get("times", {})
    found = {
        "to make it again": "" if "imported" in run else command(run["config"]),
        "seeds": "; ".join(seeds),
        "parameters": f"{model['parameters']:,}" if model.get("parameters") else "",
        "multiply-adds an image": f"{model['multiply_adds']:,}" if model.get("multiply_adds") else "",
        "seconds": ", ".join(f"{name} {value:,.1f}" for name, value in times.items() if value is not None),
        "images/s": f"{run['images_per_s']:,.0f}" if run.get("images_per_s") else "",
        "devices": devices(run["devices"]) if run.get("devices") else "",
        "code": revision(run["code"]) if run.get("code") else "",
        "started": run.get("started", ""),
        "error": run.get("error") or "",
        "id": run["id"],
    }
    return [(name, str(value)) for name, value in found.items() if value]


def command(config: dict[str, Any]) -> str:
    """The words that make this run again: its settings, where they are not the usual ones.

    Folders, trackers and devices, which decide no result, are left to whoever types it: FOLDER is that of the images.
    """
    usual = flat(asdict(Config()))
    words = [
        f"{key}={typed(value)}"
        for key, value in flat(config).items()
        if key in usual and value != usual[key] and key not in UNTYPED and not key.startswith(SECTIONS)
    ]
    words += ["data.root=FOLDER"] if config["data"].get("kind") == "folder" else []
    return shlex.join(["resjax", "train", *words])


def typed(value: Any) -> str:
    """A value as Hydra reads it: words that it would take for something else stand in quotes."""
    if not isinstance(value, str) or (PLAIN.fullmatch(value) and value.lower() not in MEANT):
        return spelled(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
