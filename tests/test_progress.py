import io

import pytest
from rich.console import Console

from resjax import progress
from resjax.progress import Watch, duration


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def watch(jobs: int | None, terminal: bool) -> tuple[Watch, io.StringIO]:
    said = io.StringIO()
    return Watch(jobs, Console(file=said, force_terminal=terminal, width=100)), said


def test_a_net_from_elsewhere_has_no_steps() -> None:
    plain, said = watch(1, terminal=False)
    plain.start("there", steps=0, seeds=1)
    assert said.getvalue() == "[1/1] there: compiling\n"


def test_plain_lines_tell_the_time_to_go(clock: Time) -> None:
    plain, said = watch(3, terminal=False)
    with plain:
        plain.skip("first", "done before")
        plain.start("second", steps=100, seeds=2)
        for step in (1, 11):
            clock.now += 20
            plain.advance(step, 2.0)
        clock.now = 60
        plain.finish("done")
    lines = said.getvalue().splitlines()
    assert lines[0] == "[1/3] first: done before, skipped"
    assert lines[1] == "[2/3] second: 100 steps, 2 seeds; compiling"
    assert lines[2] == "  step 11/100, loss 2, 2 min 58 s to go in this run"  # ten steps in twenty seconds
    assert lines[3] == "[2/3] second: done, about 1 min 0 s to go"  # what was skipped took no time
    assert "\x1b" not in said.getvalue()


def test_no_time_is_told_from_few_steps(clock: Time) -> None:
    """The second one waits for the first look at the layers. A loss that is no number is a divergence."""
    plain, said = watch(1, terminal=False)
    with plain:
        plain.start("net", steps=200, seeds=1)
        for step, loss in ((1, 2.0), (2, float("nan")), (11, float("inf"))):
            clock.now += 20
            plain.advance(step, loss)
    assert said.getvalue().splitlines()[1:] == [
        "  step 2/200, a seed diverged",
        "  step 11/200, a seed diverged, 12 min 36 s to go in this run",
    ]


def test_bars_in_a_terminal(clock: Time) -> None:
    bars, said = watch(2, terminal=True)
    with bars:
        bars.start("net", steps=10, seeds=1)
        bars.advance(5, 1.25)
        bars.bars.refresh()
        bars.finish("done")
    assert "loss 1.25" in said.getvalue()
    assert "[1/2] net: done" in said.getvalue()
    assert "sweep" in said.getvalue()


def test_nobody_knows_how_many(clock: Time) -> None:
    plain, said = watch(None, terminal=False)
    with plain:
        plain.start("net", steps=10, seeds=1)
        plain.finish("done")
    assert said.getvalue().splitlines() == ["[1/?] net: 10 steps, 1 seed; compiling", "[1/?] net: done"]


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.4, 59.6, 3725, 180_000)] == ["0 s", "1 min 0 s", "1 h 2 min", "2 d 2 h"]
