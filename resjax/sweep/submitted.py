"""A sweep's runs made by submitit: on this machine, or on a SLURM cluster, where a run that is preempted is requeued.

submitit pickles what it runs, into its own folder, and reads that back on the node: what it pickles here is a path and
a number. The settings are read from the launch's file, the code is the launch's copy.
"""

import os
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from resjax import job as jobs
from resjax import records
from resjax.errors import InputError
from resjax.progress import Watch
from resjax.records import Launch
from resjax.stopping import Listener, listening
from resjax.sweep.child import Job
from resjax.sweep.conductor import REFUSED, Ended
from resjax.sweep.launcher import Launcher
from resjax.tracking import Tracking

LOOK_EVERY_S, LOOKS = 1.0, 3
TAIL = 20_000  # characters of a failed job's output
SHARED = ("timeout_min", "nodes", "tasks_per_node", "gpus_per_node", "cpus_per_task", "mem_gb")
SLURM = ("partition", "qos", "account", "constraint", "array_parallelism", "signal_delay_s", "setup")


@dataclass(frozen=True)
class FrozenRun:
    """One run of a launch, as submitit calls it on the node."""

    launch: str
    index: int

    def __call__(self) -> str:
        """Make the run; asked to stop, it saves itself, and then has the cluster start the job again."""
        requeue = signal.getsignal(signal.SIGUSR2)  # submitit's
        config = records.thaw(Path(self.launch)).jobs[self.index]
        with listening() as listener:
            status = jobs.run(config, Watch(1), Tracking(), listener.asked)
        if status == jobs.PREEMPTED and listener.number is not None and "SLURM_JOB_ID" in os.environ:
            again(requeue)
        return status

    def checkpoint(self) -> Any:
        """What submitit runs when the job is started again: the same, which goes on from its checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def again(requeue: Any) -> NoReturn:
    """Requeue this job, unless the cluster is ending it already: then it requeues it itself, or it was cancelled."""
    import submitit

    # A job that ends by itself within its time of grace would not be started again (SLURM 22.05).
    if (states() or {}).get(submitit.JobEnvironment().job_id) != "COMPLETING" and callable(requeue):
        with suppress(subprocess.SubprocessError):  # requeued in the meantime
            requeue(signal.SIGUSR2, None)  # checkpoint(), scontrol requeue, exit
    sys.exit(-1)


def states() -> dict[str, str] | None:
    """The state of each of the user's jobs in SLURM's queue; None where it cannot be asked."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i %T"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(line.split(maxsplit=1) for line in asked.stdout.splitlines() if " " in line)


def make(
    wanted: Sequence[Job], launch: Launch, code: Path, launcher: Launcher, watch: Watch, listener: Listener
) -> list[Ended]:
    """Submit what is not done, and wait for it; asked to stop, leave a cluster's jobs in its queue."""
    ended, waiting = list[Ended](), deque[Job]()
    for job in wanted:
        (ended if (end := not_needed(job, watch)) else waiting).append(end or job)  # type: ignore[arg-type]
    submit = submitter(launch, code, launcher)
    flying: dict[str, tuple[Job, Any]] = {}
    most = launcher.jobs if launcher.where == "local" else len(waiting)
    gone = Gone(launcher.where)
    while (waiting or flying) and not listener.asked():
        batch = [waiting.popleft() for _ in range(min(len(waiting), most - len(flying)))]
        for job, submitted in zip(batch, submit(batch), strict=True):
            watch.start(job.name, job.config.train.steps, job.config.seeds)
            flying[job.name] = (job, submitted)
        gone.look()
        for name, (job, submitted) in list(flying.items()):
            if (end := seen(job, submitted, gone, watch)) is not None:
                del flying[name]
                ended.append(end)
        listener.wait(LOOK_EVERY_S if flying else 0)
    return ended + left(flying, launcher, watch)


def not_needed(job: Job, watch: Watch) -> Ended | None:
    """Why it is not submitted, if it is not."""
    try:
        why = jobs.reason_to_skip(job.folder, job.own_id, job.config.rerun)
    except InputError as error:
        watch.finish(f"refused: {error}", made=False, name=job.name)
        return Ended(job, REFUSED, f"refused: {error}")
    if why:
        watch.skip(job.name, why)
    return Ended(job, jobs.SKIPPED) if why else None


def submitter(launch: Launch, code: Path, launcher: Launcher) -> Callable[[Sequence[Job]], list[Any]]:
    """The function that submits several jobs, as an array where the cluster has them."""
    try:
        import submitit
    except ImportError as error:
        raise InputError("submitit is not installed.\nType: pip install 'resjax[slurm]'") from error
    folder = launch.path.parent / "submitit"
    try:
        executor = submitit.AutoExecutor(folder=folder.resolve(), cluster=launcher.where, **limits(launcher))
        executor.update_parameters(name="resjax", **parameters(launcher))
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"submitit refuses: {error}\nSee docs/cluster.md") from error

    def submit(batch: Sequence[Job]) -> list[Any]:
        if not batch:
            return []
        runs = [FrozenRun(str(launch.path.resolve()), job.index) for job in batch]
        with environment(code, launcher), executor.batch():
            return [executor.submit(run) for run in runs]

    return submit


def limits(launcher: Launcher) -> dict[str, Any]:
    """How often a job may be requeued, for those that requeue."""
    return {"slurm_max_num_timeout": launcher.max_num_timeout} if launcher.where == "slurm" else {}


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
    """What the jobs inherit: the frozen code first, and a GPU's share of memory."""
    wanted = {"PYTHONPATH": os.pathsep.join(filter(None, (str(code.resolve()), os.environ.get("PYTHONPATH"))))}
    if launcher.memory_fraction is not None:
        wanted["XLA_PYTHON_CLIENT_MEM_FRACTION"] = str(launcher.memory_fraction)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class Gone:
    """Which jobs are over. A cluster without accounting does not tell submitit, so its queue is asked."""

    def __init__(self, where: str) -> None:
        self.where, self.queue, self.missed = where, dict[str, str](), Counter[str]()

    def look(self) -> None:
        """Ask the queue."""
        if self.where == "slurm" and (found := states()) is not None:
            self.queue = found

    def __call__(self, job: Job, submitted: Any) -> bool:
        """Whether a job is over: its run is recorded, or it was not in the queue three times in a row."""
        if self.where != "slurm":
            return bool(submitted.done())
        self.missed[submitted.job_id] = 0 if submitted.job_id in self.queue else self.missed[submitted.job_id] + 1
        recorded = records.state(job.folder) in (jobs.DONE, jobs.FAILED)
        return self.missed[submitted.job_id] > LOOKS or (recorded and submitted.job_id not in self.queue)


def seen(job: Job, submitted: Any, gone: Gone, watch: Watch) -> Ended | None:
    """Show how far a job is; how it ended, once it has."""
    if not gone(job, submitted):
        if (row := records.last_row(job.folder)) is not None and row["step"] < job.config.train.steps:
            watch.advance(row["step"] + 1, row.get("train_loss") or float("nan"), job.name)
        return None
    try:
        with jobs.holding(job.folder, None):
            return settled(job, submitted, watch)
    except records.BusyError:  # another sweep makes it: that is waited for
        return None


def settled(job: Job, submitted: Any, watch: Watch) -> Ended:
    """What became of a job, recorded here where it could not do it itself. The caller holds its lock."""
    facts = records.facts_if_readable(job.folder)
    status = facts.get("status")
    if status not in (jobs.DONE, jobs.FAILED):
        output = "\n".join(filter(None, (tail(submitted.stdout), tail(submitted.stderr))))
        error = f"its job {submitted.job_id} ended ({submitted.state}) and left it {status}"
        records.fail(job.folder, "killed", error, f"{error}\n\nThe end of what it printed:\n{output}\n")
        facts, status = records.facts_if_readable(job.folder), jobs.FAILED
    how = "done" if status == jobs.DONE else f"FAILED, {facts.get('error', '')}"
    watch.finish(how, name=job.name)
    return Ended(job, str(status), how)


def tail(read: Callable[[], str | None]) -> str:
    """The end of a job's output."""
    with suppress(Exception):  # of many kinds, where the file is not there
        return (read() or "")[-TAIL:]
    return ""


def left(flying: dict[str, tuple[Job, Any]], launcher: Launcher, watch: Watch) -> list[Ended]:
    """What is not waited for: here it is told to stop, on a cluster it stays in the queue."""
    for name, (_, submitted) in flying.items():
        if launcher.where == "local":
            with suppress(ProcessLookupError):
                os.kill(int(submitted.job_id), signal.SIGTERM)  # submitit's controller, which passes it on
            watch.finish("asked to stop", name=name)
        else:
            watch.finish(f"stays in the queue as job {submitted.job_id}: scancel {submitted.job_id}", name=name)
    return [Ended(job, jobs.PREEMPTED) for job, _ in flying.values()]
