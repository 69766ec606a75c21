"""An item of a paper at a size, as checked jobs; and what they would take, without opening a device."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resjax import facts, records, speed
from resjax.cli.composition import checked
from resjax.cli.overrides import Launch, launch
from resjax.config import Config
from resjax.errors import InputError
from resjax.identity import canonical, pooled, readable_name
from resjax.legal import slug
from resjax.papers.bisection import next_depth
from resjax.papers.item import Item, key_of
from resjax.records import flat
from resjax.report.groups import pool
from resjax.report.reproduction import Entry, Found, Reproduction, from_json, match
from resjax.report.searched import known
from resjax.settings import spelled
from resjax.training import agenda

# Bytes, measured on the runs of experiments/: a row of metrics.jsonl and of layers.parquet, a run's other files; what
# wandb's folder has of its own, and for each of their rows.
METRICS_ROW, LAYERS_ROW, OTHERS = 190, 160, 60_000
MIRROR, MIRROR_METRICS_ROW, MIRROR_LAYERS_ROW = 250_000, 600, 300
STATE = 4  # bytes a number; a checkpoint has the parameters and as many for momentum, or twice for Adam
ALL_WHERE_NULL = ("data.train_examples", "data.test_examples")  # what null says of them; of those held out it is none
CHECKPOINTS = 2  # that are kept at most: a run of minutes leaves one


@dataclass(frozen=True)
class Plan:
    """A reproduction with its jobs; settings: the user's own, which come last; folder: the sweep's."""

    reproduction: Reproduction
    settings: tuple[str, ...]
    jobs: tuple[Config, ...]
    launch: Launch
    folder: Path

    @property
    def item(self) -> Item:
        """The item."""
        return self.reproduction.item

    @property
    def size(self) -> str:
        """The preset's name."""
        return self.reproduction.size


def plan(item: Item, part: str | None, size: str, settings: Sequence[str], runs: str) -> Plan:
    """The jobs of an item, or the first ones of a search. InputError where a setting is not legal."""
    rows = item.rows_of(size, part)
    name = item.name if part is None else f"{item.name}/{part}"
    if not rows:
        raise InputError(no_row(item, part, size, name))
    own = [f"sweep={slug(item.name.replace('/', '_'))}_{size}", f"runs={runs}", *settings]
    command = shlex.join(["resjax", "reproduce", name, "--preset", size, *settings])
    made = Reproduction(item, size, (), command, part)
    if item.search:
        return searched(made, tuple(own))
    first = checked_launch(item, rows[0], size, own)
    entries, jobs = zip(*(entry(item, row, size, own) for row in rows), strict=True)
    return planned(replace(made, entries=tuple(entries)), own, jobs, first)


def no_row(item: Item, part: str | None, size: str, name: str) -> str:
    """Why a size has nothing to run, and which have."""
    why = item.presets[size].refused or f"{name} has no row at the size {size}."
    have = [size for size in item.presets if item.rows_of(size, part)]
    return f"{why}\nExpected one of: {', '.join(have)}\nType: resjax reproduce {name} --preset {have[0]}"


def checked_launch(item: Item, row: str, size: str, own: Sequence[str]) -> Launch:
    """A row as a sweep of one run: every word is checked. InputError where a setting has several values."""
    made = launch(["-m", *said(item, row, size, own)])
    decided = item.search and "model.depth" in map(key_of, own)
    if len(made.jobs) != 1 or decided:
        what = "the search decides model.depth" if decided else "a setting has several values"
        raise InputError(
            f"{' '.join(own)}: {what}.\nExpected one value a setting, of those that the item leaves open.\n"
            f"Type: resjax reproduce {item.name} --dry-run, or resjax train -m for a sweep"
        )
    return made


def entry(item: Item, row: str, size: str, own: Sequence[str], depth: int | None = None) -> tuple[Entry, Config]:
    """A row with its job."""
    deeper = [f"model.depth={depth}"] if depth else []
    job = checked(said(item, row, size, [*deeper, *own]))
    theirs = checked(together([*item.words_of(row, "paper"), *deeper]))
    form = pooled(canonical(job))
    return Entry(row, form, tuple(changes(form, pooled(canonical(theirs)), item)), depth), job


def said(item: Item, row: str, size: str, own: Sequence[str]) -> list[str]:
    """A row's settings with one's own; a launcher of one's own takes none of the size's settings of its launcher."""
    other = "hydra/launcher" in map(key_of, own)
    words = [word for word in item.words_of(row, size) if not (other and word.startswith("hydra.launcher."))]
    return together([*words, *own])


def together(words: Iterable[str]) -> list[str]:
    """Of a setting said twice the later stands."""
    return list({key_of(word): word for word in words}.values())


def changes(form: Mapping[str, Any], paper: Mapping[str, Any], item: Item) -> Iterable[str]:
    """What differs from the settings of the item's recipe at its whole size, which are the paper's where it has one."""
    whole = "in the paper" if item.of_a_paper and not item.elsewhere else "in the whole recipe"
    ours, theirs = flat(dict(form)), flat(dict(paper))
    for key in dict.fromkeys([*theirs, *ours]):
        if ours.get(key) != theirs.get(key):
            every = "all" if key in ALL_WHERE_NULL else "null"
            told = [every if value is None else spelled(value) for value in (ours.get(key), theirs.get(key))]
            yield f"{key}={told[0]} ({told[1]} {whole})"


def planned(made: Reproduction, own: Sequence[str], jobs: Sequence[Config], first: Launch) -> Plan:
    """The jobs as one sweep, made where the first one says."""
    words = ["reproduce", made.item.name, "--preset", made.size, *own]
    whole = replace(first, words=words, jobs=list(jobs), count=len(jobs), multirun=True)
    return Plan(made, tuple(own), tuple(jobs), whole, facts.sweep_folder(first.jobs[0]))


def next_round(done: Plan) -> Plan:
    """What a search makes next, from the records; of others nothing."""
    return searched(done.reproduction, done.settings) if done.item.search else replace(done, jobs=())


def searched(made: Reproduction, own: tuple[str, ...]) -> Plan:
    """The next depth of every row; all that were tried are its entries. Without jobs the search is over."""
    item, size = made.item, made.size
    assert item.search is not None
    depths = item.presets[size].depths
    every = {(row, depth): entry(item, row, size, own, depth) for row in item.search.rows for depth in depths}
    all_ = replace(made, entries=tuple(one for one, _ in every.values()))
    first = checked_launch(item, item.search.rows[0], size, own)
    sweep = records.read(facts.sweep_folder(first.jobs[0]))
    found = whole(match(all_, sweep, pool(sweep)), first.jobs[0])
    wanted = {row: next_depth(known(row, found), depths) for row in item.search.rows}
    chosen = [every[row, depth] for row, depth in wanted.items() if depth is not None]
    tried = [one for key, (one, _) in every.items() if key in found.searched]
    entries = (*tried, *(one for one, _ in chosen))
    return planned(replace(made, entries=entries), own, [job for _, job in chosen], first)


def whole(found: Found, job: Config) -> Found:
    """Without the depths that lack some of the seeds that are asked for."""
    asked = set(range(job.seed, job.seed + job.seeds))
    kept = {key: g for key, g in found.searched.items() if asked <= {seed.number for seed in g.seeds}}
    return replace(found, searched=kept)


def together_with(asked: Mapping[str, Any], made: Reproduction) -> Reproduction:
    """With the rows that were asked for before in the same folder: parts of an item share it."""
    if (asked.get("item"), asked.get("size")) != (made.item.name, made.size) or made.item.search:
        return made
    new = {entry.row for entry in made.entries}
    before = [entry for entry in from_json(dict(asked)).entries if entry.row not in new]
    return replace(made, entries=(*made.entries, *before))


def dry_run(made: Plan) -> list[dict[str, Any]]:
    """A row a run: its size, its work, seconds here and bytes on disk; from shapes alone."""
    names = [entry.name for entry in made.reproduction.entries]
    return [estimated(*of) for of in zip(names[len(names) - len(made.jobs) :], made.jobs, strict=True)]


def estimated(row: str, config: Config) -> dict[str, Any]:
    """One run."""
    from resjax.data import source
    from resjax.models import build, counts  # JAX is imported from here on

    image, classes = source.shape_of(config.data)
    model = build(config.model, image, classes)
    work, layers, parameters = counts.multiply_adds(model), len(model.weight_layers), counts.parameters(model)
    train = config.train
    time = speed.estimate(work, layers, train.batch_size, train.steps, config.seeds)
    return {
        "row": row,
        "run": readable_name(config),
        "depth": config.model.depth,
        "parameters": parameters,
        "multiply_adds": work,
        "steps": train.steps,
        "batch_size": train.batch_size,
        "seeds": config.seeds,
        "seconds": time.run,
        "disk_bytes": disk_bytes(config, parameters, layers + len(model.units)),
    }


def rows_of(config: Config, layers: int) -> tuple[int, int]:
    """Of metrics, and of layers and units, that a run's records have."""
    steps = config.train.steps
    looks = sum(agenda.probed(config, step) for step in range(steps)) + config.probes.last
    return config.seeds * (steps // config.train.log_every), config.seeds * looks * layers


def disk_bytes(config: Config, parameters: int, layers: int) -> int:
    """At most what a run leaves: metrics, layers, checkpoints, wandb's mirror; an estimate."""
    state = STATE * parameters * (3 if config.optimizer.name == "adam" else 2)
    metrics, rows = rows_of(config, layers)
    found = OTHERS + METRICS_ROW * metrics + LAYERS_ROW * rows + CHECKPOINTS * config.seeds * state
    if config.tracker.name == "wandb":
        found += MIRROR + MIRROR_METRICS_ROW * metrics + MIRROR_LAYERS_ROW * rows
    return found
