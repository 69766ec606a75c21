"""What training takes its batches from: data that lie on the devices, or images that are read meanwhile."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array

from resjax.config import Config
from resjax.data.source import Source
from resjax.data.stream import Arrays, Orders, epoch_orders, no_orders, standardize, to_arrays
from resjax.errors import InputError
from resjax.legal import check_probe_batch
from resjax.rows import Corrupted
from resjax.training import hosts
from resjax.training.chunk import Chunk, first_orders, make_chunk
from resjax.training.parallel import Layout
from resjax.training.precision import precision
from resjax.training.state import Keys
from resjax.training.step import Draw, Step, training_batch


class Supply(Protocol):
    """The batches of a run. draw: makes one of what `take` gives; fed: whether that is cut along the batch."""

    @property
    def evaluated(self) -> Mapping[str, Any]:
        """What no training sees, by name."""

    examples: int
    most: int
    fed: bool
    data: Any
    draw: Draw

    def chunk(self, step: Step) -> Chunk:
        """The program's function, for up to `most` steps."""

    def take(self, step: int) -> Any:
        """What the steps from `step` on need."""

    def give(self, left: Any) -> None:
        """What they left behind."""

    def fetch(self) -> None:
        """Have the next ready, while the devices compute."""

    def batches(self, keys: Keys, seed: int, steps: range) -> Iterator[tuple[Array, Array]]:
        """Images and labels of these steps of a seed, cut over the devices."""

    def probe_batch(self, size: int) -> tuple[Array, Array]:
        """The probe batch: the same `size` training examples for every seed and arm, drawn once from a fixed key."""

    def split(self, name: str) -> Any:
        """What evaluation takes: test, validation, or train."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, plain JSON."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with what a checkpoint kept."""

    def news(self) -> list[Corrupted]:
        """Images that turned out to be unreadable since the last call."""

    def close(self) -> None:
        """End the processes that read."""


class Resident:
    """A set that every device has whole: batches are drawn inside the program."""

    fed = False
    draw: Draw = staticmethod(training_batch)

    def __init__(self, config: Config, source: Source, layout: Layout) -> None:
        keeps, place = precision(config).keeps, partial(hosts.place, sharding=layout.replicated())
        self.config, self.layout, self.most = config, layout, config.parallel.chunk
        self.data: Arrays = place(to_arrays(source.train, source.train, keeps, config.data.mean, config.data.std))
        self.evaluated = {name: self.data._replace(**place(vars(split))) for name, split in source.evaluated.items()}
        self.examples = source.examples
        self.orders: Orders = place(first_orders(config, source.examples))

    def chunk(self, step: Step) -> Chunk:
        """As Supply says."""
        return make_chunk(self.config, step)

    def take(self, step: int) -> Orders:
        """The orders of the epochs that were drawn before."""
        return self.orders

    def give(self, left: Orders) -> None:
        """The orders of the epochs that are drawn now."""
        self.orders = left

    def fetch(self) -> None:
        """There is nothing to fetch."""

    def batches(self, keys: Keys, seed: int, steps: range) -> Iterator[tuple[Array, Array]]:
        """As Supply says; `keys` are the seed's."""
        for step in steps:
            yield self.batch_of(keys, jnp.asarray(step), self.data)

    @cached_property
    def batch_of(self) -> Any:
        """The function (keys, step, data) -> images and labels of one step and seed, compiled once."""
        whole = replace(self.layout, strategy="jit")

        def batch_of(keys: Keys, step: Array, data: Arrays) -> tuple[Array, Array]:
            batch = self.config.train.batch_size
            orders = epoch_orders(keys.order, no_orders(1, len(data.labels), batch), step, 1, batch)
            return training_batch(self.config, whole, keys, orders, step, data)

        return jax.jit(batch_of)

    def probe_batch(self, size: int) -> tuple[Array, Array]:
        """As Supply says."""
        places = probed(self.examples, size)
        batch = standardize(self.data, self.data.images[places]), self.data.labels[places]
        return hosts.at_home(batch, self.layout.home)  # type: ignore[no-any-return]

    def split(self, name: str) -> Arrays:
        """As Supply says."""
        return self.data if name == "train" else self.evaluated[name]

    def state(self) -> dict[str, Any]:
        """Nothing: the place in the data is a function of the step."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing."""

    def news(self) -> list[Corrupted]:
        """None: all was read at once."""
        return []

    def close(self) -> None:
        """Nothing is open."""


def probed(examples: int, size: int) -> Array:
    """The places of the probe batch."""
    return jax.random.permutation(jax.random.key(0), examples)[:size]


def require_examples(config: Config, there_are: int, group: int) -> None:
    """Raises InputError where less than a batch is not held out, or the probe batch is larger than the data set, or
    cuts a group of batch statistics.
    """
    batch, held_out = config.train.batch_size, config.data.validation_examples
    if held_out is not None and there_are < batch:
        raise InputError(
            f"data.validation_examples={held_out} leaves {there_are} to train on, less than train.batch_size={batch}.\n"
            f"Type: data.validation_examples={max(held_out + there_are - batch, 0) or 'null'}"
        )
    if config.model.norm == "batch":
        check_probe_batch(config, group)
    if config.probes.batch_size > there_are:
        raise InputError(
            f"probes.batch_size={config.probes.batch_size} is more than the {there_are} training examples.\n"
            f"Type: probes.batch_size={there_are}"
        )


def supply_of(config: Config, source: Any, layout: Layout) -> Supply:
    """The supply that a set needs."""
    if isinstance(source, Source):
        return Resident(config, source, layout)
    from resjax.training.streaming import Streaming  # decoders, which only this needs

    return Streaming(config, source, layout)
