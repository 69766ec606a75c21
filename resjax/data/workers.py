"""The processes that read and decode: how many, what they do first, the memory they share, and how one ends."""

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from resjax.data import open_files
from resjax.errors import InputError, ReaderError

LOOK_SECONDS = 1.0
PER_WORKER = 2  # batches that a worker has ready
HELD_PER_WORKER = 7  # batches in shared memory, of one that is not waited for (grain 0.2.18, measured: 6.4 to 7.1)
SHARED = Path("/dev/shm")
SPAWNED_TOO_EARLY = 1  # how a worker ends then


@dataclass(frozen=True)
class Start:
    """What a worker does first: it leaves signals to its parent, and ends when that one is gone."""

    parent: int

    def __call__(self, number: int, count: int) -> None:
        """In worker `number` of `count`."""
        for ignored in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_IGN)
        open_files.raise_limit()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        """End with the parent: one that was killed cannot say so."""
        while os.getppid() == self.parent:
            time.sleep(LOOK_SECONDS)
        os._exit(1)


def usual() -> int:
    """The processes that read and decode where nobody says how many: one a core but one, if there is room."""
    return max(cores() - 1, 1)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def room(sharing: int = 1) -> int:
    """Bytes that the workers of one of so many processes on this machine may share with it.

    A container has 64 MB in all unless more is asked for, and who writes more is killed.
    """
    if not SHARED.is_dir():
        return sys.maxsize  # a system without such a limit
    found = os.statvfs(SHARED)
    return found.f_bavail * found.f_frsize // sharing


def fitting(batch: int, there_is: int) -> int:
    """The most workers whose batches, of so many bytes, have room."""
    return there_is // (HELD_PER_WORKER * batch)


def held(workers: int) -> int:
    """Batches that are ready, or being made, at once: those of workers, or of threads."""
    return HELD_PER_WORKER * workers or PER_WORKER


def no_room(workers: int, batch: int, sharing: int = 1) -> InputError:
    """The refusal of more workers than are fitting, in each of so many processes."""
    wanted, there_is = held(workers) * batch, room(sharing)
    return InputError(
        f"data.workers={workers} may hold {size(wanted)} of batches in {SHARED}, which has room for "
        f"{size(there_is)}{f' for each of {sharing} processes' if sharing > 1 else ''}.\n"
        f"Expected {HELD_PER_WORKER} batches a worker.\n"
        f"Type: data.workers={fitting(batch, there_is)} (0: threads, which need none), or, in a container, "
        f"docker run --shm-size={-(-wanted * sharing // 2**20)}m"
    )


def no_room_elsewhere(workers: int) -> InputError:
    """The same, of another process that trains with this one."""
    return InputError(
        f"data.workers={workers} has no room for its batches in {SHARED} of another host, which says how much.\n"
        "Expected room on all of them.\nType: data.workers=0, which reads by threads"
    )


def size(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def ended(error: RuntimeError) -> ReaderError | None:
    """What to say where grain says that a worker ended; None where it says something else."""
    said, _, code = str(error).partition("exit code ")
    if "terminated unexpectedly" not in said:
        return None
    code = code.split(".")[0]
    if code == str(SPAWNED_TOO_EARLY):
        why = (
            "Its own trace stands above. As a rule: in a script of your own, what trains must stand below "
            "if __name__ == '__main__':"
        )
    else:
        why = "-9: the system killed it, for memory as a rule; -7: /dev/shm was full."
    return ReaderError(
        f"a process that reads images ended with code {code}.\n{why}\nType: data.workers=0, which reads by threads, or "
        "fewer workers; the same command goes on from the last checkpoint"
    )
