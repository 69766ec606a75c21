"""Batches of a set that every device has whole, drawn inside the program."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from resjax.config import Config
from resjax.data.resident import Source
from resjax.data.stream import Arrays, Orders, epoch_orders, no_orders, standardize, to_arrays
from resjax.rows import Corrupted
from resjax.training import hosts
from resjax.training.chunk import Chunk, first_orders, make_chunk
from resjax.training.parallel import Layout
from resjax.training.precision import precision
from resjax.training.state import Keys
from resjax.training.step import Draw, Step, training_batch
from resjax.training.supply import probed


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

    def like(self) -> Orders:
        """The orders of no epoch."""
        return self.orders

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
