"""The driver's side of the talk: start a worker, ask it, end it."""

import json
import math
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
PATIENCE = 30  # seconds to end after stdin is closed


class WorkerError(Exception):
    """What a worker answered instead of a result, or that it ended."""


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
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """The answer to one question. WorkerError where the worker failed."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: the next line says so
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"{' '.join(self.words)} ended with {self.process.wait()}; its own words are above")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"{' '.join(self.words)}, asked {do} {details}:\n{reply['error']}")
        return reply

    def train(self, count: int) -> tuple[int, float]:
        """At least so many steps: how many it were, and the seconds. WorkerError where the loss is not finite."""
        reply = self.ask("steps", count=count)
        if not math.isfinite(reply["loss"]):
            raise WorkerError(f"{' '.join(self.words)}: the loss is {reply['loss']}, so its speed says nothing")
        return reply["steps"], reply["seconds"]
