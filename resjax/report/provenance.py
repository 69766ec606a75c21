"""How a sweep was run, from its run.json files: what differs, what is common, and what must be said aloud."""

import html
import json
from collections import Counter
from typing import Any

from resjax.records import Sweep, flat
from resjax.rows import named

UNTOLD = ("runs", "rerun", "data.root")
MADE = "mock_imagenet"


def notices(sweep: Sweep) -> list[str]:
    """Paragraphs for the page's head: what is missing, what is not verified."""
    done = [run for run in sweep.runs if run["status"] == "done"]
    others = Counter(run["status"] for run in sweep.runs if run["status"] != "done")
    found = []
    if others:
        states = ", ".join(f"{count} {html.escape(status)}" for status, count in sorted(others.items()))
        found.append(f'<p class="notice">{_count(sum(others.values()), "more run")} not counted here: {states}.</p>')
    unverified = sorted({run["config"]["data"]["name"] for run in done if run["data"].get("verified") is False})
    if unverified:
        names = html.escape(", ".join(unverified))
        found.append(
            f'<p class="notice">The data of {names} are not verified: their archive matched no known digest.</p>'
        )
    return found + [f'<p class="notice">{html.escape(told)}</p>' for told in images(done)]


def images(done: list[dict[str, Any]]) -> list[str]:
    """Of runs on streamed images: what a test sees, which could not be read, and that made ones tell nothing."""
    views = dict.fromkeys(run["data"]["test_view"] for run in done if "test_view" in run["data"])
    found = [f"The test error is of one crop, unless ten are named: {'; '.join(views)}."] if views else []
    if any(run["config"]["data"]["name"] == MADE for run in done):
        found.append(
            f"The images of {MADE} are patterns that resjax makes: what nets do with them tells nothing of ImageNet."
        )
    for run in done:
        for split, names in run.get("corrupted", {}).items():
            total = run["data"].get(f"{split}_examples", run["config"]["data"][f"{split}_examples"])
            what = "replaced by others" if split == "train" else "left out"
            found.append(
                f"{run['name']}: {len(names)} of {total} {split} images could not be read, and were {what}: "
                f"{named(names)}."
            )
    return found


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def settings(sweep: Sweep) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Settings with their values: those that differ between the runs that are done, and those that do not."""
    forms = [flat(run["config"]) for run in sweep.runs if run["status"] == "done"]
    keys = list(dict.fromkeys(key for form in forms for key in form if key not in UNTOLD))
    values = {key: unique(form.get(key) for form in forms) for key in keys}
    differing = [(key, ", ".join(found)) for key, found in values.items() if len(found) > 1]
    return differing, [(key, found[0]) for key, found in values.items() if len(found) == 1]


def unique(values: Any) -> list[str]:
    """Each value once, in order, spelled as JSON (a string without its quotes)."""
    spelled = [value if isinstance(value, str) else json.dumps(value, allow_nan=False) for value in values]
    return list(dict.fromkeys(spelled))


def facts(sweep: Sweep) -> list[tuple[str, str]]:
    """Where and with what the runs that are done ran, and how long they took."""
    done = [run for run in sweep.runs if run["status"] == "done"]
    versions = [f"{name} {version}" for run in done for name, version in run.get("versions", {}).items()]
    speeds = [run["images_per_s"] for run in done if run.get("images_per_s")]
    revisions = [revision(run["code"]) for run in done if run.get("code")]
    found = {
        "folders": unique(folder.name for folder in sweep.folders),
        "data": unique(_data(run) for run in done),
        "devices": unique(devices(run["devices"]) for run in done if run.get("devices")),
        "versions": unique(versions),
        "code": unique(revisions),
        "time": [_times(done)],
        "speed": [f"{min(speeds):,.0f} to {max(speeds):,.0f} images/s"] if speeds else [],
    }
    return [(name, "; ".join(values)) for name, values in found.items() if any(values)]


def _data(run: dict[str, Any]) -> str:
    words = {True: "verified", False: "NOT verified", None: "nothing to verify"}
    data = run["data"]
    parts = [run["config"]["data"]["name"], words[data.get("verified")]]
    parts += [f"digest {data['digest']}"] if data.get("digest") else []
    return ", ".join([*parts, *([f"from {data['origin']}"] if data.get("origin") else [])])


def devices(found: dict[str, Any]) -> str:
    """How many of which kind."""
    return f"{found.get('count')} × {found.get('kind')}"  # noqa: RUF001


def revision(code: dict[str, Any]) -> str:
    """Of the checkout."""
    if not code.get("revision"):
        return "no revision recorded"
    return str(code["revision"]) + (" with changes" if code.get("changed") else "")


def _times(done: list[dict[str, Any]]) -> str:
    """Seconds over all runs, by what they went into."""
    total: Counter[str] = Counter()
    for run in done:
        total.update({name: seconds for name, seconds in run.get("times", {}).items() if seconds is not None})
    return ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in total.items())
