"""Files that a process may have open: a set of a thousand shards needs as many and more."""

import contextlib
import resource
import sys


def hard_limit() -> int:
    """How many it may ask for."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def raise_limit() -> None:
    """Ask for all of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # a system may refuse "unlimited", which it calls its limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
