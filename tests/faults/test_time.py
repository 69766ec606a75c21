"""A sweep with a time budget: it stops saved, says so, and the same command goes on to what it would have been."""

from collections.abc import Callable
from pathlib import Path

import pytest
from broken import SMALL, last_step, only_run, result, went_on_from

from resjax import records
from resjax.cli import main
from resjax.progress import Watch
from resjax.stopping import TIME_UP, Listener

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


def test_a_sweep_goes_on_with_what_is_left(clock: Callable[..., None]) -> None:
    words = ["train", "-m", *(word for word in WORDS if "depth" not in word), "model.depth=3,4,5"]
    seen = []
    for moved in (0, 1):  # the time is up with the first step of the first run that is made in a call
        watches: list[Watch] = []
        init = Watch.__init__

        def remembered(self: Watch, *given: object, init=init, watches=watches) -> None:
            init(self, *given)
            watches.append(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Watch, "__init__", remembered)
            clock(lambda watches=watches, moved=moved: bool(watches) and watches[0].moved and watches[0].made >= moved)
            assert main(words) == TIME_UP
        seen.append(sorted(records.state(path) for path in records.run_folders(Path("runs/default"))))
    assert seen[0] == ["pending", "pending", "preempted"]
    assert seen[1][0] == "done"
    clock(lambda: False)
    assert main(words) == 0
    assert [records.state(path) for path in records.run_folders(Path("runs/default"))] == ["done"] * 3
    assert main(words) == 0  # nothing is left


def test_too_short_a_time_is_said_and_not_tried_for_ever(
    clock: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    clock(lambda: True)
    assert main(["train", *WORDS]) == 2
    assert "Type: train.max_minutes=120" in capfd.readouterr().err
    assert not list(Path("runs").glob("default/*/run.json"))


def test_a_reproduction_without_all_its_runs_has_no_page(clock: Callable[..., None]) -> None:
    clock(lambda: True)
    words = ["reproduce", "he2015/fig6", "--preset", "smoke", "seeds=1", "train.max_minutes=1"]
    assert main(words) == 2
    assert not list(Path("runs").rglob("*.html"))


def test_the_time_of_a_clusters_jobs_is_the_clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["-m", *WORDS, "hydra/launcher=submitit_local", "hydra.launcher.gpus_per_node=null", "train.max_minutes=90"]
    assert main(["train", *words]) == 2
    assert "hydra.launcher.timeout_min=90" in capfd.readouterr().err
