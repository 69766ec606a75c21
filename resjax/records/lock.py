"""One process a run: a lock that is freed when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path

from resjax.errors import InputError
from resjax.records.schema import LOCK


def lock(folder: Path) -> int:
    """Hold the run's lock until the descriptor is closed or the process ends. InputError where another holds it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise InputError(
            f"{folder} is being written by another process.\nExpected one process a run.\n"
            f"Type: resjax status {folder.parent}"
        ) from error
    return descriptor


def is_locked(folder: Path) -> bool:
    """Whether a living process writes the run."""
    try:
        os.close(lock(folder))
    except InputError:
        return True
    return False
