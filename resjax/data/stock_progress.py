"""What tensorflow-datasets would show as progress bars: a line now and then. At every example signals are heard."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

EVERY_S = 30.0  # between two lines about the same
WORDS = {  # tensorflow-datasets' own, in ours
    "Generating": "generating",
    "Shuffling": "writing",
    "Dl Size": "downloaded",
    "Dl Completed": "downloaded",
    "Extraction completed": "extracted",
}


class Bars:
    """Stand in for the bars of one prepare. check: called at every example, it raises where a stop is asked for."""

    def __init__(self, name: str, say: Callable[[str], None], check: Callable[[], None], every: float = EVERY_S):
        self.name, self.say, self.check, self.every = name, say, check, every
        self.said_at = time.monotonic()

    def due(self) -> bool:
        """Whether the last line is long enough ago; then the next one is as long off."""
        now = time.monotonic()
        if now - self.said_at < self.every:
            return False
        self.said_at = now
        return True

    def over(self, items: Iterable[Any], desc: str = "", total: int | None = None, **_: Any) -> Iterator[Any]:
        """The items; every so often it says how many have come. `desc` is tensorflow-datasets' own."""
        kind, what = desc.partition("...")[0].partition(" ")[::2]
        told = f"{self.name}: {WORDS.get(kind, kind)} {what.rpartition('/')[2].partition('-[')[0]}"
        is_told = kind == "Shuffling" or what.endswith("examples")  # else of splits, and of one is said enough
        if is_told:
            self.say(told)
        for count, item in enumerate(items):
            self.check()
            if is_told and self.due():
                self.say(f"{told}: {count:,}{f' of {total:,}' if total else ''}")
            yield item
        self.check()

    @contextmanager
    def counted(self, desc: str = "", unit: str = "", **_: Any) -> Iterator["Bar"]:
        """A bar that threads push on: of downloads, and of files extracted."""
        yield Bar(self, desc.partition("...")[0], unit)


class Bar:
    """How much has come, of how much."""

    def __init__(self, bars: Bars, what: str, unit: str):
        self.bars, self.what, self.unit = bars, what, unit
        self.done, self.total, self.lock = 0, 0, threading.Lock()

    def update_total(self, more: int = 1) -> None:
        """More is to come than was known."""
        self.total += more

    def update(self, more: int = 1) -> None:
        """So much has come."""
        self.bars.check()
        with self.lock:
            self.done += more
            if self.bars.due():
                self.bars.say(
                    f"{self.bars.name}: {WORDS.get(self.what, self.what)} {self.done:,} of {self.total:,}{self.unit}"
                )


@contextmanager
def instead_of_bars(bars: Bars) -> Iterator[None]:
    """Have tensorflow-datasets use them while the block runs."""
    from tensorflow_datasets.core import utils

    kept: Any = utils.tqdm, utils.async_tqdm
    utils.tqdm, utils.async_tqdm = bars.over, bars.counted
    try:
        yield
    finally:
        utils.tqdm, utils.async_tqdm = kept
