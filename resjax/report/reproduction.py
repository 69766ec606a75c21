"""An item of a paper as it was run: its rows, the settings behind each, and the groups of the records that are them."""

from dataclasses import asdict, dataclass
from typing import Any

from resjax.identity import pooled
from resjax.papers.item import Item, Preset
from resjax.papers.loading import find
from resjax.records import Sweep
from resjax.report.groups import Group, Pool


@dataclass(frozen=True)
class Entry:
    """A row: its canonical settings without seeds, and what of them is not the paper's, such as train.steps=600."""

    row: str
    form: dict[str, Any]
    changed: tuple[str, ...] = ()
    depth: int | None = None  # of a search

    @property
    def name(self) -> str:
        """The row, and of a search its depth."""
        return self.row if self.depth is None else f"{self.row} {self.depth}"


@dataclass(frozen=True)
class Reproduction:
    """An item at a size, with its rows; command: what makes it."""

    item: Item
    size: str
    entries: tuple[Entry, ...]
    command: str
    part: str | None = None

    @property
    def preset(self) -> Preset:
        """The size's words and numbers."""
        return self.item.presets[self.size]

    def as_json(self) -> dict[str, Any]:
        """For the sweep's folder."""
        entries = [asdict(entry) for entry in self.entries]
        return {"item": self.item.name, "size": self.size, "part": self.part, "command": self.command, "rows": entries}

    def changed_of(self, row: str) -> tuple[str, ...]:
        """What a row has that is not the paper's."""
        return next((entry.changed for entry in self.entries if entry.row == row), ())

    @property
    def changed(self) -> list[str]:
        """What any row has that is not the paper's."""
        return list(dict.fromkeys(word for entry in self.entries for word in entry.changed))


def from_json(said: dict[str, Any]) -> Reproduction:
    """What `as_json` gave."""
    entries = tuple(Entry(e["row"], e["form"], tuple(e["changed"]), e["depth"]) for e in said["rows"])
    return Reproduction(find(said["item"])[0], said["size"], entries, said["command"], said["part"])


@dataclass(frozen=True)
class Found:
    """The rows that the records have, by name; of a search by name and depth."""

    reproduction: Reproduction
    pool: Pool
    groups: dict[str, Group]
    searched: dict[tuple[str, int], Group]


def match(reproduction: Reproduction, sweep: Sweep, pool: Pool) -> Found:
    """Each row's group: the one whose runs have the row's settings, whatever their seeds."""
    by_id = {group.id: group for group in pool.groups}
    runs = [(bare(pooled(run["canonical"])), by_id[run["group"]]) for run in sweep.runs if run.get("group") in by_id]
    groups: dict[str, Group] = {}
    searched: dict[tuple[str, int], Group] = {}
    for entry in reproduction.entries:
        own = next((group for form, group in runs if form == bare(entry.form)), None)
        if own is not None and entry.depth is None:
            groups[entry.row] = own
        elif own is not None and entry.depth is not None:
            searched[entry.row, entry.depth] = own
    return Found(reproduction, pool, groups, searched)


def bare(form: dict[str, Any]) -> dict[str, Any]:
    """Without the number of devices, which nobody knows before the run (model.norm_scope=per_device)."""
    return {key: value for key, value in form.items() if key != "devices"}
