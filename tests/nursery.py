"""Real processes that train, and can be killed, without the seconds in which each would import JAX.

One process imports everything and forks; what it forks has a process id, signals and an exit code of its own.
"""

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from resjax.cli import main

SAID = "said.txt"


def born(folder: Path, words: list[str], **environment: str) -> ForkServerProcess:
    """`resjax train WORDS` in `folder`, begun; what it prints goes to said.txt there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nursery"])
    process = context.Process(target=live, args=(folder, words, environment))
    process.start()
    return process


def live(folder: Path, words: list[str], environment: dict[str, str]) -> None:
    """What the process does."""
    os.setsid()
    os.environ.update(environment)
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    said = os.open(folder / SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    sys.argv = ["resjax"]
    sys.exit(main(["train", *words]))
