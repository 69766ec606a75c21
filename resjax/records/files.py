"""The files of a run's folder: written whole, without secrets; a full disk is said."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from resjax.durable import DiskFullError, replacing, write_whole
from resjax.errors import OutOfMemoryError
from resjax.records.schema import ERROR, LOG
from resjax.redaction import redacted


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def one_line(error: BaseException) -> str:
    """The error's kind and message."""
    return redacted(f"{type(error).__name__}: {error}".rstrip(": "))


def failure_of(error: BaseException) -> dict[str, Any]:
    """Its kind, and what else is known of it."""
    return {"kind": kind_of(error)} | (error.facts if isinstance(error, OutOfMemoryError) else {})


def kind_of(error: BaseException) -> str:
    """What kind of failure it is: of the disk, of memory, an end of the process, or an exception."""
    if isinstance(error, DiskFullError):
        return "disk"
    if (
        isinstance(error, OutOfMemoryError | MemoryError)
        or "RESOURCE_EXHAUSTED" in str(error)
        or "Out of memory" in str(error)
    ):
        return "memory"
    return "exit" if isinstance(error, SystemExit) else "exception"


def write_json(path: Path, content: Any) -> None:
    """Strict JSON, whole, without secrets."""
    write_whole(path, (redacted(json.dumps(content, indent=1, allow_nan=False)) + "\n").encode())


def write_error(folder: Path, text: str) -> None:
    """error.txt."""
    write_whole(folder / ERROR, redacted(text).encode())


def append_log(folder: Path, text: str) -> None:
    """Append to log.txt. A full disk costs the line, not the run."""
    with contextlib.suppress(OSError), (folder / LOG).open("a") as stream:
        stream.write(redacted(text))


def write_frame(path: Path, frame: pl.DataFrame, what: str = "") -> None:
    """`write_whole` of a frame as Parquet."""
    with replacing(path, int(frame.estimated_size()), what) as beside:
        with frame_errors():
            frame.write_parquet(beside.resolve())  # polars reads a ~ at the beginning as the home folder
        with beside.open("rb") as stream:
            os.fsync(stream.fileno())


@contextlib.contextmanager
def frame_errors() -> Iterator[None]:
    """polars says a full disk in words alone."""
    try:
        yield
    except pl.exceptions.ComputeError as error:
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, "No space left on device") from error
        raise
