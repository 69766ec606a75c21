"""Files that a process may have open: a set of a thousand shards needs as many and more."""

SPARE = 200  # that everything else may have open


def raise_limit() -> int | None:
    """Raise the soft limit to the hard one, and return it; None where the system has no such limits, as Windows."""
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return None if hard == resource.RLIM_INFINITY else hard
