"""What one instrument found, of the runs that are compared: its tables as one, with what tells the networks apart."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from resjax.records import LabTable, Sweep
from resjax.report.charts import Figure
from resjax.report.groups import Group, Pool, arm_order
from resjax.settings import spelled

NETWORK = {"group": pl.String, "panel": pl.String, "arm": pl.String, "depth": pl.Int64, "label": pl.String}
BESIDE = ("panel", "arm", "depth", "label")
DRAWN = (
    "Of an imported net nobody knows the start: it is a draw of its settings, not the values that it was trained from."
)


@dataclass(frozen=True)
class Part:
    """What the report says of one instrument. note: how to read it, and what it was made with."""

    name: str
    heading: str
    sentences: list[str]
    figures: list[Figure]
    note: str


@dataclass(frozen=True)
class Found:
    """One instrument's rows of every network, made with the same settings.

    table: the instrument's columns behind those of `NETWORK` and, where two networks are compared, `beside`, the other
    run, and `beside_panel`, `beside_arm`, `beside_depth`, `beside_label` (else null). left_out: tables with other
    settings, which would not compare; stale: tables of a checkpoint that its run no longer has. codes: versions of the
    code that made the tables. examples: of data, how many there are to train and to test. drawn_start: the start of
    some net is not the one that it was trained from.
    """

    instrument: str
    settings: dict[str, Any]
    seed: int
    table: pl.DataFrame
    groups: dict[str, Group]
    classes: dict[str, int]
    left_out: int
    stale: int = 0
    codes: int = 1
    examples: tuple[tuple[str, int, int], ...] = ()
    drawn_start: bool = False

    @property
    def panels(self) -> list[str]:
        """Norm and settings, in the groups' order."""
        return list(dict.fromkeys(group.panel for group in self.networks))

    @property
    def networks(self) -> list[Group]:
        """Those that were looked at, in the groups' order."""
        there = set(self.table["group"])
        return [group for group in self.groups.values() if group.id in there]

    @property
    def arms(self) -> list[str]:
        """Plain first."""
        return sorted({group.arm for group in self.networks}, key=arm_order)

    @property
    def depths(self) -> list[int]:
        """Rising."""
        return sorted({group.depth for group in self.networks})

    def of(self, group: Group) -> pl.DataFrame:
        """One network's rows."""
        return self.table.filter(group=group.id)

    def name(self, group: Group) -> str:
        """Such as plain-56, with its panel where there are several."""
        return group.label if len(self.panels) == 1 else f"{group.label} ({group.panel})"

    def chance(self, group: Group) -> float | None:
        """The error of a guess, 1 - 1 / classes."""
        classes = self.classes.get(group.id)
        return None if classes is None else 1 - 1 / classes

    def made_with(self) -> str:
        """The settings in words, how many examples there are, and what is left out."""
        told = " ".join(f"{name}={spelled(value)}" for name, value in self.settings.items())
        sizes = [f"{data} has {train} training and {test} test examples" for data, train, test in self.examples]
        parts = [
            f"{', '.join(sizes)}." if sizes else "",
            f"{self.left_out} tables made with other settings are left out." if self.left_out else "",
            f"{self.stale} tables are left out whose nets have been trained anew since." if self.stale else "",
            f"The tables were made by {self.codes} versions of the code." if self.codes > 1 else "",
            DRAWN if self.drawn_start else "",
            f"Made by: resjax lab {self.instrument} RUN {told} --seed={self.seed}",
        ]
        return " ".join(part for part in parts if part)


def found(pooled: Pool, sweep: Sweep, instrument: str) -> Found | None:
    """The tables of one instrument that most runs have with the same settings, the last made where as many have others.

    Of a seed that two runs trained, those of the run that the report takes. Those of a net that has been trained anew
    since are left out.
    """
    runs = {run["id"]: run for run in sweep.runs}
    there = [one for one in sweep.lab if one.instrument == instrument and one.run in runs]
    every = [one for one in there if is_current(one, runs)]
    if not every:
        return None
    counts = Counter(one.settings for one in every)
    last = {one.settings: max(o.about["ended"] for o in every if o.settings == one.settings) for one in every}
    best = max(counts, key=lambda settings: (counts[settings], last[settings]))
    chosen = [one for one in every if one.settings == best]
    groups = {group.id: group for group in briefly(pooled.groups)}
    table = pl.concat([_rows(one, runs, groups) for one in chosen], how="diagonal_relaxed")
    classes = {run["group"]: run["model"]["classes"] for run in sweep.runs if "classes" in run.get("model", {})}
    if table.is_empty():
        return None
    settings, seed = json.loads(best)
    imported = any("imported" in runs[one.run] for one in chosen)
    drawn = imported and "moment" in table.columns and "start" in table["moment"]
    codes = len({one.about["code_sha256"] for one in chosen})
    sizes = {
        (runs[one.run]["config"]["data"]["name"], one.about["examples"]["train"], one.about["examples"]["test"])
        for one in chosen
        if "examples" in one.about
    }
    left_out, stale = len(every) - len(chosen), len(there) - len(every)
    return Found(
        instrument, settings, seed, table, groups, classes, left_out, stale, codes, tuple(sorted(sizes)), drawn
    )


def is_current(one: LabTable, runs: dict[str, Any]) -> bool:
    """Whether the checkpoints that it was made of are still those of their runs, and these are done."""
    asked = [run for run in (one.run, one.about["beside"]) if run]
    pairs = zip(asked, one.about["checkpoint"], strict=True)
    return all(run not in runs or runs[run].get("digest") == digest for run, digest in pairs)


def briefly(groups: list[Group]) -> list[Group]:
    """The groups with as little in their panels as tells these apart: the norm, the data, the family, or all."""
    panels = {group.panel for group in groups}
    for place in (lambda g: "", lambda g: g.data, lambda g: g.model, lambda g: f"{g.model}, {g.data}"):
        brief = [replace(group, place=place(group)) for group in groups]
        pairs = {(one.panel, other.panel) for one, other in zip(groups, brief, strict=True)}
        if len(pairs) == len(panels) == len({panel for _, panel in pairs}):
            return brief
    return groups


def _rows(one: LabTable, runs: dict[str, Any], groups: dict[str, Group]) -> pl.DataFrame:
    """A table with its network in front; only the seeds that the report takes of this run, and of the one beside it."""

    def of(run: str | None) -> Group | None:
        return groups.get(runs.get(run or "", {}).get("group", ""))

    def taken(run: str) -> list[int]:
        group = of(run)
        return [seed.number for seed in group.seeds if seed.run == run] if group else []

    other = one.about["beside"]
    group, beside = of(one.run), of(other)
    facts = {name: getattr(group, "id" if name == "group" else name, None) for name in NETWORK}
    facts |= {f"beside_{name}": getattr(beside, name, None) for name in BESIDE} | {"beside": other}
    types = NETWORK | {f"beside_{name}": NETWORK[name] for name in BESIDE} | {"beside": pl.String}
    front = [pl.lit(value, types[name]).alias(name) for name, value in facts.items()]
    rows = one.table.filter(pl.col("seed").is_in(taken(one.run)))
    if "beside_seed" in rows.columns:
        there = pl.col("beside_seed")
        rows = rows.filter(there.is_null() | there.is_in(taken(other or one.run)))
    return rows.select(*front, pl.all())
