"""Batches from disk while the device computes: grain's worker processes read and decode, in an order that is known.

Which example stands in which place of which batch is a function of (seed, step), and so is what is seen of it: the
number of workers decides nothing, and whoever goes on from a step needs nothing but its number.
"""

import gc
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from resjax.data.collection import Collection
from resjax.data.decode import CorruptError
from resjax.data.views import Views, draw
from resjax.data.workers import PER_WORKER, Start, cores, ended
from resjax.errors import CorruptedError

MOST_TRIES = 1000  # readable examples are looked for so far behind one that is not
ORDER = 2**63  # sets the epochs' keys apart from those of places in the stream
FINE = -1  # in place of the number of an example that cannot be read
SETTLE_SECONDS = 0.1  # grain frees shared memory in a thread; what it leaves at the end, Python warns of
MOST_THREADS = 16
Element = dict[str, Any]  # of arrays


class Elements(Protocol):
    """What grain asks for: examples by their place in the stream, those of a batch side by side."""

    @property
    def batch(self) -> int:
        """Examples of a batch."""

    @property
    def side(self) -> int:
        """Of an image, in pixels."""

    def __len__(self) -> int:
        """Examples in all batches."""

    def __getitem__(self, place: int) -> Element:
        """image, label, and `corrupt`: the number of the example that could not be read here, or FINE."""


@dataclass
class Training:
    """A host's part of the batches of steps `start` to `steps` - 1, seed by seed, of every seed's own stream.

    A seed's stream is one permutation of the examples after another; batches straddle epochs. places: this host's, of
    the `size` of a batch. An example that cannot be read is replaced by the next one on disk that can.
    """

    collection: Collection
    views: Views
    seeds: tuple[int, ...]
    size: int
    places: range
    steps: int
    start: int = 0
    kept: dict[tuple[int, int], np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    lock: Any = field(default_factory=threading.Lock, compare=False, repr=False)  # threads read beside each other

    @property
    def batch(self) -> int:
        """Examples of a step, of all seeds, on this host."""
        return len(self.seeds) * len(self.places)

    @property
    def side(self) -> int:
        """Of an image, in pixels."""
        return self.views.crop

    def __len__(self) -> int:
        return (self.steps - self.start) * self.batch

    def __getitem__(self, place: int) -> Element:
        step, rest = divmod(place, self.batch)
        seed, inside = divmod(rest, len(self.places))
        position = (self.start + step) * self.size + self.places[inside]
        return self.example(self.seeds[seed], position)

    def example(self, seed: int, position: int) -> Element:
        """What stands at a position of a seed's stream; color: what is to be added to its pixels."""
        return self.readable(self.index(seed, position), draw(seed, position))

    def readable(self, first: int, words: np.ndarray) -> Element:
        """The example `first`, or the next on disk that can be read, as these words have it seen."""
        for tried in range(min(MOST_TRIES, len(self.collection))):
            index = (first + tried) % len(self.collection)
            try:
                encoded = self.collection[index]
                pixels, color = self.views.training(encoded.image, words)
            except CorruptError:
                continue
            corrupt = np.int64(first if tried else FINE)
            return {"image": pixels, "color": color, "label": np.int32(encoded.label), "corrupt": corrupt}
        tries = min(MOST_TRIES, len(self.collection))
        raise CorruptedError(
            f"none of {tries} examples from {self.collection.name(first)} on can be read.\nExpected image files.\n"
            "Type: resjax data check NAME --stock --all, or of a folder resjax data check FOLDER --all, to see which"
        )

    def index(self, seed: int, position: int) -> int:
        """Which example that is."""
        epoch, place = divmod(position, len(self.collection))
        with self.lock:
            if (order := self.kept.get((seed, epoch))) is None:
                order = permutation(seed, epoch, len(self.collection))
                recent = {key: known for key, known in self.kept.items() if key[1] >= epoch - 1}
                self.kept = recent | {(seed, epoch): order}
        return int(order[place])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("kept", "lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"kept": {}, "lock": threading.Lock()}


@dataclass
class InOrder:
    """A host's part of the batches of all examples, in order. inside: false for what only fills the last one up, and
    for what cannot be read.
    """

    collection: Collection
    views: Views
    size: int
    places: range

    @property
    def batch(self) -> int:
        """Examples of a batch on this host."""
        return len(self.places)

    @property
    def side(self) -> int:
        """Of an image, in pixels."""
        return self.views.test_side

    def __len__(self) -> int:
        return -(-len(self.collection) // self.size) * self.batch

    def __getitem__(self, place: int) -> Element:
        number, inside = divmod(place, self.batch)
        index = number * self.size + self.places[inside]
        empty = {
            "image": np.zeros((self.side, self.side, 3), np.uint8),
            "label": np.int32(0),
            "inside": np.bool_(False),
        }
        if index >= len(self.collection):
            return empty | {"corrupt": np.int64(FINE)}
        try:
            encoded = self.collection[index]
            pixels = self.views.test(encoded.image)
        except CorruptError:
            return empty | {"corrupt": np.int64(index)}
        label, corrupt = np.int32(encoded.label), np.int64(FINE)
        return {"image": pixels, "label": label, "inside": np.bool_(True), "corrupt": corrupt}


def permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of a seed's epoch: where random numbers stand when they are sorted, so that all orders are alike.

    grain's own shuffle needs no memory, but neighbours in it are correlated (0.02, at 1.3 million). This takes 0.2 s an
    epoch there. The numbers are Philox's raw ones, which NumPy promises not to change.
    """
    drawn = np.random.Philox(key=np.array([seed, ORDER + epoch], np.uint64)).random_raw(count)
    return np.argsort(drawn, kind="stable").astype(np.int32 if count < 2**31 else np.int64)


def batch_bytes(elements: Elements) -> int:
    """Of a batch's images on this host."""
    return elements.batch * elements.side**2 * 3


@dataclass(frozen=True)
class Pipeline:
    """Batches of elements, made by so many worker processes, or, where there are none, by threads of this one.

    Threads begin at once, and decode beside each other; what Python does for an example they do in turn.
    """

    elements: Elements
    workers: int

    @cached_property
    def dataset(self) -> Any:
        """grain's IterDataset."""
        import grain  # takes half a second, and only what is read from disk needs it
        from absl import flags

        examples, size = grain.MapDataset.source(self.elements), self.elements.batch
        if not self.workers:
            ahead = grain.ReadOptions(num_threads=min(cores(), MOST_THREADS), prefetch_buffer_size=PER_WORKER * size)
            return examples.to_iter_dataset(ahead).batch(size)
        if not flags.FLAGS.is_parsed():  # grain reads absl's flags, and no command of ours has any
            flags.FLAGS.mark_as_parsed()
        batches = examples.batch(size).to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
        options = grain.multiprocessing.MultiprocessingOptions(self.workers, per_worker_buffer_size=PER_WORKER)
        return batches.mp_prefetch(options, worker_init_fn=Start(os.getpid()))

    def __iter__(self) -> Iterator[Element]:
        iterator, batch = iter(self.dataset), None
        try:
            for batch in iterator:
                # A copy: what lies in memory that is shared with a worker must not outlive it.
                yield {name: np.array(array) for name, array in batch.items()}
        except RuntimeError as error:
            if (told := ended(error)) is not None:
                raise told from error
            raise
        finally:
            iterator.close()
            del iterator, batch
            if self.workers:
                gc.collect()  # the last batch stands in a traceback
                time.sleep(SETTLE_SECONDS)
