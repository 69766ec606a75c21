"""Several processes, on one machine or on many, that make one run together (jax.distributed).

All of them compute the same program on their parts of the batch; the first one alone records. Whatever depends on a
clock or on a signal is agreed upon, or one of them would wait for the others for ever.
"""

import os
import platform
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from resjax.errors import InputError

ADDRESS, RANK = "JAX_COORDINATOR_ADDRESS", "JAX_PROCESS_ID"


def start(processes: int) -> None:
    """Meet the others; nothing where this process is alone, or has met them.

    SLURM's and TPU pods' processes find each other. Raises InputError where they cannot.
    """
    if processes == 1 or jax.distributed.is_initialized():
        return
    address, rank = os.environ.get(ADDRESS), os.environ.get(RANK)
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM for itself
    try:
        if address and rank:
            jax.distributed.initialize(address, processes, int(rank))
        else:
            jax.distributed.initialize(local_device_ids=local_devices())
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"parallel.processes={processes}, but they do not meet: {str(error).splitlines()[0]}\n"
            f"Expected a SLURM job or a TPU pod, or {ADDRESS}=HOST:PORT and {RANK}=0 to {processes - 1}.\n"
            "Type: parallel.processes=1, or see docs/cluster.md"
        ) from error
    if jax.process_count() != processes:
        raise InputError(
            f"parallel.processes={processes}, but there are {jax.process_count()}.\n"
            f"Type: parallel.processes={jax.process_count()}"
        )


def local_devices() -> list[int] | None:
    """The GPUs of a SLURM task: all that it sees, where it is alone on its node or sees but one. None: JAX's choice.

    JAX takes the one of the task's number on the node, which is right where every task sees all of them.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if "SLURM_LOCALID" not in os.environ or not visible:
        return None
    count = len(visible.split(","))
    alone = os.environ.get("SLURM_STEP_TASKS_PER_NODE", "").split("(")[0] == "1"
    return list(range(count)) if alone or count == 1 else None


def require_same(number: int) -> None:
    """InputError where another process is to make another run. All of them call this."""
    if several() and len(set(np.asarray(multihost_utils.process_allgather(np.asarray(number))).tolist())) > 1:
        raise InputError(
            "the processes that met are not to make the same run.\nExpected the same settings in all of them.\n"
            "Type: parallel.processes=1, for a run of its own each"
        )


def several() -> bool:
    """Whether this process is not alone."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this process records."""
    return jax.process_index() == 0


def beside() -> int:
    """The processes that train together on this machine, this one among them; all of them call this."""
    if not several():
        return 1
    own = zlib.crc32(platform.node().encode()) >> 1  # of 31 bits: JAX gathers no more
    return int((multihost_utils.process_allgather(np.asarray(own, np.int32)) == own).sum())


def decided(number: int) -> int:
    """The first process's number, for all of them."""
    return int(multihost_utils.broadcast_one_to_all(np.asarray(number))) if several() else number


def any_of(asked: bool) -> bool:
    """Whether any process is asked; all of them call this at the same point."""
    return bool(multihost_utils.process_allgather(np.asarray(asked)).any()) if several() else asked


def total(number: int) -> int:
    """The sum of every process's number; all of them call this at the same point."""
    return int(multihost_utils.process_allgather(np.asarray(number)).sum()) if several() else number


def union(numbers: set[int]) -> set[int]:
    """The numbers of all processes; all of them call this at the same point."""
    if not several():
        return numbers
    most = int(multihost_utils.process_allgather(np.asarray(len(numbers))).max())
    filled = np.array([*sorted(numbers), *[-1] * (most - len(numbers))], np.int64)
    return {int(number) for number in multihost_utils.process_allgather(filled).ravel() if number >= 0}


def place(tree: Any, sharding: Any) -> Any:
    """`jax.device_put`, also where some of the devices are another process's: each process has the whole tree."""
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def one(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and leaf.sharding == sharding:
            return leaf
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(one(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        value = np.asarray(leaf)
        return jax.make_array_from_callback(value.shape, sharding, lambda part: value[part])

    return jax.tree.map(one, tree)


def whole(tree: Any, sharding: Any) -> Any:
    """Arrays that are cut over all devices, on every one of them; all processes call this at the same point."""
    return jax.jit(lambda tree: tree, out_shardings=sharding)(tree)


def at_home(tree: Any, device: Any) -> Any:
    """Arrays that every device has whole, on one of this process's."""

    def one(leaf: Any) -> Any:
        foreign = isinstance(leaf, jax.Array) and not leaf.is_fully_addressable
        return leaf.addressable_data(0) if foreign else leaf

    return jax.device_put(jax.tree.map(one, tree), device)
