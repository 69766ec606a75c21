"""Where a run writes: the folder of all runs, and that of compiled programs."""

import os
import shutil
from pathlib import Path

from resjax.doctor.check import FAILED, OK, WARN, Check

LEAST_BYTES = 1_000_000_000


def room(runs: str, free: int | None = None) -> Check:
    """Whether runs can be written, and how much. free: bytes; None: as the disk has it."""
    place = nearest(Path(runs))
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Check("room", FAILED, f"{place} cannot be written", "runs=FOLDER, one that you can write")
    free = shutil.disk_usage(place).free if free is None else free
    said, numbers = f"{free / 1e9:.1f} GB free for {runs}", {"free_bytes": free}
    if free < LEAST_BYTES:
        return Check("room", WARN, said, "runs=FOLDER, on another disk", numbers)
    return Check("room", OK, said, numbers=numbers)


def nearest(path: Path) -> Path:
    """The path, or what there is of those above it."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def compile_cache() -> Check:
    """Whether compiled programs are kept, and where."""
    import jax

    from resjax.training.compile_cache import FOLDER_VARIABLE, OFF, switch_on

    problem = switch_on()
    folder = jax.config.values["jax_compilation_cache_dir"]
    numbers = {"cache": folder}
    if problem:
        found, _, advice = problem.partition("\nType: ")
        return Check("compile cache", WARN, found, advice, numbers)
    if folder:
        return Check("compile cache", OK, f"programs are kept in {folder}", numbers=numbers)
    if os.environ.get(FOLDER_VARIABLE) == OFF:
        return Check("compile cache", OK, f"off, as {FOLDER_VARIABLE} says", numbers=numbers)
    advice = f"export {FOLDER_VARIABLE}=FOLDER, one that you can write"
    return Check("compile cache", WARN, "off: every process compiles anew", advice, numbers)
