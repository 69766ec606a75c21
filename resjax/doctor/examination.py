"""All checks of a run's machine, in order; each is told as soon as it is known."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
    installed, asked = installation(), os.environ.get("JAX_PLATFORMS")
    yield versions(installed)
    yield room(config.runs)
    start_jax(config)
    yield compile_cache()
    from resjax.training.parallel import choose  # JAX is imported from here on

    try:
        used = choose(config).devices
    except (RuntimeError, AssertionError) as error:  # the second one where a platform has no plugin (jax 0.10)
        yield no_devices(error, asked)
        return
    found = found_devices(used)
    yield accelerator(installed, signs(), found.platform, asked)
    yield devices(config, found)
    try:
        yield from computed(config, used, trace)
    except (RuntimeError, MemoryError) as error:  # XLA's errors are RuntimeErrors
        yield broken(config, error)


def computed(config: Config, used: Sequence[Any], trace: Path | None) -> Iterator[Check]:
    """What these devices make."""
    from resjax.doctor import arithmetic, training

    yield from arithmetic.checks(used, config.train)
    yield from training.checks(config, trace)


def no_devices(error: BaseException, asked: str | None) -> Check:
    """JAX did not start. asked: $JAX_PLATFORMS."""
    said = one_line(error).splitlines()[0]
    if asked:
        return Check("devices", FAILED, f"JAX_PLATFORMS={asked}: {said}", "unset JAX_PLATFORMS, or see docs/gpu.md")
    return Check("devices", FAILED, said, "JAX_PLATFORMS=cpu before the command, or see docs/gpu.md")


def broken(config: Config, error: BaseException) -> Check:
    """JAX broke in the midst of the checks."""
    said = one_line(error).splitlines()[0]
    if kind_of(error) == "memory":
        batch = max(config.train.batch_size // 2, 1)
        return Check("step", FAILED, said, f"train.batch_size={batch}, or model.remat=true")
    return Check("step", FAILED, said, "resjax doctor, without settings: where that is well, it is this net's program")
