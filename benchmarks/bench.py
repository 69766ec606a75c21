"""What all sections share: the plan of the measurement, who takes part, and how a worker starts."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.workers import Worker
from resjax import pages

Row = dict[str, Any]
FEW = {"probes.batch_size": 8}  # where looking is not what is measured
PLATFORMS = {"cpu": "cpu", "gpu": "cuda,cpu"}


class OutOfTimeError(Exception):
    """The minutes of this slice are over; what is measured is kept."""


@dataclass(frozen=True)
class Entry:
    """An implementation, or a variant of one. job: what its job has besides. only: the device it is meant for."""

    module: str
    job: dict[str, Any] = field(default_factory=dict)
    only: str | None = None

    @property
    def torch(self) -> bool:
        """Whether it needs PyTorch."""
        return self.module == "torch_eager"


CONTESTANTS = {
    "ours": Entry("ours"),
    "ours_scanned": Entry("ours", {"settings": {"model.unroll": False}}, only="gpu"),
    "ours_bfloat16": Entry("ours", {"precision": "bfloat16"}, only="gpu"),
    "torch": Entry("torch_eager"),
    "torch_compile": Entry("torch_eager", {"compile": True}, only="gpu"),
    "torch_bfloat16": Entry("torch_eager", {"precision": "bfloat16"}, only="gpu"),
    "torch_compile_bfloat16": Entry("torch_eager", {"compile": True, "precision": "bfloat16"}, only="gpu"),
    "flax": Entry("flax_loop"),
}


@dataclass(frozen=True)
class Bench:
    """The plan.

    depths: of the speed section; seconds: of one turn; scratch: a folder for what is not kept; parts: one for what is
    measured of a section; until: when nothing more is begun, by time.perf_counter.
    """

    device: str
    torch_python: Path
    without: tuple[str, ...]
    depths: tuple[int, ...]
    compile_depths: tuple[int, ...]
    unrolled_most: int
    memory_depths: tuple[int, ...]
    remat_depth: int
    seeds_depth: int
    rounds: int
    seconds: float
    batch: int
    augment: bool
    long_steps: int
    scratch: Path
    parts: Path
    until: float

    def part(self, name: str, measure: Callable[[], list[Row]]) -> list[Row]:
        """The rows of a part of a section: those that an earlier slice left in `parts`, or measured now.

        OutOfTimeError where it is too late to begin.
        """
        path = self.parts / f"{name}.json"
        if not path.exists():
            if time.perf_counter() >= self.until:
                raise OutOfTimeError
            rows = measure()
            path.write_text(json.dumps(rows))
        found: list[Row] = json.loads(path.read_text())
        return found

    @property
    def contestants(self) -> dict[str, Entry]:
        """Who takes part."""
        return {
            name: row
            for name, row in CONTESTANTS.items()
            if row.only in (None, self.device) and not {name, name.split("_")[0]} & set(self.without)
        }

    @property
    def environment(self) -> dict[str, str]:
        """What JAX computes on; it reserves no memory there, since several workers are alive at once."""
        return {"JAX_PLATFORMS": PLATFORMS[self.device], "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

    def start(self, name: str, devices: int | None = None, one_core: bool = False) -> Worker:
        """A worker of the contestant `name`, with huge pages, as `resjax train` has them.

        devices: virtual CPU devices; one_core: on one core (ours alone).
        """
        row = CONTESTANTS[name]
        words = [str(self.torch_python) if row.torch else sys.executable, "-m", f"benchmarks.{row.module}"]
        words += ["--device", self.device] if row.torch else []
        words += ["--devices", str(devices)] if devices else []
        words += ["--one-core"] if one_core else []
        uncached = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
        return Worker(words, self.environment | uncached | pages.wanted(os.environ))

    def job(self, name: str, depth: int, shortcut: str = "identity", **details: Any) -> dict[str, Any]:
        """What `prepare` is told."""
        shared = {"depth": depth, "shortcut": shortcut, "batch": self.batch, "augment": self.augment}
        return shared | CONTESTANTS[name].job | details
