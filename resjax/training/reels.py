"""Splits that are read from disk to be looked at whole; and the account of what could not be read."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Array

from resjax.data.collection import Collection
from resjax.data.decode import CorruptError
from resjax.data.pipeline import FINE, InOrder, Pipeline
from resjax.data.stream import Scale
from resjax.data.views import Views
from resjax.errors import CorruptedError
from resjax.rows import Corrupted, named
from resjax.training import hosts
from resjax.training.parallel import Layout


class Ledger:
    """The images of a split that could not be read, by their numbers; too many of them end the run."""

    def __init__(self, name: str, collection: Collection, views: Views, share: float) -> None:
        self.name, self.collection, self.views, self.share = name, collection, views, share
        self.known: set[int] = set()
        self.told: list[int] = []
        self.rowed = 0  # that a row of this process has named

    def note(self, numbers: np.ndarray) -> None:
        """What a batch of this process says."""
        self.known |= {int(number) for number in numbers if number != FINE}

    def agree(self) -> None:
        """Know what every process knows; all of them call this at the same point.

        Raises CorruptedError, in all of them, where it is more than the share.
        """
        self.known = hosts.union(self.known)
        bad, most = len(self.known), self.share * len(self.collection)
        if bad > most:
            told = named(sorted(self.known), self.reason)
            raise CorruptedError(
                f"{bad} of {len(self.collection):,} {self.name} images cannot be read: {told}.\n"
                f"Expected at most data.corrupt_share={self.share:g} of them, {int(most)}.\n"
                f"Type: data.corrupt_share={wider(bad / len(self.collection)):g}, to go on without them; or mend them"
            )

    def reason(self, number: int) -> str:
        """An image by name, with why it cannot be read."""
        why = "as training sees it"
        try:
            self.views.test(self.collection[number].image)
        except (CorruptError, OSError) as error:
            why = str(error)
        return f"{self.collection.name(number)} ({why})"

    def restore(self, numbers: Iterable[int]) -> None:
        """What was known when the run was saved was told then; a row of this process names it once more."""
        self.known |= set(numbers)
        self.told = sorted(numbers)

    @property
    def has_news(self) -> bool:
        """Whether more are known than a row of this process has named."""
        return len(self.known) > self.rowed

    def row(self) -> Corrupted:
        """All so far, by name: first those that were told before."""
        known = len(self.told)
        self.told += sorted(self.known - set(self.told))
        self.rowed = len(self.told)
        names = [self.collection.name(number) for number in self.told]
        return Corrupted(self.name, tuple(names), len(self.collection), known)


def wider(share: float) -> float:
    """At least twice the share, in one digit."""
    unit = 10.0 ** math.floor(math.log10(2 * share))
    return min(round(math.ceil(2 * share / unit - 1e-9) * unit, 12), 1.0)


class Part(NamedTuple):
    """A batch, cut over the devices: squares of `test_side` pixels, of which a net sees crops.

    inside: false for what could not be read, and for what only fills the last batch up.
    """

    images: Array
    labels: Array
    inside: Array


@dataclass(frozen=True)
class Reel:
    """A split to be looked at whole, in order."""

    collection: Collection
    views: Views
    scale: Scale
    ledger: Ledger
    layout: Layout

    def parts(self, most: int) -> Iterator[tuple[Part, int]]:
        """Batches of at most `most` examples, or a few more that the devices divide, and how many are inside.

        Threads read them: to start processes would take seconds at every test.
        """
        size = most if len(self.collection) > most else len(self.collection)
        size = -(-size // len(self.layout.devices)) * len(self.layout.devices)
        elements = InOrder(self.collection, self.views, size, self.layout.host_part(size))
        whole = replace(self.layout, strategy="jit")
        for host in Pipeline(elements, workers=0):
            self.ledger.note(host["corrupt"])
            images, labels, inside = (whole.feed(host[name][None])[0] for name in ("image", "label", "inside"))
            yield Part(images, labels, inside), hosts.total(int(host["inside"].sum()))
