"""Batches that are read from disk while the devices compute."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from resjax.config import Config
from resjax.data import open_files, workers
from resjax.data.pipeline import Element, Pipeline, Training, batch_bytes
from resjax.data.stream import Fed, Scale, standardize, standardize_fed, to_scale
from resjax.data.streamed import Streamed
from resjax.errors import InputError
from resjax.rows import Corrupted
from resjax.training import hosts
from resjax.training.chunk import Chunk, make_fed_step
from resjax.training.parallel import Layout
from resjax.training.precision import precision
from resjax.training.reels import Ledger, Reel
from resjax.training.state import Keys
from resjax.training.step import Draw, Step, fed_batch
from resjax.training.supply import probed


class Streaming:
    """A set that the host reads, a step's batch of every seed at a time, one ahead of the devices."""

    fed = True
    most = 1
    draw: Draw = staticmethod(fed_batch)

    def __init__(self, config: Config, source: Streamed, layout: Layout) -> None:
        keeps = precision(config).keeps
        self.config, self.source, self.layout = config, source, layout
        open_files.raise_limit()
        self.examples = source.examples
        scale = to_scale(source.shape, source.mean, source.std, keeps)
        self.data: Scale = hosts.place(scale, layout.replicated())
        splits = {"train": source.train} | source.evaluated
        self.ledgers = {
            name: Ledger(name, split, source.views, config.data.corrupt_share) for name, split in splits.items()
        }
        self.evaluated = {name: self.split(name) for name in source.evaluated}
        self.opened: Iterator[Element] | None = None
        self.workers = self.readers()
        self.following = 0  # the step of the batch that is read next
        self.next: tuple[int, Fed] | None = None

    def readers(self) -> int:
        """The processes that read: as many as are wanted, or of the usual number those that there is room for.

        Raises InputError, in all processes that train together, where one of them has no room for what is wanted.
        """
        wanted, sharing = self.config.data.workers, hosts.beside()
        batch = batch_bytes(self.elements(self.seeds, 0))
        most = workers.fitting(batch, workers.room(sharing))
        if wanted is None:
            return min(workers.usual(), most)
        if hosts.any_of(wanted > most):
            raise workers.no_room(wanted, batch, sharing) if wanted > most else workers.no_room_elsewhere(wanted)
        return wanted

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that are trained."""
        return tuple(range(self.config.seed, self.config.seed + self.config.seeds))

    def chunk(self, step: Step) -> Chunk:
        """As Supply says."""
        return make_fed_step(self.config, step)

    def split(self, name: str) -> Reel:
        """As Supply says; of the training set the centre crops."""
        ledger = self.ledgers[name]
        return Reel(ledger.collection, self.source.views, self.data, ledger, self.layout)

    def like(self) -> Fed:
        """Zeros, laid out as a step's batch."""
        seeds, own = self.config.seeds, len(self.layout.host_part(self.config.train.batch_size))
        shapes = ((self.source.shape, np.uint8), ((3,), np.float32), ((), np.int32))
        return Fed(*(self.layout.feed(np.zeros((seeds, own, *shape), dtype)) for shape, dtype in shapes))

    def take(self, step: int) -> Fed:
        """The batch of `step`, that was fetched before, or is read now."""
        if self.next is None or self.next[0] != step:
            self.open(step)
            self.fetch()
        assert self.next is not None
        (_, found), self.next = self.next, None
        self.following = step + 1
        return found

    def give(self, left: Any) -> None:
        """Nothing is left."""

    def open(self, step: int) -> None:
        """Read from `step` on."""
        self.close()
        self.opened, self.following = iter(Pipeline(self.elements(self.seeds, step), self.workers)), step

    def elements(self, seeds: tuple[int, ...], start: int, steps: int | None = None) -> Training:
        """The training examples of these seeds' streams from a step on, as far as this host has to do with them."""
        batch = self.config.train.batch_size
        end = self.config.train.steps if steps is None else start + steps
        return Training(self.source.train, self.source.views, seeds, batch, self.layout.host_part(batch), end, start)

    def fetch(self) -> None:
        """The next batch onto the devices: it goes there while they compute."""
        if self.opened is None or self.next is not None or (host := next(self.opened, None)) is None:
            return
        self.ledgers["train"].note(host["corrupt"])
        self.next = self.following, Fed(*(self.layout.feed(array) for array in by_seed(host, self.config.seeds)))

    def batches(self, keys: Keys, seed: int, steps: range) -> Iterator[tuple[Array, Array]]:
        """As Supply says."""
        whole = replace(self.layout, strategy="jit")
        elements = self.elements((seed,), steps.start, len(steps))
        for host in Pipeline(elements, workers=0):
            self.ledgers["train"].note(host["corrupt"])
            fed = Fed(*(whole.feed(array)[0] for array in by_seed(host, 1)))
            yield self.standard(self.data, fed), fed.labels

    @cached_property
    def standard(self) -> Any:
        """The function (scale, a batch) -> images."""
        return jax.jit(lambda scale, fed: standardize_fed(scale, fed.images, fed.color))

    def probe_batch(self, size: int) -> tuple[Array, Array]:
        """As Supply says: centre crops, whatever the training sees."""
        quiet = replace(self.source.views, augment=False)
        elements = Training(self.source.train, quiet, (0,), size, range(size), 1)
        found = [elements.readable(int(place), np.zeros(0, np.uint64)) for place in probed(self.examples, size)]
        self.ledgers["train"].note(np.array([one["corrupt"] for one in found]))
        images, labels = (np.stack([one[name] for one in found]) for name in ("image", "label"))
        at_home = partial(hosts.at_home, device=self.layout.home)
        return standardize(at_home(self.data), at_home(images)), at_home(labels)

    def state(self) -> dict[str, Any]:
        """The unreadable images so far, of all processes. The place in the data is a function of the step."""
        return {
            "examples": self.examples,
            "corrupted": {name: sorted(hosts.union(ledger.known)) for name, ledger in self.ledgers.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """As Supply says. InputError where the set has another number of examples."""
        if (before := state.get("examples", self.examples)) != self.examples:
            raise InputError(
                f"the checkpoint is of {before} training examples, and there are {self.examples}.\n"
                "Expected the same set.\nType: rerun=all to begin anew"
            )
        for name, numbers in state.get("corrupted", {}).items():
            self.ledgers[name].restore(numbers)

    def news(self) -> list[Corrupted]:
        """As Supply says: a row a split that has new ones, or was restored, with all so far, of all processes."""
        if not hosts.any_of(any(ledger.has_news for ledger in self.ledgers.values())):
            return []
        for ledger in self.ledgers.values():
            ledger.agree()
        return [ledger.row() for ledger in self.ledgers.values() if ledger.has_news]

    def close(self) -> None:
        """As Supply says."""
        if self.opened is not None:
            self.opened.close()  # type: ignore[attr-defined]
        self.opened = self.next = None


def by_seed(host: Element, seeds: int) -> list[np.ndarray]:
    """Images, colours and labels of a batch, (seed, its examples, ...)."""
    return [host[name].reshape(seeds, -1, *host[name].shape[1:]) for name in ("image", "color", "label")]
