"""One run's process as its conductor sees it: what it says, how long it may take, how it ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resjax import records
from resjax.config import Config
from resjax.records import Launch
from resjax.redaction import redacted
from resjax.starting import FRACTION, OLD_FRACTION
from resjax.sweep.launcher import Launcher

LAST_LINES, LONGEST_LINE, MOST_READS = 200, 2**20, 16
WORKER = "resjax.sweep.worker"
SHARED = 0.9  # of a GPU's memory, what runs that share one take together
CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP")


@dataclass
class Job:
    """A run of a sweep. index: its place in the launch; before: its attempts when the sweep began."""

    index: int
    config: Config
    folder: Path
    own_id: str
    before: int

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.name


@dataclass(frozen=True)
class Death:
    """How a process ended that could not say so itself."""

    kind: str
    error: str
    facts: dict[str, Any] = field(default_factory=dict)


class Stream:
    """Lines from a descriptor, as they come."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.rest = descriptor, b""
        os.set_blocking(descriptor, False)

    def lines(self) -> list[str]:
        """The whole lines that are there."""
        with suppress(BlockingIOError):
            for _ in range(MOST_READS):  # somebody who prints without end must not keep us
                chunk = os.read(self.descriptor, 65536)
                self.rest += chunk
                if not chunk:
                    break
        *whole, self.rest = self.rest.split(b"\n")
        if len(self.rest) > LONGEST_LINE:
            whole, self.rest = [*whole, self.rest], b""
        return [line.decode(errors="replace") for line in whole]

    def close(self) -> list[str]:
        """What is left, and no more."""
        last = [*self.lines(), *([self.rest.decode(errors="replace")] if self.rest else [])]
        os.close(self.descriptor)
        return last


class Child:
    """A run's process. It holds the run's lock together with us: whoever lives last gives it up."""

    def __init__(
        self, job: Job, lock: int, launch: Launch, code: Path, launcher: Launcher, gpu: int | None, offline: bool
    ) -> None:
        self.job, self.lock, self.launcher, self.gpu = job, lock, launcher, gpu
        self.attempts = records.facts_if_readable(job.folder).get("attempt", 0)
        messages, messages_end = os.pipe()
        output, output_end = os.pipe()
        command = [sys.executable, "-P", "-m", WORKER, str(launch.path), str(job.index), "--parent", str(os.getpid())]
        command += ["--messages", str(messages_end), "--lock", str(lock), *(["--offline"] if offline else [])]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output_end,
            stderr=output_end,
            pass_fds=(messages_end, lock),
            start_new_session=True,  # a terminal's Ctrl-C comes to us, and we pass it on
            env=environment(code, launcher, gpu),
        )
        os.close(messages_end)
        os.close(output_end)
        self.messages, self.output = Stream(messages), Stream(output)
        self.tail: deque[str] = deque(maxlen=LAST_LINES)
        self.ends = time.monotonic() + launcher.timeout_min * 60 if launcher.timeout_min else None
        self.timed_out = False
        self.refused: str | None = None
        self.how: str | None = None

    def heard(self) -> list[dict[str, Any]]:
        """The messages that came; what was printed goes to the run's log."""
        self.keep(self.output.lines())
        return [json.loads(line) for line in self.messages.lines()]

    def keep(self, lines: list[str]) -> None:
        """Printed lines, into the log and the tail, without secrets."""
        lines = [redacted(line) for line in lines]
        self.tail.extend(lines)
        if lines:
            records.append_log(self.job.folder, "".join(f"{line}\n" for line in lines))

    def hurry(self) -> None:
        """Past its time it is asked to stop; past its grace it is ended."""
        if self.ends is None or time.monotonic() < self.ends:
            return
        self.signal(signal.SIGKILL if self.timed_out else signal.SIGTERM)
        self.timed_out = True
        self.ends = time.monotonic() + self.launcher.grace_s

    def signal(self, number: int) -> None:
        """Pass a signal on; SIGKILL to everything that it started, too."""
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def close(self) -> list[dict[str, Any]]:
        """The last messages. The lock stays."""
        self.process.wait()
        self.keep(self.output.close())
        return [json.loads(line) for line in self.messages.close() if line.endswith("}")]

    def death(self) -> Death:
        """In words, what its exit code says."""
        code = self.process.returncode
        if self.timed_out:
            minutes = f"{self.launcher.timeout_min:g} min"
            return Death("timeout", f"it took longer than hydra.launcher.timeout_min, {minutes}, and was ended")
        if self.refused is not None:
            return Death("refused", self.refused)
        if code >= 0:
            return Death("exit", f"its process ended with exit code {code} and without a word", {"exit_code": code})
        known = {number.value: number.name for number in signal.Signals}
        name = known.get(-code, f"signal {-code}")
        if name in CRASHES:
            return Death("crash", f"its process crashed ({name}): see the last lines in error.txt", {"signal": name})
        by_whom = "by somebody, or by the kernel for want of memory" if name == "SIGKILL" else "by somebody"
        return Death("killed", f"its process was killed ({name}), {by_whom}", {"signal": name})


def environment(code: Path, launcher: Launcher, gpu: int | None) -> dict[str, str]:
    """Ours, with the frozen code first, the GPU, and its part of the memory where others compute on it."""
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (str(code.resolve()), found.get("PYTHONPATH"))))
    if gpu is not None:
        found["CUDA_VISIBLE_DEVICES"] = str(gpu)
    sharing = launcher.gpus.count(gpu) if launcher.gpus and gpu is not None else launcher.slots
    if sharing > 1 and not {FRACTION, OLD_FRACTION} & found.keys():  # parallel.memory_fraction has the last word
        found[FRACTION] = f"{SHARED / sharing:.3f}"
    return found
