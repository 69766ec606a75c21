"""A worker's side of the talk: a JSON object a line comes in on stdin, one goes out on stdout.

Standard library only, so that every interpreter can import it, the one with PyTorch too.
"""

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Reply = dict[str, Any]
RESET_PEAK = "5"  # what Linux wants written to clear_refs


@dataclass(frozen=True)
class Job:
    """What to train.

    settings: resjax's own, by dotted name (ours alone). test_examples: those of the test set, which only ours looks
    at. compile: torch.compile (PyTorch alone).
    """

    depth: int = 20
    shortcut: str = "identity"
    batch: int = 128
    examples: int = 50_000
    test_examples: int = 512
    augment: bool = False
    precision: str = "float32"
    compile: bool = False
    seeds: int = 1
    settings: dict[str, Any] = field(default_factory=dict)


class Contestant(Protocol):
    """What every implementation can be asked."""

    def about(self) -> Reply:
        """Versions; platform (cpu or gpu); kind and count of devices."""

    def prepare(self, job: Job) -> Reply:
        """Build and compile `job`; compile_s, the seconds from data in memory to ready, and the parameters."""

    def steps(self, count: int) -> Reply:
        """Train at least `count` steps; how many, the seconds until the last is done, and its loss."""

    def peaks(self, repeats: int) -> Reply:
        """Lists of measured FLOP/s of a matrix product and bytes/s of x <- s x + y, in float32."""

    def memory(self) -> int | None:
        """Peak bytes on the device, None where it is the host."""

    def more(self) -> dict[str, Callable[[], Reply]]:
        """What this one alone can be asked."""


def serve(contestant: Contestant) -> None:
    """Answer until stdin ends. An exception becomes {"error": text}, and the worker goes on."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else is printed must not stand between answers
    handlers = handlers_of(contestant)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            reply = handlers[question.pop("do")](**question)
        except Exception:
            reply = {"error": traceback.format_exc()}
        print(json.dumps(reply), file=answers, flush=True)


def handlers_of(contestant: Contestant) -> dict[str, Callable[..., Reply]]:
    """The function behind each `do`."""
    return {
        "about": contestant.about,
        "prepare": lambda **job: contestant.prepare(Job(**job)),
        "steps": contestant.steps,
        "peaks": contestant.peaks,
        "memory": lambda: memory(contestant),
        **contestant.more(),
    }


def memory(contestant: Contestant) -> Reply:
    """The peak since the last time it was asked, where the system can forget a peak, else since the start.

    host: bytes of resident memory of the process; device: bytes there, None where the device is the host.
    """
    kilobyte = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte
    return {"host": peak, "device": contestant.memory(), "forgot": forget_peak()}


def forget_peak() -> bool:
    """Let the peak of resident memory be what is resident now (Linux); whether that worked."""
    try:
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True
