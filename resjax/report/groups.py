"""A sweep's finished runs, pooled over those that differ in their seeds only."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from resjax.config import LOOKING, ModelConfig, completed
from resjax.records import Sweep
from resjax.shortcuts import SHORTCUTS

TAIL = 0.1  # the last part of the steps over which final training values are means
END = "end"
QUANTITIES = ("train_loss", "train_error", "test_loss", "test_error", "gap")
# Sections and settings that decide nothing of the numbers, or that the report compares.
SECTIONS = ("parallel", "tracker", "checkpoint")
TRAINING = ("train", "optimizer", "schedule")  # of an imported net they say nothing
BOOKKEEPING = ("sweep", "runs", "rerun", "data.root")
SETTINGS = ("seed", "seeds", *BOOKKEEPING, "model.unroll", "model.remat", *map(".".join, LOOKING))
# The arm's name tells a shortcut's own settings.
OF_SHORTCUTS = {f"model.{name}" for row in SHORTCUTS.values() for name in row.settings}
TREATMENTS = ("model.depth", "model.shortcut", "model.norm", *sorted(OF_SHORTCUTS))


@dataclass(frozen=True)
class Seed:
    """One seed of a group: the run it is from, how it ended, and its quantities at the end, None where unknown."""

    number: int
    run: str
    diverged_at: int | None
    first_bad_layer: str | None
    final: dict[str, float | None]

    @property
    def finished(self) -> bool:
        """Whether it trained to the end."""
        return self.diverged_at is None


@dataclass(frozen=True)
class Group:
    """The runs of one network and one recipe. context: every setting but arm, depth and norm; place: what tells it."""

    id: str
    arm: str
    depth: int
    norm: str
    model: str
    data: str
    setting: str
    place: str
    context: str
    parameters: int | None
    steps: int
    seeds: tuple[Seed, ...]

    @property
    def finished(self) -> tuple[Seed, ...]:
        """The seeds that trained to the end."""
        return tuple(seed for seed in self.seeds if seed.finished)

    @property
    def diverged(self) -> tuple[Seed, ...]:
        """The seeds that did not."""
        return tuple(seed for seed in self.seeds if not seed.finished)

    @property
    def settings(self) -> dict[str, Any]:
        """The context's settings that are no part of the norm."""
        return {key: value for key, value in json.loads(self.context).items() if not key.startswith("model.norm")}

    @property
    def label(self) -> str:
        """Such as plain-56."""
        return f"{self.arm}-{self.depth}"

    @property
    def panel(self) -> str:
        """What a figure's panel or a sentence is about: the norm, and the settings where there are several."""
        return ", ".join(part for part in (norm_label(self.norm), self.place) if part)

    def final(self, quantity: str) -> dict[int, float]:
        """A quantity at the end, by seed, of the seeds that finished."""
        values = {seed.number: seed.final[quantity] for seed in self.finished}
        return {number: value for number, value in values.items() if value is not None}


@dataclass(frozen=True)
class Pool:
    """Groups by data, model, norm, depth, arm; their metrics and layers with the columns `group` and `moment`."""

    groups: list[Group]
    metrics: pl.DataFrame
    layers: pl.DataFrame

    @property
    def panels(self) -> list[str]:
        """The panels, in the groups' order."""
        return list(dict.fromkeys(group.panel for group in self.groups))

    @property
    def arms(self) -> list[str]:
        """The arms, plain first."""
        return sorted({group.arm for group in self.groups}, key=arm_order)


def norm_label(norm: str) -> str:
    """For people."""
    return "no norm" if norm == "none" else f"{norm} norm"


def arm_order(arm: str) -> tuple[int, str]:
    """Plain, residual, then the others by name."""
    return {"plain": 0, "residual": 1}.get(arm, 2), arm


def pool(sweep: Sweep) -> Pool:
    """Pool the runs that are done. A seed that was trained twice in one group is counted once."""
    done = [run for run in sweep.runs if run["status"] == "done"]
    chosen = {(run["group"], seed["seed"]): run["id"] for run in reversed(done) for seed in run["seeds"]}
    keys = pl.DataFrame(
        [(group, number, run) for (group, number), run in chosen.items()],
        schema={"group": pl.String, "seed": pl.Int64, "run": pl.String},
        orient="row",
    )
    ends = {run["group"]: run["config"]["train"]["steps"] for run in done}
    metrics, layers = (_with_group(frame, keys, ends) for frame in (sweep.metrics, sweep.layers))
    finals = _finals(metrics)
    groups = [_group(runs, chosen, finals, labels) for runs, labels in _labelled(done)]
    order = sorted(groups, key=lambda g: (g.data, g.model, g.norm, g.depth, arm_order(g.arm), g.setting))
    return Pool(order, metrics, layers)


def _with_group(frame: pl.DataFrame, keys: pl.DataFrame, ends: dict[str, int]) -> pl.DataFrame:
    """The chosen runs' rows; end: the group's last step; moment: the step as a word."""
    ended = pl.DataFrame({"group": list(ends), "end": list(ends.values())}, {"group": pl.String, "end": pl.Int64})
    joined = frame.join(keys, on=["run", "seed"], how="inner").join(ended, on="group", how="inner")
    moment = pl.when(pl.col("step") == pl.col("end")).then(pl.lit(END)).otherwise(pl.col("step").cast(pl.String))
    floats = pl.col(pl.Float64)
    return joined.with_columns(pl.when(floats.is_finite()).then(floats), moment=moment).sort("group", "seed", "step")


def _finals(metrics: pl.DataFrame) -> dict[tuple[str, int], dict[str, float | None]]:
    """By group and seed: training values as means of the last tenth of the steps, test values of the last step."""
    trained = metrics.filter(pl.col("train_loss").is_not_null() | pl.col("train_error").is_not_null())
    last = pl.col("step").max().over("group", "seed")
    tail = trained.filter((pl.col("step") >= (1 - TAIL) * pl.col("end")) | (pl.col("step") == last))
    means = tail.group_by("group", "seed").agg(pl.col("train_loss", "train_error").mean())
    tested = metrics.filter(moment=END).select("group", "seed", "test_loss", "test_error")
    tested = tested.filter(pl.col("test_loss").is_not_null() | pl.col("test_error").is_not_null())
    both = means.join(tested.unique(["group", "seed"]), on=["group", "seed"], how="full", coalesce=True)
    both = both.with_columns(gap=pl.col("test_error") - pl.col("train_error"))
    return {(row["group"], row["seed"]): {name: row[name] for name in QUANTITIES} for row in both.to_dicts()}


def _labelled(done: list[dict[str, Any]]) -> Iterable[tuple[list[dict[str, Any]], tuple[str, str, str]]]:
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
        yield runs, (setting, place, json.dumps(form, sort_keys=True))


def _told(keys: list[str], form: dict[str, Any]) -> str:
    """Settings for people."""
    return ", ".join(f"{key.rsplit('.', 1)[-1]}={form[key]}" for key in keys)


def _differs(key: str, forms: list[dict[str, Any]]) -> bool:
    """Whether those differ in a setting that have it: how an imported net was trained is not known."""
    return len({json.dumps(form[key]) for form in forms if key in form}) > 1


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _contexts(by_group: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Each group's context. Imported nets that would be one network twice are told apart by their files."""
    firsts = {group: runs[0] for group, runs in by_group.items()}
    forms = {group: _context(run) for group, run in firsts.items()}
    networks = {group: (run["arm"], run["config"]["model"], forms[group]) for group, run in firsts.items()}
    names = {group: json.dumps(network, sort_keys=True) for group, network in networks.items()}
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
    own = {key: None for key in ("order", "branch") if model.get(key) == getattr(usual, key)}
    config["model"] = model | own
    form = {key: value for key, value in flat(config).items() if key not in (*SETTINGS, *TREATMENTS)}
    if form.get("model.norm_scope") == "per_device" and run["config"]["model"]["norm"] == "batch":
        form["devices"] = run["devices"]["count"]
    if "imported" in run:
        form = {key: value for key, value in form.items() if key.split(".")[0] not in TRAINING}
    return form | {"imported": "imported" in run}


def _group(
    runs: list[dict[str, Any]],
    chosen: dict[tuple[str, int], str],
    finals: dict[tuple[str, int], dict[str, float | None]],
    labels: tuple[str, str, str],
) -> Group:
    first, nothing = runs[0], dict.fromkeys(QUANTITIES)
    config, identity = first["config"], first["group"]
    seeds = [
        Seed(item["seed"], run["id"], item["diverged_at"], item["first_bad_layer"], final)
        for run in runs
        for item in run["seeds"]
        if item["outcome"] != "pending" and chosen[identity, item["seed"]] == run["id"]
        for final in [finals.get((identity, item["seed"]), nothing)]
    ]
    setting, place, context = labels
    return Group(
        identity,
        first["arm"],
        config["model"]["depth"],
        config["model"]["norm"],
        config["model"]["name"],
        config["data"]["name"],
        setting,
        place,
        context,
        first.get("model", {}).get("parameters"),
        config["train"]["steps"],
        tuple(sorted(seeds, key=lambda seed: seed.number)),
    )
