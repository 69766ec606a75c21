"""A sweep's runs made by submitit: on this machine, or on a SLURM cluster, where a run that is preempted goes on."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from resjax import job as jobs
from resjax import records
from resjax.durable import write_whole
from resjax.errors import InputError
from resjax.progress import Watch
from resjax.records import Launch
from resjax.stopping import Listener
from resjax.sweep import slurm
from resjax.sweep.child import Job
from resjax.sweep.conductor import REFUSED, Ended
from resjax.sweep.executor import environment, executor, refuse_minutes, refuse_processes, undisturbed
from resjax.sweep.frozen import SUBMITIT, FrozenRun, refusal
from resjax.sweep.launcher import Launcher

LOOK_EVERY_S = 1.0
TAIL = 20_000  # characters of a failed job's output


def make(
    wanted: Sequence[Job], launch: Launch, code: Path, launcher: Launcher, watch: Watch, listener: Listener
) -> list[Ended]:
    """Submit what is not done, and wait for it; asked to stop, leave a cluster's jobs in its queue."""
    return Submitted(launch, code, launcher, watch, listener).run(wanted)


class Submitted:
    """The runs that are with submitit, each with its job there, and those that wait to be."""

    def __init__(self, launch: Launch, code: Path, launcher: Launcher, watch: Watch, listener: Listener) -> None:
        self.launch, self.code, self.launcher, self.watch, self.listener = launch, code, launcher, watch, listener
        self.local = launcher.where == "local"
        self.folder = (launch.path.parent / SUBMITIT).resolve()
        self.executor = executor(self.folder, launcher)
        self.queue = slurm.Queue()
        self.waiting = deque[Job]()
        self.flying = dict[str, tuple[Job, Any]]()
        self.ended = list[Ended]()

    def run(self, wanted: Sequence[Job]) -> list[Ended]:
        """Until every run is made, or a signal asks to stop."""
        self.waiting.extend(job for job in wanted if self.is_needed(job))
        while (self.waiting or self.flying) and not self.listener.asked():
            self.fill()
            self.look()
            self.listener.wait(LOOK_EVERY_S if self.flying else 0)
        if self.flying:
            leave = self.stop if self.local else self.leave
            leave()
        return self.ended

    def is_needed(self, job: Job) -> bool:
        """Whether there is anything to do; told."""
        try:
            refuse_minutes(job.config, self.launcher)
            refuse_processes(job.config, self.launcher)
            why = jobs.reason_to_skip(job.folder, job.own_id, job.config.rerun)
        except InputError as error:
            self.end(job, REFUSED, f"refused: {error}")
            return False
        if why:
            self.watch.skip(job.name, why)
            self.ended.append(Ended(job, jobs.SKIPPED))
        return not why

    def fill(self) -> None:
        """Submit: all at once to a cluster, here as many as may run."""
        room = self.launcher.jobs - len(self.flying) if self.local else len(self.waiting)
        batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), room))]
        if not self.local:
            self.queue.look()
            batch = [job for job in batch if not self.adopt(job)]
        if not batch:
            return
        runs = [FrozenRun(str(self.launch.path.resolve()), job.index, str(job.folder.resolve())) for job in batch]
        for job in batch:
            refusal(self.folder, job.name).unlink(missing_ok=True)
        submitted = self.submit(runs)
        for job, its in zip(batch, submitted, strict=True):
            self.fly(job, its)
        if not self.local:
            for job, its in zip(batch, submitted, strict=True):
                write_whole(self.folder / f"{job.name}.job", its.job_id.encode())
            number = submitted[0].job_id.partition("_")[0]
            runs_of = f"{len(batch)} run{'s' * (len(batch) > 1)}"
            self.watch.say(f"SLURM's job {number}: {runs_of}. Ctrl-C leaves it there; scancel {number} stops it")

    def adopt(self, job: Job) -> bool:
        """Wait for the job that an earlier command left in SLURM's queue for this run, if there is one."""
        from submitit import SlurmJob

        noted = self.folder / f"{job.name}.job"
        job_id = noted.read_text() if noted.exists() else ""
        if job_id and job_id not in self.queue.states:  # noted since we asked
            self.queue.refresh()
        if not self.queue.is_there(job_id):
            return False
        self.fly(job, SlurmJob(self.folder, job_id))
        self.watch.say(f"  {job.name} is in SLURM's queue already, as job {job_id}; it is waited for")
        return True

    def fly(self, job: Job, submitted: Any) -> None:
        """A run is with submitit."""
        self.flying[job.name] = (job, submitted)
        self.watch.start(job.name, job.config.train.steps, job.config.seeds)

    def submit(self, runs: Sequence[FrozenRun]) -> list[Any]:
        """submitit's jobs, on a cluster an array of them. InputError where it does not take them."""
        try:
            with environment(self.code, self.launcher), undisturbed(), self.executor.batch():
                return [self.executor.submit(run) for run in runs]
        except RuntimeError as error:  # with what sbatch said
            raise InputError(f"SLURM does not take the jobs: {error}\nSee docs/cluster.md") from error

    def look(self) -> None:
        """How far every run is, and which are over."""
        if not self.local:
            self.queue.look()
        for name, (job, submitted) in list(self.flying.items()):
            if state := self.over(job, submitted):
                self.settle(job, submitted, state)
            elif (row := records.last_row(job.folder)) is not None and row["step"] < job.config.train.steps:
                loss = row.get("train_loss")  # null where it was no number
                self.watch.advance(row["step"] + 1, float("nan") if loss is None else loss, name)

    def over(self, job: Job, submitted: Any) -> str:
        """The state in which its job ended, "" as long as neither did the job nor its run."""
        if self.local:
            return submitted.state if submitted.done() else ""
        return "COMPLETED" if is_made(job) else self.queue.over(submitted.job_id)

    def settle(self, job: Job, submitted: Any, state: str) -> None:
        """What became of a run, recorded here where its process could not. Who else makes it is waited for."""
        with suppress(records.BusyError), jobs.holding(job.folder, None):
            made = is_made(job)
            refused = refusal(self.folder, job.name)
            if not made and not self.local and self.adopt(job):  # another command submitted it anew
                return
            if made:
                self.tell(job, records.facts_if_readable(job.folder))
            elif refused.exists():  # after it had begun, which stays what it was
                self.end(job, REFUSED, f"refused: {refused.read_text()}")
            elif state in slurm.ANEW:
                self.watch.say(f"  {job.name}: SLURM ended its job ({state}) and did not requeue it; submitted anew")
                self.waiting.append(job)
            else:
                self.bury(job, submitted, state)
            del self.flying[job.name]

    def bury(self, job: Job, submitted: Any, state: str) -> None:
        """Record and tell a failure that the process could not record. Its lock is held."""
        kind, what = slurm.OVER.get(state, slurm.OVER["FAILED"])
        error = f"its job {submitted.job_id} {what}"
        printed = "\n".join(filter(None, (tail(submitted.stdout), tail(submitted.stderr))))
        try:
            records.fail(job.folder, kind, error, f"{error}\n\nThe end of what it printed:\n{printed}\n")
        except OSError as problem:
            self.watch.say(f"  its failure cannot be recorded: {problem}")
        self.end(job, jobs.FAILED, f"FAILED, {error}")

    def tell(self, job: Job, facts: dict[str, Any]) -> None:
        """How a run ended, by its records."""
        if facts["status"] == jobs.DONE:
            self.end(job, jobs.DONE, "done")
        elif facts.get("failure", {}).get("kind") == REFUSED:
            self.end(job, REFUSED, f"refused: {facts['error']}")
        else:
            self.end(job, jobs.FAILED, f"FAILED, {facts.get('error', '')}")

    def end(self, job: Job, status: str, how: str) -> None:
        """Tell, and remember for the list at the end."""
        self.watch.finish(how, made=status in (jobs.DONE, jobs.FAILED), name=job.name)
        self.ended.append(Ended(job, status, how))

    def leave(self) -> None:
        """A cluster's jobs stay where they are."""
        numbers = " ".join(submitted.job_id for _, submitted in self.flying.values())
        self.watch.say(
            f"in SLURM's queue, where they stay: {', '.join(self.flying)}\n"
            f"The same command waits for them again. To stop them, saved: scancel {numbers}"
        )
        self.ended += [Ended(job, jobs.PREEMPTED) for job, _ in self.flying.values()]

    def stop(self) -> None:
        """What runs here saves itself, which is waited for."""
        self.watch.say("stopping: what runs is being saved (Ctrl-C once more ends it at once)")
        for _, submitted in self.flying.values():
            with suppress(ProcessLookupError):
                os.kill(int(submitted.job_id), signal.SIGTERM)  # submitit's controller, which passes it on
        for job, submitted in self.flying.values():
            while not submitted.done():
                time.sleep(0.1)
            if is_made(job):
                self.tell(job, records.facts_if_readable(job.folder))
            else:
                self.end(job, jobs.PREEMPTED, "stopped and saved; the same command goes on from there")


def is_made(job: Job) -> bool:
    """Whether the run was done or failed since the sweep began: what an attempt before left says nothing."""
    facts = records.facts_if_readable(job.folder)
    return facts.get("attempt", 0) != job.before and facts.get("status") in (jobs.DONE, jobs.FAILED)


def tail(read: Callable[[], str | None]) -> str:
    """The end of a job's output."""
    with suppress(Exception):  # of many kinds, where the file is not there
        return (read() or "")[-TAIL:]
    return ""
