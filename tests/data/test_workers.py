"""The processes that read: they end with their parent, and what ends them is said, with what to type."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from resjax.data import workers
from resjax.data.pipeline import Element, Pipeline
from resjax.data.workers import ended
from resjax.errors import ReaderError


def test_a_worker_ends_with_its_parent_and_not_with_a_signal() -> None:
    begin = "import os, sys, time; from resjax.data import workers; workers.LOOK_SECONDS = 0.01; "
    end = "print('ready', flush=True); time.sleep({}); os._exit(7)"
    orphan = begin + "workers.Start(os.getppid() + 1)(0, 1); " + end.format(30)  # its parent is gone
    child = begin + "workers.Start(os.getppid())(0, 1); " + end.format(0.5)
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for code in (orphan, child)]
    with both[0], both[1]:
        assert both[1].stdout is not None
        both[1].stdout.readline()
        for number in (signal.SIGINT, signal.SIGTERM):
            both[1].send_signal(number)
        assert [process.wait(20) for process in both] == [1, 7]


class Killed:
    """Examples, of which the third kills whoever reads it, as the system does where memory is wanting."""

    batch = 1
    side = 4

    def __len__(self) -> int:
        return 5

    def __getitem__(self, place: int) -> Element:
        if place == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"image": np.full((4, 4, 3), place, np.uint8)}


def test_a_worker_that_is_killed_is_told() -> None:
    found = []
    with pytest.raises(ReaderError, match=r"code -9(.|\n)*data\.workers=0"):
        found.extend(int(batch["image"].max()) for batch in Pipeline(Killed(), 1))
    assert found == [0, 1][: len(found)]


def test_how_a_worker_ended() -> None:
    said = "Worker process was terminated unexpectedly with exit code {}. Search the logs above."
    assert "trace stands above. As a rule" in str(ended(RuntimeError(said.format(1))))
    assert "__main__" in str(ended(RuntimeError(said.format(1))))  # as where a script is not guarded
    assert "__main__" not in str(ended(RuntimeError(said.format(-7))))
    assert ended(RuntimeError("something else")) is None


def test_too_little_shared_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's 64 MB, before anything is killed."""
    monkeypatch.setattr(workers, "SHARED", tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=16384, f_frsize=4096))
    batch = 32 * 224 * 224 * 3
    assert workers.fitting(batch, workers.room()) == 1
    said = str(workers.no_room(2, batch))
    assert "data.workers=2 may hold 67.4 MB of batches" in said
    assert "has room for 67.1 MB" in said
    assert "data.workers=1 (0: threads, which need none)" in said
    assert "--shm-size=65m" in said
    assert workers.fitting(batch, workers.room(sharing=2)) == 0
    assert "room for 33.6 MB for each of 2 processes" in (said := str(workers.no_room(2, batch, sharing=2)))
    assert "--shm-size=129m" in said
    monkeypatch.setattr(workers, "SHARED", tmp_path / "no")
    assert workers.fitting(batch, workers.room()) > 1000


def test_workers_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert workers.usual() == 15
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert workers.usual() == 1


def test_threads_hold_what_they_make_ahead() -> None:
    assert [workers.held(count) for count in (0, 1, 3)] == [workers.PER_WORKER, 7, 21]
