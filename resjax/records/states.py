"""What a run's folder goes through besides being written: planned, set aside, failed by a death of its process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resjax.durable import sync_folder
from resjax.errors import InputError
from resjax.records import marks
from resjax.records.files import now, write_error, write_json
from resjax.records.reading import facts_of
from resjax.records.schema import ATTEMPTS, ERROR, LOCK, LOG, RESERVE, RUN
from resjax.redaction import redacted


def set_aside(folder: Path) -> Path | None:
    """Move what an earlier attempt left to <sweep>/attempts/: nothing of it is lost, nothing of it is mixed in.

    The folder there, or None where nothing was left.
    """
    (folder / RESERVE).unlink(missing_ok=True)
    planned = facts_if_readable(folder).get("status") == "pending"
    stays = (LOCK, RUN, LOG) if planned else (LOCK,)
    return move_to_attempts(folder, [path for path in folder.iterdir() if path.name not in stays])


def put_back(folder: Path, aside: Path) -> None:
    """Undo `set_aside`, run.json last."""
    for path in sorted(aside.iterdir(), key=lambda path: path.name == RUN):
        path.rename(folder / path.name)
    aside.rmdir()
    sync_folder(folder)


def facts_if_readable(folder: Path) -> dict[str, Any]:
    """run.json, or nothing where there is none that can be read."""
    try:
        return facts_of(folder)
    except InputError:
        return {}


def keep_error(folder: Path) -> None:
    """The error of the attempt before goes to <sweep>/attempts/, the rest stays where it is."""
    move_to_attempts(folder, [path for path in (folder / ERROR,) if path.exists()])


def move_to_attempts(folder: Path, left: list[Path]) -> Path | None:
    """Move files of a run's folder aside, run.json first: without it nothing that is left here looks like a run."""
    if not left:
        return None
    aside = folder.parent / ATTEMPTS / f"{folder.name}-{time.time_ns()}"
    aside.mkdir(parents=True)
    for path in sorted(left, key=lambda path: path.name != RUN):
        path.rename(aside / path.name)
    for place in (folder, aside, aside.parent, folder.parent):
        sync_folder(place)
    return aside


def plan(folder: Path, run: dict[str, Any]) -> None:
    """Note a run that will be made, unless its folder holds one. The caller holds the run's lock."""
    if not (folder / RUN).exists():
        write_json(folder / RUN, run | {"status": "pending", "attempt": 0})


@contextmanager
def planning(folder: Path, run: dict[str, Any]) -> Iterator[None]:
    """`plan`, taken back where the run was not there before, and never begins. The caller holds the run's lock."""
    fresh = not (folder / RUN).exists()
    plan(folder, run)
    try:
        yield
    finally:
        if fresh and facts_if_readable(folder).get("status") == "pending":
            marks.empty_folder(folder, keep=(LOCK,))


def fail(folder: Path, kind: str, error: str, trace: str, attempt: int | None = None, **facts: Any) -> None:
    """Record the failure of a run whose process could not do it itself. The caller holds the run's lock.

    attempt: its number; by default the next one where the last is over. A run that was done before, and should have
    been made again, stays done, and one whose run.json cannot be read stays damaged: only the trace is kept.
    """
    (folder / RESERVE).unlink(missing_ok=True)
    write_error(folder, trace)
    run = facts_if_readable(folder)
    if run.get("status") == "done" or (not run and (folder / RUN).exists()):
        return
    if attempt is None:
        attempt = run.get("attempt", 0) + (run.get("status") != "running")
    failure = {"kind": kind, **facts}
    write_json(
        folder / RUN,
        run | {"status": "failed", "attempt": attempt, "ended": now(), "error": redacted(error), "failure": failure},
    )
