"""Files that are there whole or not at all, also after a crash of the machine."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write the file beside, bring it to the disk, rename it."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    with beside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    sync_rename(beside, path)


def sync_rename(beside: Path, path: Path) -> None:
    """Rename, and bring the rename to the disk."""
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
