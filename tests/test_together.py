"""How many processes make a run: said, or found out from SLURM and TPU pods."""

import numpy as np
import pytest

from resjax.config import Config
from resjax.errors import InputError
from resjax.sweep.launcher import Launcher
from resjax.sweep.sweeping import of_processes
from resjax.together import counted, detected
from resjax.training import hosts


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No cluster's variables."""
    for name in ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_NTASKS", "TPU_WORKER_HOSTNAMES"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "processes"),
    [
        ({}, 1),
        ({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"}, 4),
        ({"SLURM_NTASKS": "4"}, 1),  # in salloc's shell, which is no task
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, 1),  # in a batch script
        ({"TPU_WORKER_HOSTNAMES": "t0,t1,t2,t3"}, 4),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, 1),
    ],
)
def test_detected(alone: pytest.MonkeyPatch, variables: dict[str, str], processes: int) -> None:
    for name, value in variables.items():
        alone.setenv(name, value)
    assert detected() == processes


def asking(processes: int | None, strategy: str = "jit") -> Config:
    config = Config()
    config.parallel.processes, config.parallel.strategy = processes, strategy
    return config


def test_what_is_said_stands_and_what_is_open_is_counted(alone: pytest.MonkeyPatch) -> None:
    alone.setenv("SLURM_PROCID", "0")
    alone.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert counted(asking(2)).parallel.processes == 2
    assert counted(asking(None)).parallel.processes == 4
    assert asking(None).parallel.process_count == 1
    with pytest.raises(InputError, match=r"Type: parallel=jit, or parallel\.processes=1"):
        counted(asking(None, "pmap"))
    assert counted(asking(1, "pmap")).parallel.processes == 1


@pytest.mark.parametrize(
    ("variables", "devices"),
    [
        ({}, None),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, None),  # no task of SLURM's
        ({"SLURM_LOCALID": "3"}, None),  # who sees all of them takes the one of its number, as JAX has it
        ({"SLURM_LOCALID": "3", "CUDA_VISIBLE_DEVICES": "0,1,2,3", "SLURM_STEP_TASKS_PER_NODE": "4"}, None),
        ({"SLURM_LOCALID": "3", "CUDA_VISIBLE_DEVICES": "3", "SLURM_STEP_TASKS_PER_NODE": "4"}, [0]),
        ({"SLURM_LOCALID": "0", "CUDA_VISIBLE_DEVICES": "0,1,2,3", "SLURM_STEP_TASKS_PER_NODE": "1(x4)"}, [0, 1, 2, 3]),
    ],
)
def test_the_gpus_of_a_task(alone: pytest.MonkeyPatch, variables: dict[str, str], devices: list[int] | None) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"):
        alone.delenv(name, raising=False)
    for name, value in variables.items():
        alone.setenv(name, value)
    assert hosts.local_devices() == devices


def test_processes_with_other_settings_do_not_make_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "several", lambda: True)
    monkeypatch.setattr(hosts.multihost_utils, "process_allgather", lambda number: np.array([number, 7]))
    hosts.require_same(7)
    with pytest.raises(InputError, match=r"parallel\.processes=1"):
        hosts.require_same(8)


def test_a_sweeps_runs_have_the_processes_of_their_jobs() -> None:
    slurm = Launcher(where="slurm", nodes=2, tasks_per_node=4)
    assert of_processes(asking(None), slurm).parallel.processes == 8
    assert of_processes(asking(4), slurm).parallel.processes == 4  # refused when it is submitted
    assert of_processes(asking(None), Launcher()).parallel.processes == 1
    with pytest.raises(InputError, match="hydra/launcher=submitit_slurm"):
        of_processes(asking(2), Launcher())
