"""Two processes that make one run together give what one process gives, also when they were killed in between."""

import time
from pathlib import Path

import numpy as np
from broken import INTERVAL, SMALL, last_step, no_row_twice, only_run, wait_for
from hosts import CORES, ONLY, free_port, series, together
from nursery import SAID, born

from resjax import records

WORDS = [
    *(word for word in SMALL if not word.startswith(("parallel.devices", "train.batch_size", "probes.batch_size"))),
    *("parallel=jit", "train.precision=float64", "train.batch_size=64", "probes.batch_size=64"),
    *("model.norm_group=16", "train.steps=80", "probes.at=[0,50]", "seeds=1"),
]


def as_a_step_of_slurm(folder: Path, *more: str):
    """The same, as srun starts two tasks: nothing says that they are to meet but its variables."""
    first = 2**16 - 2**12  # JAX takes the port from the job's number
    about = {
        "SLURM_JOB_ID": str(free_port(range(first, 2**16)) - first),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
    }
    return [
        born(folder, [*WORDS, *more], **about, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank), **ONLY)
        for rank in range(2)
    ]


def test_two_processes_are_one(tmp_path: Path, tally) -> None:
    """Also where one of them is killed, whom the other cannot outlive, and both are begun again."""
    alone = born(tmp_path / "alone", [*WORDS, f"parallel.devices={2 * len(CORES)}"], **ONLY)
    alone.join(120)
    assert alone.exitcode == 0, (tmp_path / "alone" / SAID).read_text()
    folder = tmp_path / "together"
    killed = together(folder, WORDS)
    wait_for(lambda: list(folder.glob("runs/default/*/run.json")) and last_step(only_run(folder)) > INTERVAL, 120)
    killed[1].kill()
    killed[1].join()
    killed[0].join(1)  # it waits for the other, until JAX's own time is over
    killed[0].kill()
    killed[0].join()
    for process in together(folder, WORDS):
        process.join(120)
        assert process.exitcode == 0, (folder / SAID).read_text()
    runs = [only_run(tmp_path / name) for name in ("alone", "together")]
    facts = [records.facts_of(run) for run in runs]
    assert [run["devices"]["count"] for run in facts] == [2 * len(CORES)] * 2
    assert facts[0]["id"] == facts[1]["id"]
    no_row_twice(runs[1] / "metrics.jsonl")
    expected, found = map(series, runs)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)
    tally("a run of two processes (jax.distributed) killed and begun again", "equal to one process to 1e-9 (float64)")


def test_a_signal_to_one_of_slurms_tasks_stops_both(tmp_path: Path) -> None:
    both = as_a_step_of_slurm(tmp_path, "train.steps=100000")
    wait_for(lambda: list(tmp_path.glob("runs/default/*/run.json")) and last_step(only_run(tmp_path)) > 20, 120)
    time.sleep(0.1)
    both[1].terminate()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [143, 143]
    assert records.state(only_run(tmp_path)) == "preempted"
    assert records.facts_of(only_run(tmp_path))["config"]["parallel"]["processes"] == 2
