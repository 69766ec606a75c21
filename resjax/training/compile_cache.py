"""Compiled programs on disk, so that the same network starts in seconds the next time.

JAX writes and reads them. Whoever can write there can make others run code, so the folder is private. It may be
deleted at any time: what is missing or damaged is compiled again. It is zlib's checksum that tells a changed byte;
where the package zstandard is installed, JAX compresses with that, and without a checksum.
"""

import os
import re
import stat
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TextIO

FOLDER_VARIABLE, OFF = "RESJAX_CACHE", "off"
MOST_BYTES = 2 * 2**30
UNREADABLE = re.compile(r"Error reading persistent compilation cache entry for '([^']+)'")


def switch_on() -> str:
    """Use $RESJAX_CACHE, or ~/.cache/resjax/compiled; not where the variable says off or the folder is not private.

    Where the variable says nothing, a cache that JAX has already (JAX_COMPILATION_CACHE_DIR) stays, and a home that
    cannot be written costs the cache alone. Returns why a folder is not used, and what to type; "" if all is well.
    """
    import jax

    wanted, has = os.environ.get(FOLDER_VARIABLE), jax.config.values["jax_compilation_cache_dir"]
    folder = Path(wanted or "~/.cache/resjax/compiled").expanduser()
    if wanted == OFF or has == str(folder) or (has and not wanted):
        return ""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if problem := not_private(folder):
            return f"{folder} {problem}"
        make_room(folder)
    except OSError as error:
        advice = f"Type: export {FOLDER_VARIABLE}=FOLDER, one that you can write, or {FOLDER_VARIABLE}={OFF}"
        return f"{folder}: {error.strerror}: programs are not kept.\n{advice}" if wanted else ""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    forget_what_is_unreadable(folder)
    return ""


def not_private(folder: Path) -> str:
    """Why programs from this folder must not be run, and what to type; "" if they may."""
    found = folder.stat()
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        return f"belongs to somebody else: programs are not kept.\nType: export {FOLDER_VARIABLE}=FOLDER, one of yours"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by others: programs are not kept.\nType: chmod 700 {folder}"
    return ""


def make_room(folder: Path, most: int = MOST_BYTES) -> None:
    """Where there are more than `most` bytes, delete what was written first until half of them are left."""
    files = []
    for path in folder.glob("*-cache"):
        with suppress(FileNotFoundError):  # another process makes room, too
            found = path.stat()
            files.append((found.st_mtime, found.st_size, path))
    files.sort()
    total = sum(size for _, size, _ in files)
    if total <= most:
        return
    for _, size, path in files:
        if total <= most / 2:
            return
        path.unlink(missing_ok=True)
        total -= size


def forget_what_is_unreadable(folder: Path) -> None:
    """JAX warns of a damaged entry and keeps it, and would warn for ever: delete it, so that it is written anew."""
    show = warnings.showwarning

    def showwarning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        damaged = UNREADABLE.match(str(message))
        if damaged is None:
            show(message, category, filename, lineno, file, line)
        else:
            for path in folder.glob(f"{damaged[1]}-*-cache"):
                path.unlink(missing_ok=True)

    warnings.showwarning = showwarning
