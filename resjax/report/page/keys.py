"""What the page's filters go by: every network's arm, depth and norm, its settings and its sweeps."""

from typing import Any

from resjax.report.groups import Group, Pool, norm_label
from resjax.report.page.content import Content
from resjax.report.page.markup import embedded

Keys = dict[str, object]
KEYS = ("arm", "depth", "panel")  # as figures' rows and tables' rows name them


def keys(group: Group, prefix: str = "") -> Keys:
    """What tells a table's row of this network; prefix: of the other one, where the row is about two."""
    return {prefix + name: getattr(group, name) for name in KEYS}


def networks(content: Content) -> str:
    """Every network, for the script: what its rows are told by, and what it can be filtered by."""
    sweeps = sweeps_of(content)
    found = [
        keys(group) | {"norm": norm_label(group.norm), "settings": group.place, "sweep": sweeps[group.id]}
        for group in content.pool.groups
    ]
    return embedded("networks", found)


def sweeps_of(content: Content) -> dict[str, list[str]]:
    """The names of the sweeps whose runs a network was pooled from, by its id."""
    found: dict[str, list[str]] = {group.id: [] for group in content.pool.groups}
    for run in content.sweep.runs:
        names = found.get(str(run.get("group")), [])
        if run.get("sweep") and run["sweep"] not in names:
            names.append(run["sweep"])
    return found


def of_run(run: dict[str, Any], pool: Pool) -> Keys:
    """A run's keys: its network's, or what it tells itself where it is not done."""
    groups = {group.id: group for group in pool.groups}
    if str(run.get("group")) in groups:
        return keys(groups[str(run.get("group"))])
    return {"arm": run["arm"], "depth": run["config"]["model"]["depth"]}
