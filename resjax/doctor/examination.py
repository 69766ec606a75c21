"""All checks of a run's machine, in order; each is told as soon as it is known."""

import os
from collections.abc import Iterator
from pathlib import Path

from resjax.config import Config
from resjax.doctor.check import FAILED, Check
from resjax.doctor.machine import accelerator, devices, found_devices, signs
from resjax.doctor.room import compile_cache, room
from resjax.doctor.versions import installation, versions
from resjax.records import kind_of, one_line
from resjax.starting import start_jax


def examine(config: Config, trace: Path | None = None) -> Iterator[Check]:
    """Trains a few steps and records nothing, but for a profile in `trace`.

    It ends early where a check fails without which the next cannot be made. InputError where the settings, the data
    and the devices do not fit together.
    """
    installed = installation()
    yield versions(installed)
    yield room(config.runs)
    try:
        yield from computed(config, trace)
    except (RuntimeError, MemoryError) as error:  # XLA's errors are RuntimeErrors
        yield broken(config, error)


def computed(config: Config, trace: Path | None) -> Iterator[Check]:
    """What takes devices."""
    start_jax(config)
    yield compile_cache()
    from resjax.doctor import arithmetic, training  # JAX is imported from here on
    from resjax.training.parallel import choose

    used = choose(config).devices
    found = found_devices(used)
    yield accelerator(installation(), signs(), found.platform, os.environ.get("JAX_PLATFORMS"))
    yield devices(config, found)
    yield from arithmetic.checks(used, config.train.precision)
    yield from training.checks(config, trace)


def broken(config: Config, error: BaseException) -> Check:
    """What the next check would have been: JAX broke."""
    said = one_line(error).splitlines()[0]
    if kind_of(error) == "memory":
        batch = max(config.train.batch_size // 2, 1)
        return Check("step", FAILED, said, f"train.batch_size={batch}, or model.remat=true")
    if "backend" in said:
        return Check("devices", FAILED, said, "unset JAX_PLATFORMS, or see docs/gpu.md")
    return Check("step", FAILED, said, "resjax doctor, without settings: where that is well, it is this net's program")
