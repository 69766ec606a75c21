"""A sweep's run in a process of its own: `python -m resjax.sweep.worker LAUNCH INDEX`, started by the conductor.

It talks to it in lines of JSON; it stops, saved, when it is asked to or when the conductor is gone.
"""

import argparse
import faulthandler
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from resjax import job, records, starting
from resjax.config import Config
from resjax.errors import BAD_INPUT, InputError
from resjax.facts import code, folder_of
from resjax.records.launches import from_plain
from resjax.redaction import redacted
from resjax.shortcuts import SHORTCUTS
from resjax.stopping import listening
from resjax.tracking import Tracking

EXITS = {job.DONE: 0, job.SKIPPED: 0, job.FAILED: 1, job.BUSY: 1}
TELL_EVERY_S = 0.2


class Relay:
    """What a run tells, on its way to the process that shows it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.told = descriptor, 0.0

    def send(self, **message: Any) -> None:
        """A message; if nobody is there to read it, the run is about to be stopped anyway."""
        with suppress(OSError):
            os.write(self.descriptor, (json.dumps(message, allow_nan=False) + "\n").encode())

    def say(self, text: str) -> None:
        """A line of its own."""
        self.send(say=redacted(text))

    def start(self, name: str, steps: int, seeds: int) -> None:
        """The conductor knows."""

    def advance(self, step: int, loss: float) -> None:
        """So many steps are done; told a few times a second."""
        if time.monotonic() - self.told > TELL_EVERY_S:
            self.told = time.monotonic()
            self.send(step=step, loss=repr(loss))

    def skip(self, name: str, why: str) -> None:
        """It was made meanwhile."""
        self.send(how=f"{why}, skipped")

    def finish(self, how: str) -> None:
        """How it ended."""
        self.send(how=redacted(how))


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one run of a launch; the exit code is 0 done, 1 failed, 2 bad input, 130 or 143 stopped."""
    faulthandler.enable()
    parser = argparse.ArgumentParser()
    parser.add_argument("launch", type=Path)
    parser.add_argument("index", type=int)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--lock", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args(arguments)
    for descriptor in (options.messages, options.lock):
        os.set_inheritable(descriptor, False)
    relay, tracking = Relay(options.messages), Tracking(options.offline)
    try:
        with listening() as listener:
            listener.others.append(lambda: os.getppid() != options.parent)
            launch = records.thaw(options.launch)
            launch.require(code())
            config = launch.job(options.index)
            known(config)
            planned_folder(config, launch.folders[options.index])
            status = job.run(config, relay, tracking, listener.asked, options.lock)
            return EXITS.get(status, listener.exit_code)
    except InputError as error:
        relay.send(refused=redacted(str(error)))
        return BAD_INPUT
    finally:
        relay.send(offline=tracking.unreachable)


def known(config: Config) -> None:
    """InputError where the shortcut is one that only the process has which planned the run."""
    name = config.model.shortcut
    if name not in SHORTCUTS:
        raise InputError(
            f"model.shortcut={name}: this run's own process has no such shortcut.\n"
            f"Expected one of: {', '.join(SHORTCUTS)}; a row that was added at run time is not among them.\n"
            "Type: hydra/launcher=in_process, or put the row into resjax/shortcuts.py"
        )


def planned_folder(config: Config, folder: str) -> None:
    """InputError where the devices here make another run of it than was planned, and locked."""
    here = folder_of(config, starting.count_devices(config))
    if str(here) != folder:
        raise InputError(
            f"with the devices of this process it is another run, {here.name}.\nExpected {Path(folder).name}.\n"
            "Type: parallel.devices=N, as many as each run gets, or model.norm_scope=ghost"
        )


def count_devices() -> int:
    """Print how many devices the run whose settings come on standard input would get here."""
    config: Config = from_plain(json.loads(sys.stdin.read()))
    print(starting.count_devices(config))
    return 0


if __name__ == "__main__":
    sys.exit(count_devices() if sys.argv[1:] == ["--count-devices"] else main())
