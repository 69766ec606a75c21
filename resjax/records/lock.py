"""One process a run: a lock that is freed when its holder dies, however it dies."""

import errno
import fcntl
import os
import time
from pathlib import Path

from resjax.durable import make_folder
from resjax.errors import InputError
from resjax.records.schema import LOCK

# Who asks whether a run is locked holds the lock for microseconds: so a second look, before it is called busy.
LOOKS, PAUSE_S = 4, 0.02


class BusyError(InputError):
    """Another process has the run."""


def lock(folder: Path) -> int:
    """Hold the run's lock until the descriptor is closed or the process ends. BusyError where another holds it."""
    for _ in range(LOOKS):
        make_folder(folder)
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:  # whoever was here found nothing to record, and took the folder with it
            continue
        if taken(descriptor) and is_still(descriptor, folder / LOCK):
            return descriptor
        os.close(descriptor)
        time.sleep(PAUSE_S)
    raise BusyError(
        f"{folder} is being written by another process.\nExpected one process a folder.\n"
        "Type: the same command again, once that one has ended"
    )


def taken(descriptor: int) -> bool:
    """Whether the lock could be had."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise InputError(
                "the runs folder is on a file system without locks (flock).\nExpected one that has them, or two "
                "processes could write one run.\nType: runs=FOLDER, on another disk; see docs/cluster.md"
            ) from error
        raise
    return True


def is_still(descriptor: int, path: Path) -> bool:
    """Whether the file that is open is the one that is there: whoever held it before may have deleted it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_locked(folder: Path) -> bool:
    """Whether a living process writes the run. Nothing is created."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
