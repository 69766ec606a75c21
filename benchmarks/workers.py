"""The driver's side of the talk: start a worker, or several that work at once, ask them, end them."""

import json
import math
import os
import select
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Any, Protocol, Self

ROOT = Path(__file__).parents[1]
PATIENCE = 30  # seconds to end after stdin is closed


class WorkerError(Exception):
    """What a worker answered instead of a result, that it ended, or that it took too long."""


class Trainer(Protocol):
    """What can be measured in turns."""

    def train(self, count: int) -> tuple[float, float]:
        """At least so many steps: how many it were, and the seconds."""


class Worker:
    """A process that measures. Use as a context: it ends with it."""

    def __init__(self, words: Sequence[str], environment: dict[str, str]) -> None:
        self.words = list(words)
        self.process = subprocess.Popen(
            self.words,
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        assert self.process.stdin
        with suppress(BrokenPipeError):  # it has ended, with a question unread
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def ask(self, do: str, patience: float | None = None, **details: Any) -> dict[str, Any]:
        """The answer to one question. WorkerError where the worker failed, or took more seconds: then it is ended."""
        self.tell(do, **details)
        return self.answer(patience)

    def tell(self, do: str, **details: Any) -> None:
        """Put a question; `answer` waits for what it says."""
        assert self.process.stdin
        self.asked = f"{' '.join(self.words)}, asked {do} {details}"
        try:
            self.process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: what `answer` reads says so

    def answer(self, patience: float | None = None) -> dict[str, Any]:
        """The answer to the question put. WorkerError as in `ask`."""
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], patience)[0]:
            self.process.kill()
            raise WorkerError(f"{self.asked}: no answer after {patience:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"{' '.join(self.words)} ended with {self.process.wait()}; its own words are above")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"{self.asked}:\n{reply['error']}")
        return reply

    def train(self, count: int) -> tuple[int, float]:
        """At least so many steps: how many it were, and the seconds. WorkerError where the loss is not finite."""
        self.tell("steps", count=count)
        return self.trained()

    def trained(self) -> tuple[int, float]:
        """What `train` gives, once the worker was told."""
        reply = self.answer()
        if not math.isfinite(reply["loss"]):
            raise WorkerError(f"{' '.join(self.words)}: the loss is {reply['loss']}, so its speed says nothing")
        return reply["steps"], reply["seconds"]


class Team:
    """Workers that do the same at the same time, each with its own share. Use as a context."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        for worker in self.workers:
            self.stack.enter_context(worker)
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def kill(self) -> None:
        """End them now, whatever they are at."""
        for worker in self.workers:
            worker.process.kill()

    def prepare(self, job: dict[str, Any], patience: float) -> None:
        """Have each worker build `job`, all at once. WorkerError as in `Worker.ask`."""
        for worker in self.workers:
            worker.tell("prepare", **job)
        for worker in self.workers:
            worker.answer(patience)

    def train(self, count: int) -> tuple[float, float]:
        """Steps of one worker, in the mean, and the seconds from the word to the last one's end."""
        begun = time.perf_counter()
        for worker in self.workers:
            worker.tell("steps", count=count)
        steps = [worker.trained()[0] for worker in self.workers]
        return fmean(steps), time.perf_counter() - begun
