"""A sweep's finished runs, pooled over those that differ in their seeds only."""

import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import polars as pl

from resjax.config import ModelConfig
from resjax.records import Sweep
from resjax.report.contexts import labelled
from resjax.theory import Profile, Unpredicted, profile

TAIL = 0.1  # the last part of the steps over which final training values are means
END = "end"
TESTED = ("test_loss", "test_error", "test_error_10crop")
QUANTITIES = ("train_loss", "train_error", *TESTED, "gap")


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
class Network:
    """A network as it was probed: its settings, one image, and the probe batch's examples that share statistics."""

    model: ModelConfig
    image: tuple[int, ...]
    examples: int


@dataclass(frozen=True)
class Group:
    """The runs of one network and one recipe. context: every setting but arm, depth and norm; place: what tells it.

    network: what theory has to know of it, None where the records do not tell.
    """

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
    multiply_adds: int | None
    steps: int
    seeds: tuple[Seed, ...]
    network: Network | None = None

    @cached_property
    def theory(self) -> Profile | str:
        """What mean-field theory expects of the network at step 0, or why it expects nothing."""
        if self.network is None:
            return "its records do not tell the whole network"
        try:
            return profile(self.network.model, self.network.image, self.network.examples)
        except Unpredicted as answer:
            return str(answer)

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
    def imported(self) -> bool:
        """Whether it was trained elsewhere: a file has one net, and no seeds beside it."""
        return bool(json.loads(self.context)["imported"])

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
    """Pool the runs that are done. A seed that was trained twice in one group is counted once, where it was looked at
    the more often.
    """
    looks = dict(sweep.layers.group_by("run").agg(pl.col("step").n_unique()).iter_rows())
    done = sorted((run for run in sweep.runs if run["status"] == "done"), key=lambda run: -looks.get(run["id"], 0))
    chosen = {(run["group"], seed["seed"]): run["id"] for run in reversed(done) for seed in run["seeds"]}
    keys = pl.DataFrame(
        [(group, number, run) for (group, number), run in chosen.items()],
        schema={"group": pl.String, "seed": pl.Int64, "run": pl.String},
        orient="row",
    )
    ends = {run["group"]: run["config"]["train"]["steps"] for run in done}
    metrics, layers = (_with_group(frame, keys, ends) for frame in (sweep.metrics, sweep.layers))
    finals = _finals(metrics)
    groups = [_group(runs, chosen, finals, labels) for runs, labels in labelled(done)]
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
    tested = metrics.filter(moment=END).select("group", "seed", *TESTED)
    tested = tested.filter(pl.any_horizontal(pl.col(*TESTED).is_not_null()))
    both = means.join(tested.unique(["group", "seed"]), on=["group", "seed"], how="full", coalesce=True)
    both = both.with_columns(gap=pl.col("test_error") - pl.col("train_error"))
    return {(row["group"], row["seed"]): {name: row[name] for name in QUANTITIES} for row in both.to_dicts()}


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
        first.get("model", {}).get("multiply_adds"),
        config["train"]["steps"],
        tuple(sorted(seeds, key=lambda seed: seed.number)),
        _network(first),
    )


def _network(run: dict[str, Any]) -> Network | None:
    """From run.json; None from before it told the image, or where settings have changed since."""
    image, config = run.get("model", {}).get("image"), run["config"]
    if image is None or set(config["model"]) != {item.name for item in fields(ModelConfig)}:
        return None
    scope, batch = config["model"]["norm_scope"], config["train"]["batch_size"]
    devices = run.get("devices", {}).get("count", 1)
    group = {"ghost": min(config["model"]["norm_group"], batch), "global": batch}.get(scope, batch // devices)
    return Network(ModelConfig(**config["model"]), tuple(image), min(group, config["probes"]["batch_size"]))
