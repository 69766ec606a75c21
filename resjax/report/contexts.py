"""What tells groups apart beside arm, depth and norm, and what must be equal for two to be compared."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from resjax.config import Config, ModelConfig, completed
from resjax.datarules import DECIDES_NOTHING
from resjax.identity import LOOKING
from resjax.records import flat
from resjax.settings import spelled
from resjax.shortcuts import SHORTCUTS

# Sections and settings that decide nothing of the numbers, or that the report compares.
SECTIONS = ("parallel", "tracker", "checkpoint")
TRAINING = ("train", "optimizer", "schedule")  # of an imported net they say nothing
BOOKKEEPING = ("sweep", "runs", "rerun", *(f"data.{name}" for name in DECIDES_NOTHING))
SETTINGS = ("seed", "seeds", *BOOKKEEPING, "model.unroll", "model.remat", "train.max_minutes", *map(".".join, LOOKING))
# The arm's name tells a shortcut's own settings.
OF_SHORTCUTS = {f"model.{name}" for row in SHORTCUTS.values() for name in row.settings}
DATA = {name: getattr(Config().data, name) for name in ("kind", "streamed", "validation_examples")}
FAMILYS_OWN = ("model.order", "model.branch")
TREATMENTS = ("model.depth", "model.shortcut", "model.norm", *sorted(OF_SHORTCUTS))


def labelled(done: list[dict[str, Any]]) -> Iterable[tuple[list[dict[str, Any]], tuple[str, str, str]]]:
    """Each group's runs, with its setting, place and context. Settings that all runs of a norm share are not told."""
    by_group: dict[str, list[dict[str, Any]]] = {}
    for run in done:
        by_group.setdefault(run["group"], []).append(run)
    contexts = _contexts(by_group)
    norms = {group: runs[0]["config"]["model"]["norm"] for group, runs in by_group.items()}
    alike = [[contexts[group] for group in by_group if norms[group] == norm] for norm in dict.fromkeys(norms.values())]
    every = sorted({key for form in contexts.values() for key in form})
    told = [key for key in every if any(_differs(key, forms) for forms in alike)]
    for group, runs in by_group.items():
        form = contexts[group]
        names = [str(form[key]) for key in ("model.name", "data.name") if key in told]
        short = [key for key in told if key not in ("model.name", "data.name") and key in form]
        setting = _told(short, form)
        place = ", ".join([*names, *([setting] if setting else [])])
        if "imported" in runs[0]:  # its file is told in any case
            others = [key for key in short if key != "imported"]
            setting = _told([*others, "imported"], form | {"imported": runs[0]["imported"]["file"]})
        yield runs, (setting, place, json.dumps(form, sort_keys=True, allow_nan=False))


def _told(keys: list[str], form: dict[str, Any]) -> str:
    """Settings for people; the family's own order and unit need no word."""
    said = [key for key in keys if not (key in FAMILYS_OWN and form[key] is None)]
    return ", ".join(f"{key.removesuffix('.name').rsplit('.', 1)[-1]}={spelled(form[key])}" for key in said)


def _differs(key: str, forms: list[dict[str, Any]]) -> bool:
    """Whether those differ in a setting that have it: how an imported net was trained is not known."""
    return len({json.dumps(form[key], allow_nan=False) for form in forms if key in form}) > 1


def _contexts(by_group: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Each group's context. Imported nets that would be one network twice are told apart by their files."""
    firsts = {group: runs[0] for group, runs in by_group.items()}
    forms = {group: _context(run) for group, run in firsts.items()}
    networks = {group: (run["arm"], run["config"]["model"], forms[group]) for group, run in firsts.items()}
    names = {group: json.dumps(network, sort_keys=True, allow_nan=False) for group, network in networks.items()}
    for group, name in names.items():
        if forms[group]["imported"] and Counter(names.values())[name] > 1:
            forms[group]["imported"] = "{file} {sha256:.6}".format(**firsts[group]["imported"])
    return forms


def _context(run: dict[str, Any]) -> dict[str, Any]:
    """What must be equal for two runs to be compared."""
    config = {key: value for key, value in run["config"].items() if key not in SECTIONS}
    model = dict(run["canonical"]["model"])
    usual = completed(ModelConfig(**{key: model[key] for key in ("name", "depth", "layout") if key in model}))
    # The family's own order and unit are null, whether they were named or not.
    names = (key.removeprefix("model.") for key in FAMILYS_OWN)
    own = {key: None for key in names if model.get(key) == getattr(usual, key)}
    config["model"] = model | own
    # The canonical form has no setting of the data that decides nothing beside the others, nor has a run from before
    # there was one. Those that say which others are there stand in every form.
    config["data"] = DATA | run["canonical"]["data"]
    config["train"] = {"tf32": True} | config["train"]
    form = {key: value for key, value in flat(config).items() if key not in (*SETTINGS, *TREATMENTS)}
    if form.get("model.norm_scope") == "per_device" and run["config"]["model"]["norm"] == "batch":
        form["devices"] = run["devices"]["count"]
    if "imported" in run:
        form = {key: value for key, value in form.items() if key.split(".")[0] not in TRAINING}
    return form | {"imported": "imported" in run}
