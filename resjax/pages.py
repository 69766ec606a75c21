"""Memory in huge pages (2 MiB instead of 4 KiB). glibc gives them only to a process that was started so."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

TUNABLES, HUGE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def wanted(environment: Mapping[str, str]) -> dict[str, str]:
    """What the environment lacks. Nothing where it says something of it, or where the kernel gives none on request."""
    said = environment.get(TUNABLES, "")
    try:
        on_request = "[madvise]" in ENABLED.read_text()
    except OSError:  # not Linux, or one without them
        on_request = False
    if HUGE in said or not on_request:
        return {}
    return {TUNABLES: ":".join(filter(None, (said, f"{HUGE}=1")))}


def restart() -> None:
    """This process once more, from its start, with huge pages; nothing where it has them or cannot.

    XLA's CPU backend takes the work space of every call from malloc, which gives it back to the kernel: as small pages
    it is zeroed and mapped page by page, call after call (docs/performance.md, Huge pages).
    """
    lacking = wanted(os.environ)
    if lacking:
        with suppress(OSError):  # then with small ones
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | lacking)
