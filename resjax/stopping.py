"""Signals, or a time that is up, ask a run to stop: every loop polls. What was computed is saved before the end.

TERM, INT, USR1 and USR2 (a scheduler's before it takes the machine) set the flag; a second INT ends at once.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
INTERRUPTED, TERMINATED = 130, 143
TIME_UP = 75  # sysexits.h: try again
APART_S = 10  # by which the clocks of processes that make a run together may be apart
Poll = Callable[[], bool]


class StopError(Exception):
    """Raised by a loop that was asked to stop. code: the exit code of a process that ends with it."""

    def __init__(self, code: int = TERMINATED) -> None:
        super().__init__("asked to stop")
        self.code = code


def never() -> bool:
    """Nobody asks."""
    return False


class Listener:
    """The signals that came, and the time that is left. `asked` is the poll; `number` the first signal's, or None."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.interrupts = 0
        self.woken = threading.Event()
        self.at_once: list[Callable[[], None]] = []  # done before a second INT ends the process
        self.others: list[Poll] = []  # further reasons to stop, such as a parent that died
        self.end: float | None = None  # of the time, on time.monotonic's clock

    def asked(self) -> bool:
        """Whether to stop."""
        return self.number is not None or self.time_is_up or any(other() for other in self.others)

    @property
    def time_is_up(self) -> bool:
        """Whether it is; never where nobody set an end."""
        return self.time_left <= 0

    @property
    def time_left(self) -> float:
        """Seconds until then."""
        return math.inf if self.end is None else self.end - time.monotonic()

    def check(self) -> None:
        """Raises StopError if so."""
        if self.asked():
            raise StopError(self.exit_code)

    def wait(self, seconds: float) -> None:
        """Sleep, but not through a signal."""
        self.woken.wait(seconds)

    @property
    def exit_code(self) -> int:
        """130 after INT, 75 where the time is up and there was no signal, else 143."""
        if self.number is None and (self.time_is_up or self.time_left < APART_S):
            return TIME_UP
        return INTERRUPTED if self.number == signal.SIGINT else TERMINATED

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Python's handler, run by the main thread as soon as it can: the flag alone."""
        self.number = self.number or number
        self.woken.set()

    def hear(self, number: int) -> None:
        """Note a signal. Called in a thread of its own, so that a long call into C++ delays nothing."""
        if number not in SIGNALS:
            return
        self.note(number)
        self.interrupts += number == signal.SIGINT
        if self.interrupts > 1:
            for action in self.at_once:
                with suppress(Exception):
                    action()
            os._exit(INTERRUPTED)


@contextmanager
def listening() -> Iterator[Listener]:
    """Listen to the signals while the block runs; only the main thread can, elsewhere nothing is heard."""
    listener = Listener()
    if threading.current_thread() is not threading.main_thread():
        yield listener
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def listen() -> None:
        while numbers := os.read(reader, 16):
            for number in numbers:
                listener.hear(number)

    thread = threading.Thread(target=listen, name="signals", daemon=True)
    thread.start()
    # Python writes a signal's number to the descriptor as soon as it comes, whatever the main thread is doing.
    former = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, listener.note) for number in SIGNALS}
    try:
        yield listener
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(former)
        os.close(writer)
        thread.join()
        os.close(reader)
