"""A run that several processes make: the first one decides and records, the others follow it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from resjax import records
from resjax.config import Config
from resjax.errors import InputError
from resjax.identity import run_id
from resjax.legal import check
from resjax.starting import start_jax
from resjax.stopping import Poll

NOT_MADE = -1
# A SLURM step's tasks, as srun says; a TPU pod's workers, as Kubernetes' nodes say, "localhost" where there is one.
SLURM_TASKS, SLURM_RANK, TPU_WORKERS = "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "TPU_WORKER_HOSTNAMES"
Lead = Callable[[int], None]


def detected() -> int:
    """The processes that were started with this one to make one run, as SLURM or a TPU pod says; 1 where none does."""
    if SLURM_RANK in os.environ:
        return int(os.environ.get(SLURM_TASKS, 1))
    return len(os.environ.get(TPU_WORKERS, "").split(","))


def counted(config: Config) -> Config:
    """With the processes that there are, where parallel.processes leaves it open. InputError as of `check`."""
    if config.parallel.processes is not None:
        return config
    if (found := detected()) > 1 and config.parallel.strategy != "jit":
        raise InputError(
            f"this command was started {found} times together, as SLURM or a TPU pod says.\n"
            "Expected them to make one run together, or each a run of its own.\n"
            "Type: parallel=jit, or parallel.processes=1"
        )
    return check(replace(config, parallel=replace(config.parallel, processes=found)))


def is_first(config: Config) -> bool:
    """Whether this process records. It has met the others then."""
    from resjax.training import hosts

    start_jax(config)
    hosts.require_same(int(run_id(config)[:7], 16))
    return hosts.is_first()


@contextmanager
def leading(config: Config) -> Iterator[Lead]:
    """The function that tells the others from which step to go on.

    Where the block never got so far, they are told that nothing is made.
    """
    told: list[int] = []

    def lead(step: int) -> None:
        if config.parallel.process_count > 1:
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
