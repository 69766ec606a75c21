"""What a person sees of a sweep: bars with the time to go in a terminal, plain lines elsewhere."""

import math
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from resjax.redaction import redacted

PLAIN_LINE_EVERY_S = 15.0
LEAST_STEPS = 10  # from fewer no pace is known: they wait for the first look at the layers, too


class Told(Protocol):
    """Whoever is told how a run goes: a Watch, or the pipe to the process that has one."""

    def say(self, text: str) -> None:
        """A line of its own."""

    def start(self, name: str, steps: int, seeds: int) -> None:
        """A run begins."""

    def advance(self, step: int, loss: float) -> None:
        """So many steps are done."""

    def skip(self, name: str, why: str) -> None:
        """A run is not made."""

    def finish(self, how: str) -> None:
        """A run is over."""


@dataclass
class RunBar:
    """A run that is being made: its steps, and when its first ones came, from which its pace is known."""

    steps: int
    began: float
    last_line: float
    unit: str
    step: int = 0
    first: int = 0
    bar: TaskID | None = None


class Watch:
    """Progress over a sweep of `jobs` runs (None: nobody knows how many) and over the steps of each.

    Runs that are made at once are told apart by name; without a name the one that began last is meant.
    """

    def __init__(self, jobs: int | None, console: Console | None = None) -> None:
        self.jobs = jobs
        self.console = console or Console(stderr=True)
        self.plain = not self.console.is_terminal
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=12), MofNCompleteColumn())
        note = TextColumn("{task.fields[note]}")
        self.bars = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), note, console=self.console)
        self.made, self.done, self.name = 0, 0, ""
        self.runs: dict[str, RunBar] = {}
        self.began = time.perf_counter()

    def __enter__(self) -> Self:
        if not self.plain:
            self.bars.start()
            self.sweep_bar = self.bars.add_task("sweep", total=self.jobs, note="", visible=self.jobs != 1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self.plain:
            for run in self.runs.values():
                self.hide(run)
            self.bars.stop()

    def say(self, text: str) -> None:
        """A line of its own, without secrets."""
        self.console.print(redacted(text), highlight=False, markup=False, soft_wrap=True)

    def start(self, name: str, steps: int, seeds: int, unit: str = "step") -> None:
        """A run begins: it compiles first. A net from elsewhere has no steps, an analysis has pieces and no seeds."""
        self.name, now = name, time.perf_counter()
        self.runs[name] = run = RunBar(steps, now, now, unit)
        if self.plain:
            counts = [f"{n} {what}{'s' * (n > 1)}" for n, what in ((steps, unit), (steps and seeds, "seed")) if n]
            training = f"{', '.join(counts)}; " if counts else ""
            self.say(f"[{self.done + len(self.runs)}/{self.jobs or '?'}] {name}: {training}compiling")
        else:
            short = name.rpartition("-")[0] or name  # without the id: a line has 80 columns
            run.bar = self.bars.add_task(short, total=steps, note="compiling")

    def skip(self, name: str, why: str) -> None:
        """A run that is not made."""
        self.finish(f"{why}, skipped", made=False, name=name)

    def advance(self, step: int, loss: float | None, name: str | None = None) -> None:
        """So many steps of the run are done, the last with this loss, where there is one."""
        run = self.runs[name or self.name]
        if step == run.step:
            return
        if run.step == 0:  # what came before was compiling, of which the pace of the steps says nothing
            run.began, run.first = time.perf_counter(), step
        run.step = step
        if run.bar is not None:
            self.bars.update(run.bar, completed=step, note="" if loss is None else told(loss))
            begun = sum(other.step / max(other.steps, 1) for other in self.runs.values())
            self.bars.update(self.sweep_bar, completed=self.done + begun)  # so that it knows its pace
        elif step > run.first and time.perf_counter() - run.last_line > PLAIN_LINE_EVERY_S:
            run.last_line = time.perf_counter()
            taken = step - run.first
            left = (run.last_line - run.began) / taken * (run.steps - step)
            to_go = f", {duration(left)} to go in this run" if taken >= min(LEAST_STEPS, run.steps / 10) else ""
            which = f"{name or self.name}: " if len(self.runs) > 1 else ""
            now_at = f"{run.unit} {step}/{run.steps}" + (f", {told(loss)}" if loss is not None else "")
            self.say(f"  {which}{now_at}{to_go}")

    def finish(self, how: str, made: bool = True, name: str | None = None) -> None:
        """A run is over; the time to go counts those that were made."""
        name = name or self.name
        run = self.runs.pop(name, None)
        self.done += 1
        self.made += made
        text = f"[{self.done}/{self.jobs or '?'}] {name}: {how}"
        if self.jobs and self.made and self.done < self.jobs:
            each = (time.perf_counter() - self.began) / self.made
            text += f", about {duration(each * (self.jobs - self.done))} to go"
        if self.plain:
            self.say(text)
        else:
            self.bars.console.print(redacted(text), highlight=False, markup=False)
            self.bars.update(self.sweep_bar, completed=self.done)
            if run is not None:
                self.hide(run)

    def hide(self, run: RunBar) -> None:
        """Its bar goes."""
        if run.bar is not None:
            self.bars.remove_task(run.bar)
            run.bar = None


def told(loss: float) -> str:
    """A seed's loss."""
    return f"loss {loss:.3g}" if math.isfinite(loss) else "a seed diverged"


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
