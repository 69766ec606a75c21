"""How far a run's records were at a checkpoint, and the way back there. A mark is plain values, digests among them."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from resjax.durable import sync_folder
from resjax.records.schema import METRICS, PARTS, TABLES

Mark = dict[str, Any]


def problem(folder: Path, mark: Mark) -> str | None:
    """What is not as it was at the mark: the log's first bytes, or a part of a table; None if all is."""
    path, size = folder / METRICS, mark["metrics_bytes"]
    try:
        content = path.read_bytes()[:size] if path.exists() else b""
        parts = {part.name: part.read_bytes() for part in parts_before(folder, mark["step"])}
    except (OSError, ValueError) as error:  # a bad sector, a folder in a file's place, a part of another name
        return f"what was recorded up to that step cannot be read: {error}"
    if len(content) < size or hashlib.sha256(content).hexdigest() != mark["metrics_sha256"]:
        return f"{METRICS} is not as it was at that step"
    found = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    if digest_of(found) != mark["parts_sha256"]:
        return f"{PARTS} are not as they were at that step"
    return None


def rewind(folder: Path, mark: Mark) -> None:
    """Take away what came after the mark; it comes again, bit for bit."""
    kept = {part.name for part in parts_before(folder, mark["step"])}
    for part in (folder / PARTS).glob("*"):
        if part.name not in kept:
            part.unlink()
    for table in TABLES:
        (folder / table).unlink(missing_ok=True)
    os.truncate(folder / METRICS, mark["metrics_bytes"])
    sync_folder(folder)


def parts_before(folder: Path, step: int) -> list[Path]:
    """The parts of every table whose first step is an earlier one."""
    found = (folder / PARTS).glob("*.parquet")
    return sorted(path for path in found if step_of(path.name) < step)


def step_of(part: str) -> int:
    """A part's first step."""
    return int(Path(part).stem.rpartition("-")[2])


def digest_of(parts: dict[str, str]) -> str:
    """One digest of the parts' names and digests."""
    return hashlib.sha256("".join(f"{name} {parts[name]}\n" for name in sorted(parts)).encode()).hexdigest()


def empty_folder(folder: Path, keep: tuple[str, ...]) -> None:
    """Delete what is in a run's folder, but for `keep`."""
    for path in folder.iterdir():
        if path.name in keep:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
