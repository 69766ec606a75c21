"""Files that are there whole or not at all, also after a crash of the machine."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from resjax import faults

FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFullError(OSError):
    """No room is left. The message says where, how much was wanted and how much there is."""


def write_whole(path: Path, content: bytes, what: str = "") -> None:
    """Write the file beside, bring it to the disk, rename it. Raises DiskFullError; then the old file stands.

    what: its name among the points at which tests break a process (resjax.faults); by default that of the file.
    """
    with replacing(path, len(content), what) as beside, beside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def replacing(path: Path, size: int, what: str = "") -> Iterator[Path]:
    """A name beside `path` for the block to write `size` bytes to, durably; then it takes the place of `path`.

    What the block leaves half-written goes.
    """
    beside, what = path.with_name(f"{path.name}.{os.getpid()}.new"), what or path.stem
    try:
        with no_room_said(path, size):
            yield beside
            faults.point(f"{what}.beside")
            sync_rename(beside, path)
        faults.point(f"{what}.renamed")
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


@contextmanager
def no_room_said(path: Path, size: int) -> Iterator[None]:
    """A full disk, in the block, becomes DiskFullError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise no_room(path, size) from error
        raise


def no_room(path: Path, size: int) -> DiskFullError:
    """What to say, with the bytes that there are."""
    with suppress(OSError):
        free = f"{shutil.disk_usage(path.parent).free:,} bytes are free"
        return DiskFullError(
            f"no room for {path}: {size:,} bytes to write, {free}.\nWhat was finished before is whole.\n"
            "Make room and type the same command again, or choose another folder: runs=FOLDER"
        )
    return DiskFullError(f"no room for {path}: {size:,} bytes to write.")


def sync_rename(beside: Path, path: Path) -> None:
    """Rename, and bring the rename to the disk."""
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make it, with those above it, and bring their entries to the disk."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        with suppress(OSError):  # gone again, or not ours to open
            sync_folder(place.parent)


def sync_tree(folder: Path) -> None:
    """Bring everything below `folder`, and its own entry, to the disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            descriptor = os.open(Path(place) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(place))
    sync_folder(folder.parent)


@contextmanager
def without_patterns(folder: Path) -> Iterator[Path]:
    """`folder`, by a link where its path has *, ? or [: orbax looks there with glob, and finds nothing of its own."""
    path = folder.resolve()
    if not set("*?[") & set(str(path)):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="resjax-") as place:
        link = Path(place) / "checkpoints"
        link.symlink_to(path, target_is_directory=True)
        yield link
