"""A sweep with a time budget: it stops saved, says so, and the same command goes on to what it would have been."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from broken import SMALL, last_step, only_run, result, went_on_from

from resjax import records
from resjax.cli import main
from resjax.cli.train import code_of, time_to_stop
from resjax.config import Config
from resjax.errors import InputError
from resjax.stopping import TIME_UP, Listener
from resjax.sweep.executor import refuse_minutes
from resjax.sweep.launcher import Launcher

WORDS = [word for word in SMALL if not word.startswith(("parallel.threads", "parallel.devices"))]
WORDS += ["parallel.devices=1", "train.max_minutes=60"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[[], bool]], None]:
    """Let the time be up where a condition first holds; the folder is the test's own."""
    monkeypatch.chdir(tmp_path)

    def when(condition: Callable[[], bool]) -> None:
        up: list[bool] = []

        def is_up(listener: Listener) -> bool:
            up.extend([True] if not up and condition() else [])
            return bool(up)

        monkeypatch.setattr(Listener, "time_is_up", property(is_up))

    return when


def step_of_only() -> int:
    runs = list(Path("runs/default").glob("*/run.json"))
    return last_step(only_run(Path())) if runs else -1


def test_a_run_in_slices_is_the_run_in_one(clock: Callable[..., None], capfd: pytest.CaptureFixture[str]) -> None:
    for until in (60, 200, 10**9):
        clock(lambda until=until: step_of_only() > until)
        code = main(["train", *WORDS])
        assert code == (0 if until == 10**9 else TIME_UP)
        if code:
            assert records.state(only_run(Path())) == "preempted"
            assert "1 of 1 runs are left: the same command goes on" in capfd.readouterr().err.replace("\n", " ")
    assert went_on_from(only_run(Path())) > 200
    sliced, run_id = result(only_run(Path())), records.facts_of(only_run(Path()))["id"]
    clock(lambda: False)
    assert main(["train", *WORDS[:-1], "runs=other"]) == 0
    (whole,) = Path("other/default").glob("*/run.json")
    assert records.facts_of(whole.parent)["id"] == run_id
    assert sliced.same(result(whole.parent))


def rows_of_runs() -> int:
    return sum(path.stat().st_size > 0 for path in Path("runs").glob("default/*/metrics.jsonl"))


def test_a_sweep_goes_on_with_what_is_left(clock: Callable[..., None], capfd: pytest.CaptureFixture[str]) -> None:
    words = ["train", "-m", *(word for word in WORDS if not word.startswith(("probes", "train.steps")))]
    words += ["seed=0,2", "train.steps=210", "probes.at=[]", "probes.last=false"]
    seen = []
    for begun in (1, 2):  # the time is up as soon as so many runs have a row
        clock(lambda begun=begun: rows_of_runs() >= begun)
        assert main(words) == TIME_UP
        assert f"{3 - begun} of 2 runs are left" in capfd.readouterr().err
        seen.append(sorted(records.state(path) for path in records.run_folders(Path("runs/default"))))
    assert seen == [["pending", "preempted"], ["done", "preempted"]]
    clock(lambda: False)
    assert main(words) == 0
    assert [records.state(path) for path in records.run_folders(Path("runs/default"))] == ["done"] * 2
    clock(lambda: True)
    assert main(words) == 0, "all was done before: nothing is left, whatever the time"


def test_a_time_that_is_up_before_anything_begins(clock: Callable[..., None]) -> None:
    clock(lambda: True)
    assert main(["train", *WORDS]) == TIME_UP
    assert not list(Path("runs").glob("default/*/run.json"))


def test_the_clock() -> None:
    jobs = [Config(), Config(), Config()]
    assert time_to_stop(jobs) is None
    jobs[0].train.max_minutes, jobs[2].train.max_minutes = 3.0, 0.5
    now = time.monotonic()
    assert 30 <= time_to_stop(jobs) - now < 31
    listener = Listener()
    assert not listener.asked()
    listener.end = now + 1000
    assert (listener.asked(), listener.exit_code) == (False, 143)
    listener.end = now - 1
    assert (listener.asked(), listener.exit_code) == (True, TIME_UP)
    listener.number = signal.SIGINT
    assert listener.exit_code == 130


@pytest.mark.parametrize(
    ("statuses", "multirun", "rest", "number", "code"),
    [
        ({"done"}, True, 0, None, 0),  # all is done just as the time is up
        ({"done", "preempted"}, True, 2, None, TIME_UP),
        ({"failed"}, True, 1, None, TIME_UP),
        ({"failed", "done"}, True, 0, None, 1),
        ({"preempted"}, False, 1, None, TIME_UP),
        (set(), False, 1, None, TIME_UP),
        ({"preempted"}, True, 1, signal.SIGINT, 130),
        ({"preempted"}, True, 1, signal.SIGTERM, 143),
        ({"refused"}, True, 0, None, 2),
    ],
)
def test_exit_codes(statuses: set[str], multirun: bool, rest: int, number: int | None, code: int) -> None:
    listener = Listener()
    listener.end, listener.number = time.monotonic() - 1, number
    assert code_of(statuses, multirun, listener, rest) == code


def test_a_reproduction_without_all_its_runs_has_no_page(clock: Callable[..., None]) -> None:
    clock(lambda: True)
    words = ["reproduce", "he2015/fig6", "--preset", "smoke", "seeds=1", "train.max_minutes=1"]
    assert main(words) == TIME_UP
    assert not list(Path("runs").rglob("*.html"))


def test_the_time_of_a_clusters_jobs_is_the_clusters() -> None:
    config = Config()
    refuse_minutes(config, Launcher(where="slurm"))
    config.train.max_minutes = 90
    with pytest.raises(InputError, match=r"Type: train\.max_minutes=null hydra\.launcher\.timeout_min=90"):
        refuse_minutes(config, Launcher(where="slurm"))
