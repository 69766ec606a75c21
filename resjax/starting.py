"""JAX, before it computes anything: devices, threads, precision, and the programs that were compiled before."""

import os
import sys
from functools import cache

from resjax.config import Config, ParallelConfig
from resjax.redaction import redacted

# The share of a GPU's memory that JAX takes; jaxlib refuses both names at once.
FRACTION, OLD_FRACTION = "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"

# JAX's names. Not gpu, which stands for every maker's, and fails where one is missing.
PLUGINS = {"cpu": "cpu", "gpu": "cuda,cpu", "tpu": "tpu,cpu"}


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


def wanted_devices(settings: ParallelConfig) -> int | None:
    """How many devices there have to be."""
    return settings.devices if settings.device_ids is None else max(settings.device_ids) + 1


def claim(settings: ParallelConfig) -> None:
    """Where JAX will compute, on which of the GPUs, and how much of their memory it will take. Before its first use."""
    import jax

    if settings.platform is not None:
        jax.config.update("jax_platforms", PLUGINS[settings.platform])
    if settings.device_ids is not None:
        jax.config.update("jax_cuda_visible_devices", ",".join(map(str, settings.device_ids)))
    if settings.memory_fraction is not None:
        os.environ.pop(OLD_FRACTION, None)
        os.environ[FRACTION] = str(settings.memory_fraction)


def start_jax(config: Config) -> None:
    """Devices, precision, and what was compiled before."""
    from resjax.training import compile_cache, hosts, precision

    several = config.parallel.process_count > 1  # then each makes its own devices, one a core
    claim(config.parallel)
    start_devices(None if several else wanted_devices(config.parallel), config.parallel.threads)
    hosts.start(config.parallel.process_count)
    say_once(compile_cache.switch_on())
    precision.start(config)


@cache
def say_once(problem: str) -> None:
    """Tell the user, once a process: the jobs of a sweep have the same problem."""
    if problem:
        print(f"resjax: {redacted(problem)}", file=sys.stderr)
