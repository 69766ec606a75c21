"""Whether the machine was left alone while it was measured (Linux)."""

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
USER, NICE, SYSTEM, STEAL = 0, 1, 2, 7  # columns of its first line, in ticks
MUCH = 0.1  # cores


@dataclass(frozen=True)
class Mark:
    """A moment: seconds of the clock, of cores at work, of cores that the host gave to others, of our own processes."""

    clock: float
    busy: float
    stolen: float
    own: float


def mark() -> Mark | None:
    """Now, or None where the system does not tell. Own processes count when they have ended."""
    try:
        ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in STAT.read_text().split("\n")[0].split()[1:]]
    except OSError:
        return None
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    own = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return Mark(time.perf_counter(), ticks[USER] + ticks[NICE] + ticks[SYSTEM], ticks[STEAL], own)


def taken_by_others(before: Mark | None, after: Mark | None) -> float | None:
    """Cores, on average, that were at work for other processes or for another guest of the host."""
    if before is None or after is None:
        return None
    others = (after.busy - before.busy) - (after.own - before.own) + (after.stolen - before.stolen)
    return max(round(others / (after.clock - before.clock), 3), 0.0)


def complaint(cores: float | None) -> str | None:
    """What to say where it was too much."""
    if cores is None or cores <= MUCH:
        return None
    return f"  WARNING: others used {cores:.2f} cores meanwhile. PyTorch suffers most from that: measure again."
