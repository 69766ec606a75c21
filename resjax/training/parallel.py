"""How one step is laid out over devices. Both strategies compute the same network on the same batch."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from resjax.config import Config, ParallelConfig, statistics_group
from resjax.errors import InputError

AXIS = "batch"
MOST_VIRTUAL_DEVICES = 8


@dataclass(frozen=True)
class Layout:
    """Devices, and what each sees of a batch.

    Under pmap a function sees one device's part of the batch, under jit the whole.
    """

    strategy: str
    devices: tuple[Any, ...]

    @property
    def axis(self) -> str | None:
        """The device axis's name, where a function sees one device's part."""
        return AXIS if self.strategy == "pmap" else None

    @property
    def mesh(self) -> Mesh:
        """The devices in a row."""
        return Mesh(np.array(self.devices), (AXIS,), axis_types=(AxisType.Auto,))

    def part(self, batch: Array) -> Array:
        """This device's part of an array along the batch (pmap), or the array, sharded (jit)."""
        if self.axis is None:
            return lax.with_sharding_constraint(batch, self.sharded())
        size = batch.shape[0] // len(self.devices)
        return lax.dynamic_slice_in_dim(batch, lax.axis_index(AXIS) * size, size)

    def mean(self, values: Any) -> Any:
        """The mean over devices of each device's mean."""
        return values if self.axis is None else lax.pmean(values, AXIS)

    def compile(self, step: Callable[..., Any], *arguments: Any, fed: int | None = None) -> Callable[..., Any]:
        """`step(state, *rest)`, compiled for such arguments: all of them on every device, the state donated.

        fed: the place of the argument that is cut along its batch, as `feed` lays it out.
        """
        if self.axis is None:
            jitted = jax.jit(step, donate_argnums=0, out_shardings=self.replicated())
            return jitted.lower(*arguments).compile()
        # pmap wants one argument that is mapped; the others are the same everywhere.
        ranks = jax.device_put(np.arange(len(self.devices), dtype=np.int32), self.sharded())
        axes = (0, *(1 if place == fed else None for place in range(len(arguments))))
        mapped = jax.pmap(
            lambda rank, *rest: step(*rest), AXIS, in_axes=axes, out_axes=None, devices=self.devices, donate_argnums=1
        )
        return partial(mapped.lower(ranks, *arguments).compile(), ranks)

    def feed(self, array: np.ndarray) -> Array:
        """This process's part of an array (seed, batch, ...) on its devices, cut along the batch.

        Under pmap it becomes (seed, device, its part of the batch, ...).
        """
        sharding = NamedSharding(self.mesh, PartitionSpec(None, AXIS))
        if self.axis is not None:
            seeds, batch, *rest = array.shape
            count = len(self.devices)
            return jax.device_put(array.reshape(seeds, count, batch // count, *rest), sharding)
        return jax.make_array_from_process_local_data(sharding, array)

    def host_part(self, batch: int) -> range:
        """The places of a batch that this process's devices have."""
        own = [place for place, device in enumerate(self.devices) if device.process_index == jax.process_index()]
        if own != list(range(own[0], own[0] + len(own))):  # JAX lists them process by process
            raise InputError(
                f"process {jax.process_index()} has the devices {own} of {len(self.devices)}.\nExpected neighbours, "
                "which read one part of a batch.\nType: parallel.processes=1"
            )
        size = batch // len(self.devices)
        return range(own[0] * size, (own[-1] + 1) * size)

    def replicated(self) -> NamedSharding:
        """The same array on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def home(self) -> Any:
        """The first device of this process."""
        return next(device for device in self.devices if device.process_index == jax.process_index())

    def sharded(self) -> NamedSharding:
        """The leading axis cut into a part a device."""
        return NamedSharding(self.mesh, PartitionSpec(AXIS))


def start_devices(wanted: int | None, threads: int | None = None) -> None:
    """Make virtual CPU devices, one a core and at least `wanted`. Has an effect before JAX's first use only.

    threads: how many the CPU's arithmetic uses, whatever the number of cores: its last bits depend on it. With them
    there are exactly as many devices as are wanted, since XLA has at least a thread a device.
    """
    if threads is not None:
        os.environ["PJRT_NPROC"] = str(threads)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = min(cores, MOST_VIRTUAL_DEVICES)
    before = getattr(jax.config, "jax_num_cpu_devices", 0)  # an earlier wish, whose devices are not made yet
    count = max(wanted or 1, most, before) if threads is None or wanted is None else wanted
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # the backend runs already: what it has is what there is
        return


def devices_of(settings: ParallelConfig, option: str = "parallel.platform") -> list[Any]:
    """The devices that a run may take, all processes'. InputError where those that are asked for are not there.

    option: what the platform is asked for by.
    """
    found = started(settings.platform, option)
    if settings.device_ids is None:
        return found
    by_number = {device.local_hardware_id: device for device in found}
    if missing := [number for number in settings.device_ids if number not in by_number]:
        raise InputError(
            f"parallel.device_ids={settings.device_ids}, but there is no device {missing[0]}.\n"
            f"Expected of: {', '.join(map(str, sorted(by_number)))}. Virtual ones are made when the process starts.\n"
            f"Type: parallel.device_ids=[{min(by_number)}]"
        )
    return [by_number[number] for number in settings.device_ids]


def started(platform: str | None, option: str) -> list[Any]:
    """JAX's devices. InputError where it cannot start on the platform that is asked for, or has started on another."""
    try:
        found = jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter, without words, where there is no plugin
        if platform is None:
            raise
        raise InputError(
            f"{option}={platform}, but JAX cannot compute there: {first_line(error)}\n"
            "Expected a platform that there is, and JAX's part for it.\n"
            f"Type: {option}=cpu, or pip install 'resjax[cuda12]' on a machine with a GPU, see docs/gpu.md"
        ) from error
    if platform not in (None, jax.default_backend()):
        raise InputError(
            f"{option}={platform}, but JAX computes on the {jax.default_backend()} in this process.\n"
            "Expected one platform for all runs of a process, and JAX's part for it.\n"
            f"Type: {option}={jax.default_backend()}"
            + (", or hydra/launcher=basic" if option == "parallel.platform" else "")
        )
    return found


def first_line(error: BaseException) -> str:
    """What it says, or its name."""
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return said.partition(" (set JAX_PLATFORMS")[0]


def choose(config: Config) -> Layout:
    """The layout that `parallel` asks for, or InputError with the device counts that would do."""
    devices = devices_of(config.parallel)
    available = len(devices)
    counts = range(1, available + 1) if jax.process_count() == 1 else [available]  # each process has its part
    legal = [count for count in counts if divides(count, config)]
    if not legal:
        raise InputError(
            f"train.batch_size={config.train.batch_size} cannot be shared by {available} devices of "
            f"{jax.process_count()} processes.\nType: train.batch_size={available * 64}"
        )
    wanted = config.parallel.devices if config.parallel.device_ids is None else available
    if wanted is None:
        wanted = legal[-1]
    elif wanted > available:
        raise InputError(
            f"parallel.devices={wanted}, but there are {available}.\n"
            f"Expected a count that there is. Virtual CPU devices are made when the process starts.\n"
            f"Type: parallel.devices={' or '.join(map(str, legal))}"
        )
    elif wanted not in legal:
        raise InputError(
            f"parallel.devices={wanted} cannot share train.batch_size={config.train.batch_size} here.\n"
            f"Expected a count that divides the batch and its groups of batch statistics, of {available} devices.\n"
            f"Type: parallel.devices={' or '.join(map(str, legal))}"
        )
    return Layout(config.parallel.strategy, tuple(devices[:wanted]))


def divides(devices: int, config: Config) -> bool:
    """Whether each device gets as many examples, in whole groups or each group from whole devices."""
    batch, group = config.train.batch_size, statistics_group(config)
    if batch % devices:
        return False
    part = batch // devices
    return group is None or part % group == 0 or group % part == 0


def group_size(config: Config, layout: Layout) -> int:
    """Examples that share batch statistics in training."""
    return statistics_group(config) or config.train.batch_size // len(layout.devices)
