"""Make a sweep's runs, each in a process of its own and each once, however many sweeps share the folder."""

import os
import selectors
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resjax import records
from resjax.errors import InputError
from resjax.job import DONE, FAILED, PREEMPTED, SKIPPED, reason_to_skip
from resjax.progress import Watch
from resjax.records import Launch
from resjax.stopping import INTERRUPTED, SIGNALS, TERMINATED, Listener
from resjax.sweep.child import Child, Death, Job
from resjax.sweep.launcher import Launcher

REFUSED = "refused"
# How a process ends that was asked to stop; the negative ones before it listened.
STOPPED = (INTERRUPTED, TERMINATED, *(-number for number in SIGNALS))
LOOK_EVERY_S, TRY_ELSEWHERE_EVERY_S = 0.2, 1.0


@dataclass(frozen=True)
class Ended:
    """How a job ended: done, skipped, failed, refused or preempted; and in a line why."""

    job: Job
    status: str
    why: str = ""


class Conductor:
    """The jobs that wait, those that run, and those that another process is at."""

    def __init__(
        self, jobs: Iterable[Job], launch: Launch, code: Path, launcher: Launcher, watch: Watch, listener: Listener
    ) -> None:
        self.launch, self.code, self.launcher, self.watch, self.listener = launch, code, launcher, watch, listener
        self.waiting, self.elsewhere = deque(jobs), list[Job]()
        self.children: dict[Path, Child] = {}
        self.gpus = list(launcher.gpus or [])
        self.ended: list[Ended] = []
        self.selector = selectors.DefaultSelector()
        self.offline, self.passed_on, self.tried = False, False, 0.0

    def run(self) -> list[Ended]:
        """Until every job is done, here or elsewhere, or a signal asks to stop."""
        self.listener.at_once.append(self.kill_all)
        try:
            while self.waiting or self.children or self.elsewhere:
                self.obey()
                self.fill()
                self.look()
        finally:
            self.end_all()
            self.selector.close()
        return self.ended

    def obey(self) -> None:
        """Pass a signal on, once; nothing new begins."""
        if not self.listener.asked() or self.passed_on:
            return
        self.passed_on = True
        self.waiting.clear()
        self.elsewhere.clear()
        if self.children:
            why = "stopping" if self.listener.number else "the time is up"
            self.watch.say(f"{why}: what runs is being saved (Ctrl-C once more ends it at once)")
        for child in self.children.values():
            child.signal(self.listener.number or 15)

    def fill(self) -> None:
        """Begin as many jobs as there is room for; then see whether another process gave up one of its."""
        while self.waiting and len(self.children) < self.launcher.slots:
            self.begin(self.waiting.popleft())
        if self.elsewhere and len(self.children) < self.launcher.slots and self.is_time():
            others, self.elsewhere = self.elsewhere, []
            for job in others:
                if len(self.children) < self.launcher.slots:
                    self.begin(job, again=True)
                else:
                    self.elsewhere.append(job)

    def is_time(self) -> bool:
        """Whether to knock at the other processes' jobs."""
        if time.monotonic() - self.tried < TRY_ELSEWHERE_EVERY_S:
            return False
        self.tried = time.monotonic()
        return True

    def begin(self, job: Job, again: bool = False) -> None:
        """Take the job's lock, see whether there is anything to do, and start its process."""
        try:
            lock = records.lock(job.folder)
        except records.BusyError:
            if not again:
                self.watch.say(f"  {job.name}: another process is at it; it is waited for at the end")
            self.elsewhere.append(job)
            return
        try:
            if not self.over_already(job):
                self.start(job, lock)
                return
        except InputError as error:
            self.end(job, REFUSED, f"refused: {error}")
        except OSError as error:  # no process, no descriptor, no memory for one
            self.end(job, FAILED, f"FAILED, its process cannot be started: {error}")
        os.close(lock)

    def over_already(self, job: Job) -> bool:
        """Whether it is done, or failed in another process since we began; told. Its lock is held."""
        facts = records.facts_if_readable(job.folder)
        made_since = facts.get("attempt", 0) != job.before
        if made_since and facts.get("status") == FAILED:
            self.end(job, FAILED, f"FAILED in another process, {facts.get('error', '')}")
            return True
        if made_since and facts.get("status") == DONE:
            self.watch.skip(job.name, "done by another process")
            self.ended.append(Ended(job, SKIPPED))
            return True
        if why := reason_to_skip(job.folder, job.own_id, job.config.rerun):
            self.watch.skip(job.name, why)
            self.ended.append(Ended(job, SKIPPED))
        return bool(why)

    def start(self, job: Job, lock: int) -> None:
        """Its process."""
        self.watch.start(job.name, job.config.train.steps, job.config.seeds)
        gpu = self.gpus.pop(0) if self.gpus else None
        child = Child(job, lock, self.launch, self.code, self.launcher, gpu, self.offline)
        self.children[job.folder] = child
        for stream in (child.messages, child.output):
            self.selector.register(stream.descriptor, selectors.EVENT_READ)

    def look(self) -> None:
        """Wait a moment for something to happen, and let every process be heard."""
        if not self.selector.get_map():
            time.sleep(LOOK_EVERY_S if self.elsewhere else 0)
        else:
            self.selector.select(LOOK_EVERY_S)
        for child in list(self.children.values()):
            over = child.process.poll() is not None  # first: what it said before is heard then
            self.hear(child, child.heard())
            if over:
                self.settle(child)
            else:
                child.hurry()

    def hear(self, child: Child, messages: Iterable[dict[str, Any]]) -> None:
        """Show what a process says."""
        for message in messages:
            if "step" in message:
                self.watch.advance(message["step"], float(message["loss"]), child.job.name)
            if "say" in message:
                self.watch.say(message["say"])
            child.how = message.get("how", child.how)
            child.refused = message.get("refused", child.refused)
            self.offline |= message.get("offline", False)

    def settle(self, child: Child) -> None:
        """A process is over: what its run has become, recorded by it or, where it could not, by us."""
        for stream in (child.messages, child.output):
            with suppress(KeyError):
                self.selector.unregister(stream.descriptor)
        self.hear(child, child.close())
        del self.children[child.job.folder]
        if child.gpu is not None:
            self.gpus.append(child.gpu)
        facts = records.facts_if_readable(child.job.folder)
        # What an attempt before left says nothing of this one.
        status = facts.get("status") if facts.get("attempt", 0) > child.attempts else None
        if child.refused is not None:
            self.refuse(child, facts)
        elif status in (DONE, FAILED) or (status == PREEMPTED and not child.timed_out):
            self.end(child.job, str(status), child.how or str(status))
        elif self.passed_on and child.process.returncode in STOPPED:  # before there was anything to record
            self.end(child.job, PREEMPTED, "stopped before it began")
        else:
            self.bury(child, child.death())
        os.close(child.lock)

    def refuse(self, child: Child, facts: dict[str, Any]) -> None:
        """Settings, data and devices that do not fit together; a run that was begun before stays what it was."""
        if facts.get("status") == "pending":
            self.bury(child, child.death())
        else:
            self.end(child.job, REFUSED, f"refused: {child.refused}")

    def bury(self, child: Child, death: Death) -> None:
        """Record a failure that the process could not record."""
        job = child.job
        trace = f"{death.error}\n\nThe last lines that it printed:\n" + "\n".join(child.tail) + "\n"
        try:
            records.fail(job.folder, death.kind, death.error, trace, child.attempts + 1, **death.facts)
        except OSError as error:
            self.watch.say(f"  its failure cannot be recorded: {error}")
        status = REFUSED if death.kind == REFUSED else FAILED
        self.end(job, status, f"{'refused:' if status == REFUSED else 'FAILED,'} {death.error}")

    def end(self, job: Job, status: str, how: str) -> None:
        """Tell, and remember for the list at the end."""
        self.watch.finish(how, made=status in (DONE, FAILED), name=job.name)
        if status == FAILED:
            self.watch.say(f"  see {job.folder / 'error.txt'}")
        self.ended.append(Ended(job, status, how))

    def end_all(self) -> None:
        """What still runs, after an error of ours, saves itself; what does not within its grace is killed."""
        for child in self.children.values():
            child.signal(15)
        ends = time.monotonic() + self.launcher.grace_s
        while any(child.process.poll() is None for child in self.children.values()) and time.monotonic() < ends:
            time.sleep(LOOK_EVERY_S)
        self.kill_all()

    def kill_all(self) -> None:
        """Nothing of ours goes on."""
        for child in self.children.values():
            child.signal(9)
