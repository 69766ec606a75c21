"""submitit, with our settings, and what the jobs inherit that it starts."""

import math
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resjax.config import Config
from resjax.errors import InputError
from resjax.sweep.child import environment as inherited
from resjax.sweep.launcher import Launcher

SHARED = ("timeout_min", "nodes", "tasks_per_node", "gpus_per_node", "cpus_per_task", "mem_gb")
SLURM = ("partition", "qos", "account", "constraint", "array_parallelism", "signal_delay_s", "setup")

# SLURM does not requeue a job that a TERM ends in its time of grace, as it would Python while that starts.
PATIENT = 'trap "" TERM; exec "$0" "$@"'


def refuse_minutes(config: Config, launcher: Launcher) -> None:
    """InputError where a run's time is set twice: a job has its own."""
    if (minutes := config.train.max_minutes) is not None:
        raise InputError(
            f"train.max_minutes={minutes:g} with hydra/launcher=submitit_{launcher.where}, whose jobs go on alone.\n"
            "Expected a limit of the jobs, after which they are begun again.\n"
            f"Type: train.max_minutes=null hydra.launcher.timeout_min={max(60, math.ceil(minutes))}"
        )


def refuse_processes(config: Config, launcher: Launcher) -> None:
    """InputError where a run wants other processes than its job has tasks."""
    tasks, processes = launcher.nodes * launcher.tasks_per_node, config.parallel.process_count
    if tasks != processes:
        raise InputError(
            f"parallel.processes={processes}, but hydra.launcher.nodes={launcher.nodes} with "
            f"tasks_per_node={launcher.tasks_per_node} start {tasks}.\n"
            f"Expected a task a process.\nType: parallel=jit parallel.processes={tasks}, or see docs/cluster.md"
        )


def executor(folder: Path, launcher: Launcher) -> Any:
    """submitit's, with our settings. InputError where there is none, or it refuses them."""
    try:
        import submitit
    except ImportError as error:
        raise InputError("submitit is not installed.\nType: pip install 'resjax[slurm]'") from error
    python = f"sh -c {shlex.quote(PATIENT)} {shlex.quote(sys.executable)}"
    ours = {"slurm_max_num_timeout": launcher.max_num_timeout, "slurm_python": python}
    try:
        found = submitit.AutoExecutor(folder=folder, cluster=launcher.where, **ours)
        found.update_parameters(name="resjax", **parameters(launcher))
    except (AssertionError, NameError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"submitit refuses: {error}\nSee docs/cluster.md") from error
    return found


def parameters(launcher: Launcher) -> dict[str, Any]:
    """submitit's names for our settings."""
    given = {name: getattr(launcher, name) for name in SHARED}
    if launcher.where == "slurm":
        given |= {f"slurm_{name}": getattr(launcher, name) for name in SLURM}
        given["slurm_additional_parameters"] = dict(launcher.additional_parameters or {}) or None
    found = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def environment(code: Path, launcher: Launcher) -> Iterator[None]:
    """What the jobs inherit: the frozen code before any other, also that of the folder they run in."""
    before = dict(os.environ)
    wanted = inherited(code, launcher, None)
    os.environ.clear()
    os.environ.update(wanted, PYTHONSAFEPATH="1")
    os.environ["JAX_ENABLE_PREEMPTION_SERVICE"] = "false"  # where processes meet, JAX would keep TERM for itself
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """What is started here does not end at a terminal's Ctrl-C, which would end submitit's controller and all it runs.

    A run listens to it all the same.
    """
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
