"""A run that several processes make: the first one decides and records, the others follow it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from resjax import records
from resjax.config import Config
from resjax.starting import start_jax
from resjax.stopping import Poll

NOT_MADE = -1
Lead = Callable[[int], None]


def is_first(config: Config) -> bool:
    """Whether this process records. It has met the others then."""
    from resjax.training import hosts

    start_jax(config)
    return hosts.is_first()


@contextmanager
def leading(config: Config) -> Iterator[Lead]:
    """The function that tells the others from which step to go on.

    Where the block never got so far, they are told that nothing is made.
    """
    told: list[int] = []

    def lead(step: int) -> None:
        if config.parallel.processes > 1:
            from resjax.training import hosts

            told.append(hosts.decided(step))

    try:
        yield lead
    finally:
        if not told:
            lead(NOT_MADE)


def follow(config: Config, folder: Path, stop: Poll) -> str:
    """Compute what the first process computes, from the checkpoint that it chose; record nothing."""
    from resjax.data import source
    from resjax.rows import Stopped
    from resjax.training import hosts
    from resjax.training.checkpoints import Checkpoints
    from resjax.training.loop import fit

    data = source.load(config.data)
    step = hosts.decided(0)
    if step == NOT_MADE:
        return "skipped"
    snapshot = Checkpoints(folder / records.CHECKPOINTS).load(step).snapshot if step else None
    stopped = False
    for row in fit(config, data, snapshot, stop):
        stopped = isinstance(row, Stopped)
    return "preempted" if stopped else "done"
