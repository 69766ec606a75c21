"""JAX, before it computes anything: devices, threads, precision, and the programs that were compiled before."""

import sys
from functools import cache

from resjax.config import Config
from resjax.redaction import redacted


def decided_by_devices(config: Config) -> bool:
    """Whether the number of devices decides the result, and so is part of the id."""
    return config.model.norm == "batch" and config.model.norm_scope == "per_device"


def count_devices(config: Config) -> int | None:
    """The devices this run gets, where their number decides its result, else None."""
    if not decided_by_devices(config):
        return None
    from resjax.training.parallel import choose

    start_jax(config)
    return len(choose(config).devices)


def start_devices(wanted: int | None, threads: int | None = None) -> None:
    """Make virtual CPU devices, before JAX computes anything."""
    from resjax.training import parallel

    parallel.start_devices(wanted, threads)


def start_jax(config: Config) -> None:
    """Devices, precision, and what was compiled before."""
    from resjax.training import compile_cache, hosts, precision

    several = config.parallel.processes > 1  # then each makes its own devices, one a core
    start_devices(None if several else config.parallel.devices, config.parallel.threads)
    hosts.start(config.parallel.processes)
    say_once(compile_cache.switch_on())
    precision.start(config)


@cache
def say_once(problem: str) -> None:
    """Tell the user, once a process: the jobs of a sweep have the same problem."""
    if problem:
        print(f"resjax: {redacted(problem)}", file=sys.stderr)
