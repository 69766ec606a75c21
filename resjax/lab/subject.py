"""A finished run under the instruments: its network, its values at the start and at the end, its data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int

from resjax import records
from resjax.config import Config, ParallelConfig, statistics_group
from resjax.data import resident, source
from resjax.data.stream import Arrays, standardize, to_arrays
from resjax.errors import InputError
from resjax.models import Mode, Model, build
from resjax.models.calibration import own_statistics
from resjax.models.types import Hidden
from resjax.records.launches import from_plain
from resjax.starting import start_jax
from resjax.training.checkpoints import Checkpoints
from resjax.training.parallel import Layout, devices_of
from resjax.training.precision import precision
from resjax.training.state import RUN_ONCE, seed_keys, values_of

START, END = "start", "end"
CALIBRATION = 1024  # training examples whose statistics stand for the population's, where none have run yet


class RefusedError(InputError):
    """One run cannot be looked at; others can."""


class Values(NamedTuple):
    """A network's parameters and its running statistics, on every device."""

    params: Any
    batch_stats: Any


class Batch(NamedTuple):
    """Standardised images, cut over the devices, and labels. inside: false for what only fills the last batch up."""

    images: Hidden
    labels: Int[Array, " batch"]
    inside: Bool[Array, " batch"]


@dataclass(frozen=True)
class Subject:
    """A run with its network. seeds: those that trained to the end, by their place in the checkpoint.

    Everything is looked at in the type that the run keeps its parameters in, with products as exact as it allows.
    """

    run: dict[str, Any]
    config: Config
    model: Model
    layout: Layout
    train: Arrays
    test: Arrays
    seeds: dict[int, int]
    arrays: dict[str, np.ndarray]
    kept: dict[tuple[int, str], Values] = field(default_factory=dict)

    @property
    def devices(self) -> dict[str, Any]:
        """Their kind and count."""
        return {"kind": self.layout.devices[0].device_kind, "count": len(self.layout.devices)}

    @property
    def group(self) -> int:
        """Examples that shared batch statistics in training."""
        batch, count = self.config.train.batch_size, self.run["devices"]["count"]
        return statistics_group(self.config) or batch // count

    def values(self, seed: int, moment: str) -> Values:
        """Those of a seed at the end of its training, or at its start, before the first update.

        At the start no statistics have run: they are the means over groups of 1,024 training examples, of the values
        as they are (`calibrated`). Of an imported net, whose start nobody knows, it is what the settings would draw.
        """
        if (seed, moment) not in self.kept:
            self.kept.clear()
            self.kept[seed, moment] = self.made(seed, moment)
        return self.kept[seed, moment]

    def made(self, seed: int, moment: str) -> Values:
        """`values`, which keeps the last."""
        if moment == END:
            return self.placed(Values(*values_of(self.model, self.arrays, self.seeds[seed])))
        params, batch_stats = jax.jit(self.model.init, compiler_options=RUN_ONCE)(seed_keys(seed).init)
        return self.placed(Values(params, self.calibrated(params) if jax.tree.leaves(batch_stats) else batch_stats))

    def placed(self, tree: Any) -> Any:
        """The same arrays on every device."""
        return jax.device_put(tree, self.layout.replicated())

    def split(self, name: str) -> Arrays:
        """train or test."""
        return {"train": self.train, "test": self.test}[name]

    def places(self, split: str, count: int | None = None) -> np.ndarray:
        """Which examples: the first `count` of one fixed order (None: all), the same for every run on these data."""
        examples = len(self.split(split).labels)
        return np.random.default_rng(0).permutation(examples)[:count]

    def batches(self, split: str, places: int | np.ndarray | None, size: int) -> Iterator[Batch]:
        """These examples, or so many of them (`places`), in batches of at most `size`, all of one shape that the
        devices divide.
        """
        places = places if isinstance(places, np.ndarray) else self.places(split, places)
        size = self.whole(min(size, len(places)))
        for start in range(0, len(places), size):
            yield self.batch(split, places[start : start + size], size)

    def whole(self, size: int) -> int:
        """`size`, or the next larger one that the devices divide."""
        count = len(self.layout.devices)
        return -(-size // count) * count

    def batch(self, split: str, places: Sequence[int] | np.ndarray, size: int | None = None) -> Batch:
        """These examples, filled up to `size` with the first of them."""
        size = self.whole(len(places)) if size is None else size
        images, labels = self.taken(self.split(split), filled(places, size))
        return Batch(images, labels, jnp.arange(size) < len(places))

    @cached_property
    def taken(self) -> Any:
        """The function (arrays, places) -> images, cut over the devices, and labels."""

        @jax.jit
        def taken(arrays: Arrays, places: Array) -> tuple[Array, Array]:
            images = standardize(arrays, arrays.images[places])
            return lax.with_sharding_constraint(images, self.layout.sharded()), arrays.labels[places]

        return taken

    def calibrated(self, params: Any) -> Any:
        """The statistics of the network as it is: means over groups of training examples, as training takes them."""
        group = min(self.group, len(self.train.labels))
        count = max(min(CALIBRATION, len(self.train.labels)) // group, 1)
        places = self.places("train", count * group).reshape(count, group)
        images = (self.taken(self.train, part.astype(np.int32))[0] for part in places)
        # Waiting for each keeps virtual devices from deadlocking on a long queue (jaxlib 0.10).
        found = [jax.device_get(self.statistics(params, each)) for each in images]
        return jax.tree.map(lambda *leaves: sum(leaves) / count, *found)

    @cached_property
    def statistics(self) -> Any:
        """The function (params, images) -> the batch statistics of one group."""

        @jax.jit
        def statistics(params: Any, images: Array) -> Any:
            return own_statistics(self.model, params, images, Mode(True, len(images)))

        return statistics


def filled(places: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
    """`size` places: these, and then the first of them again and again."""
    return np.concatenate([places, np.repeat(places[:1], size - len(places))]).astype(np.int32)


def opened(folder: Path, parallel: ParallelConfig, root: str | None = None) -> Subject:
    """The run in `folder`, on these devices; root: where its prepared data are, if elsewhere than it says.

    InputError where it has no checkpoint, no seed that trained to the end, or its data are others now.
    """
    run = records.facts_of(folder)
    config = replace(from_plain(run["config"]), parallel=parallel)
    config.train.tf32 = False  # the instrument does not round
    config.data.root = root or config.data.root
    start_jax(config)
    try:
        arrays = Checkpoints(folder / records.CHECKPOINTS).load().snapshot.arrays
    except InputError as error:
        raise RefusedError(f"{error}\nType: resjax train with its settings and rerun=all, to make it again") from error
    seeds = {item["seed"]: place for place, item in enumerate(run["seeds"]) if item["outcome"] == "finite"}
    if not seeds:
        raise RefusedError(
            f"no seed of {folder} trained to the end: all diverged.\nExpected one whose values are finite.\n"
            f"Type: resjax status {folder.parent.name}, for the others"
        )
    devices = devices_of(parallel, "--platform")
    if parallel.devices is not None and not 1 <= parallel.devices <= len(devices):
        there_are = len(devices)
        raise InputError(
            f"--devices={parallel.devices}, but there are {there_are}.\nExpected a count that there is.\n"
            f"Type: --devices={there_are}"
        )
    layout = Layout("jit", tuple(devices[: parallel.devices]))
    data = source.load(config.data)
    if not isinstance(data, resident.Source):
        raise RefusedError(
            f"{folder} was trained on streamed images (data={config.data.name}), which no instrument reads yet.\n"
            "Expected a run whose data are read at once.\nType: resjax lab INSTRUMENT RUN, with such a one"
        )
    if data.provenance["digest"] != run["data"]["digest"]:
        raise RefusedError(
            f"data={config.data.name} has the digest {str(data.provenance['digest'])[:12]} now, and had "
            f"{run['data']['digest'][:12]} when {folder.name} was made.\nExpected the data of the run.\n"
            "Type: --root=FOLDER, with the folder of those data"
        )
    types = precision(config)
    model = build(config.model, data.shape, data.classes, types.keeps)
    place = partial(jax.device_put, device=layout.replicated())
    train = place(to_arrays(data.train, data.train, types.keeps, config.data.mean, config.data.std))
    test = train._replace(**place(vars(data.test)))
    return Subject(run, config, model, layout, train, test, seeds, arrays)
