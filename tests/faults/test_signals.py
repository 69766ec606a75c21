"""Asked to stop, whatever it is doing, a run saves itself, and ends bit for bit as if nobody had asked."""

import json
import os
import random
import signal
from pathlib import Path

import pytest
from broken import SMALL, finished, only_run, result, wait_for
from nursery import SAID, born

from resjax.faults import VARIABLE
from resjax.training.checkpoints import Checkpoints

# The point in the middle of what is done, and how often a run of SMALL passes it, at least.
DOING = {"compile": ("compiling", 1), "step": ("chunk", 25), "evaluation": ("evaluation", 20), "probe": ("probe", 5),
         "save": ("checkpoint.arrays", 10)}  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(full: bool, tmp_path_factory: pytest.TempPathFactory):
    if not full:
        pytest.skip("with --full; tests/cli/test_commands.py ends a run by TERM, test_other_signals one by INT")
    return result(finished(tmp_path_factory.mktemp("whole"), SMALL))


@pytest.mark.parametrize("doing", DOING)
def test_terminated_while(doing: str, undisturbed, tmp_path: Path, tally) -> None:
    point, most = DOING[doing]
    chance = random.Random(doing)
    for number in [chance.randint(1, most) for _ in range(20)]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        run = finished(folder, SMALL, 143, **{VARIABLE: f"{point}#{number}=terminate"})
        facts = json.loads((run / "run.json").read_text())
        assert facts["status"] == "preempted"
        logged = (run / "metrics.jsonl").read_text().splitlines()
        saved = Checkpoints(run / "checkpoints").steps()
        assert len(logged) // 2 == (saved[-1] if saved else 0), "everything that was computed is saved"
        assert result(finished(folder, SMALL)).same(undisturbed)
    tally(f"SIGTERM during {doing}", "20 times: exit code 143, preempted, nothing repeated, 0 differing runs")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGUSR1, 143), (signal.SIGUSR2, 143)])
def test_other_signals(number: int, code: int, tmp_path: Path, full: bool) -> None:
    if not full and number != signal.SIGINT:
        pytest.skip("with --full")
    words = [*SMALL, "train.steps=100000"]
    process = born(tmp_path, words)
    wait_for(lambda: has_rows(tmp_path))
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == code
    run = only_run(tmp_path)
    assert json.loads((run / "run.json").read_text())["status"] == "preempted"
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2 * Checkpoints(run / "checkpoints").steps()[-1]
    assert "the same command goes on" in (tmp_path / SAID).read_text()


def has_rows(folder: Path) -> bool:
    return any(path.stat().st_size for path in folder.glob("runs/default/*/metrics.jsonl"))


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    """Even where the main thread listens to nobody."""
    process = born(tmp_path, SMALL, **{VARIABLE: "chunk#3=hang"})
    wait_for(lambda: has_rows(tmp_path))
    process.join(1)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        process.join(0.5)
    process.join(10)
    assert process.exitcode == 130


def test_the_preparation_of_data_listens(tmp_path: Path) -> None:
    process = born(tmp_path, SMALL, **{VARIABLE: "data=terminate"})
    process.join(60)
    assert process.exitcode == 143
    assert not list(tmp_path.glob("runs/default/mlp*")), "nothing was begun, nothing is left"
