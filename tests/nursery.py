"""Real processes that train, and can be killed, without the seconds in which each would import JAX.

One process imports everything and forks; what it forks has a process id, signals and an exit code of its own.
"""

import gc
import importlib
import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from resjax.cli import main

SAID = "said.txt"
NEEDED = (
    "resjax.cli.train",
    "resjax.resuming",
    "resjax.sweep.sweeping",
    "resjax.training.checkpoints",
    "resjax.training.loop",
    "grain",
)


def load() -> None:
    """Import what a run needs; JAX's backend does not start of it, or nothing could be forked."""
    for name in NEEDED:
        importlib.import_module(name)


def born(folder: Path, words: list[str], **environment: str) -> ForkServerProcess:
    """`resjax train WORDS` in `folder`, begun; what it prints goes to said.txt there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nursery_loaded"])
    process = context.Process(target=live, args=(folder, words, environment))
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11's forkserver does not take over sys.path
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        process.start()
    return process


def live(folder: Path, words: list[str], environment: dict[str, str]) -> None:
    """What the process does."""
    os.setsid()
    gc.set_threshold(200_000, 20, 1000)  # as in conftest.py
    os.environ.pop("PYTHONPATH", None)
    os.environ.update(environment)
    if "RESJAX_TEST_CORES" in environment:
        os.sched_setaffinity(0, map(int, environment["RESJAX_TEST_CORES"].split(",")))
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    said = os.open(folder / SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    sys.argv = ["resjax"]
    sys.exit(main(["train", *words]))
