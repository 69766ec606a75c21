"""What a person sees of a sweep: bars with the time to go in a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_LINE_EVERY_S = 15.0


class Watch:
    """Progress over a sweep of `jobs` runs (None: nobody knows how many) and over the steps of each."""

    def __init__(self, jobs: int | None, console: Console | None = None) -> None:
        self.jobs = jobs
        self.console = console or Console(stderr=True)
        self.plain = not self.console.is_terminal
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=12), MofNCompleteColumn())
        note = TextColumn("{task.fields[note]}")
        self.bars = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), note, console=self.console)
        self.made = 0
        self.done, self.name, self.steps, self.step, self.first = 0, "", 0, 0, 0
        self.began = time.perf_counter()

    def __enter__(self) -> Self:
        if not self.plain:
            self.bars.start()
            self.sweep_bar = self.bars.add_task("sweep", total=self.jobs, note="", visible=self.jobs != 1)
            self.run_bar = self.bars.add_task("", total=1, note="", visible=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not self.plain:
            self.bars.remove_task(self.run_bar)
            self.bars.stop()

    def say(self, text: str) -> None:
        """A line of its own."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def start(self, name: str, steps: int, seeds: int) -> None:
        """A run begins: it compiles first. A net from elsewhere has no steps."""
        self.name, self.steps, self.step = name, steps, 0
        self.run_began = self.last_line = time.perf_counter()
        if self.plain:
            training = f"{steps} steps, {seeds} seed{'s' * (seeds > 1)}; " if steps else ""
            self.say(f"[{self.done + 1}/{self.jobs or '?'}] {name}: {training}compiling")
        else:
            short = name.rpartition("-")[0] or name  # without the id: a line has 80 columns
            self.bars.reset(self.run_bar, total=steps, description=short, note="compiling", visible=True)

    def skip(self, name: str, why: str) -> None:
        """A run that is not made."""
        self.name = name
        self.finish(f"{why}, skipped", made=False)

    def advance(self, step: int, loss: float) -> None:
        """So many steps of the run are done, the last with this loss."""
        if step == self.step:
            return
        if self.step == 0:  # what came before was compiling, of which the pace of the steps says nothing
            self.run_began, self.first = time.perf_counter(), step
        self.step = step
        if not self.plain:
            self.bars.update(self.run_bar, completed=step, note=f"loss {loss:.3g}")
            self.bars.update(self.sweep_bar, completed=self.done + step / self.steps)  # so that it knows its pace
        elif step > self.first and time.perf_counter() - self.last_line > PLAIN_LINE_EVERY_S:
            self.last_line = time.perf_counter()
            left = (self.last_line - self.run_began) / (step - self.first) * (self.steps - step)
            self.say(f"  step {step}/{self.steps}, loss {loss:.3g}, {duration(left)} to go in this run")

    def finish(self, how: str, made: bool = True) -> None:
        """A run is over; the time to go counts those that were made."""
        self.done += 1
        self.made += made
        text = f"[{self.done}/{self.jobs or '?'}] {self.name}: {how}"
        if self.jobs and self.made and self.done < self.jobs:
            each = (time.perf_counter() - self.began) / self.made
            text += f", about {duration(each * (self.jobs - self.done))} to go"
        if self.plain:
            self.say(text)
        else:
            self.bars.console.print(text, highlight=False, markup=False)
            self.bars.update(self.sweep_bar, completed=self.done)
            self.bars.update(self.run_bar, visible=False)


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 3 min 20 s, 2 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
