"""Named points at which the tests break a process, so that what survives is known and not hoped.

Without the variable a point does nothing. RESJAX_FAULT="metrics.written#3=kill@depth5": at the third pass of that
point, in a run whose folder's name holds "depth5" (without @: in any), the process is killed.
"""

import os
import signal
import time
from collections import Counter
from typing import NoReturn

VARIABLE = "RESJAX_FAULT"
passes: Counter[str] = Counter()
run = ""  # the name of the run that this process makes


def begin(name: str) -> None:
    """From here on the process makes the run of this name."""
    global run
    run = name


def point(name: str) -> None:
    """Break here if the tests ask for it."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        return
    passes[name] += 1
    for fault in asked.split(";"):
        place, _, action = fault.partition("=")
        where, _, number = place.partition("#")
        action, _, within = action.partition("@")
        if where == name and int(number or 1) == passes[name] and within in run:
            ACTIONS[action]()


def kill() -> None:
    """As by `kill -9`, or by the kernel for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def terminate() -> None:
    """As by a scheduler that wants the machine back."""
    os.kill(os.getpid(), signal.SIGTERM)


def crash() -> None:
    """A segmentation fault."""
    os.kill(os.getpid(), signal.SIGSEGV)


def fail() -> NoReturn:
    """An exception of nobody's expectation."""
    raise RuntimeError("broken on purpose")


def leave() -> NoReturn:
    """A library that ends the process its own way."""
    raise SystemExit(3)


def vanish() -> NoReturn:
    """An end without a word."""
    os._exit(7)


def hunger() -> NoReturn:
    """Memory runs out."""
    raise MemoryError("no more memory")


def hang() -> None:
    """An endless loop that listens to nobody."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    while True:
        time.sleep(0.01)


ACTIONS = {
    "kill": kill,
    "terminate": terminate,
    "crash": crash,
    "fail": fail,
    "leave": leave,
    "vanish": vanish,
    "hunger": hunger,
    "hang": hang,
}
