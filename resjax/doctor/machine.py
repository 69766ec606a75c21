"""What this machine computes on, and whether JAX found it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resjax.config import Config
from resjax.doctor.check import FAILED, OK, WARN, Check
from resjax.doctor.versions import CUDA_PLUGINS, Installation

GPU, TPU = "a GPU", "a TPU"
# What a driver leaves where a program sees it.
FILES = {"/dev/nvidia0": GPU, "/dev/accel0": TPU, "/dev/vfio/0": TPU}
PROGRAMS = {"nvidia-smi": GPU}
INSTALL = {GPU: "pip install 'resjax[cuda12]', or 'resjax[cuda13]' (docs/gpu.md)", TPU: "pip install 'resjax[tpu]'"}
ASK = {GPU: """python -c "import jax; jax.devices('cuda')\"""", TPU: """python -c "import jax; jax.devices('tpu')\""""}


def signs() -> dict[str, str]:
    """The files and programs of accelerators that there are, each with what it is a sign of."""
    files = {path: what for path, what in FILES.items() if Path(path).exists()}
    return files | {name: what for name, what in PROGRAMS.items() if shutil.which(name)}


def accelerator(found: Installation, seen: Mapping[str, str], platform: str, asked: str | None) -> Check:
    """Whether JAX computes on the accelerator that is there. seen: as of `signs`; asked: $JAX_PLATFORMS."""
    plugins, jaxlib = found.plugins(), found.packages.get("jaxlib", "is missing")
    wrong = [name for name in CUDA_PLUGINS if plugins.get(name, jaxlib) != jaxlib]
    said = ", ".join([*(f"{name} {version}" for name, version in plugins.items()), *seen])
    if wrong:
        extra = wrong[0].split("-")[1]
        told = ", ".join(f"{name} {plugins[name]}" for name in wrong)
        return Check("accelerator", FAILED, f"{told} beside jaxlib {jaxlib}", f"pip install -U 'resjax[{extra}]'")
    if platform != "cpu":
        return Check("accelerator", OK, f"{platform}; {said}" if said else platform)
    if not said:
        return Check("accelerator", OK, "none here: neither a driver nor a plugin of JAX's")
    kind = (TPU if "libtpu" in plugins else GPU) if plugins else next(iter(seen.values()))
    return Check("accelerator", WARN, f"{said}, but JAX computes on the CPU", way_out(kind, plugins, seen, asked))


def way_out(kind: str, plugins: Mapping[str, str], seen: Mapping[str, str], asked: str | None) -> str:
    """What to type where an accelerator is not used."""
    if asked and "cpu" in asked.split(","):
        return f"unset JAX_PLATFORMS, which is {asked}"
    if not plugins:
        return INSTALL[kind]
    if not seen and kind == GPU:
        return "nvidia-smi, which has to list a GPU: the driver comes before JAX (docs/gpu.md)"
    return f"{ASK[kind]}, which says why"


@dataclass(frozen=True)
class Devices:
    """count: that there are; used: of them by the run; memory_bytes: of one, where it says so."""

    platform: str
    kind: str
    count: int
    used: int
    processes: int
    memory_bytes: int | None


def found_devices(used: Sequence[Any]) -> Devices:
    """JAX's, of which a run takes `used`."""
    import jax

    home = next(device for device in used if device.process_index == jax.process_index())
    memory = (home.memory_stats() or {}).get("bytes_limit")
    return Devices(home.platform, home.device_kind, jax.device_count(), len(used), jax.process_count(), memory)


def devices(config: Config, found: Devices) -> Check:
    """What there is, and how much of it this run takes."""
    memory = f" of {found.memory_bytes / 1e9:.1f} GB" if found.memory_bytes else ""
    kind = "" if found.kind == found.platform else f" ({found.kind})"
    several = f", {found.processes} processes" if found.processes > 1 else ""
    said = f"{found.count} {found.platform}{kind}{memory}{several}; this run takes {found.used}"
    numbers = {
        "platform": found.platform,
        "device_kind": found.kind,
        "devices": found.count,
        "devices_used": found.used,
        "processes": found.processes,
        "memory_bytes": found.memory_bytes,
    }
    if found.used < found.count and (config.parallel.devices, config.parallel.device_ids) == (None, None):
        batch = config.train.batch_size
        told = f"{said}, as no more divide its batch of {batch}"
        return Check("devices", WARN, told, f"train.batch_size={found.count * 64} takes all", numbers)
    return Check("devices", OK, said, numbers=numbers)
