"""Which machine and which versions a number belongs to. No names of hosts or people."""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.workers import WorkerError
from resjax.facts import code

PATHS = ("--torch-python", "--out")


def facts(bench: Bench) -> dict[str, Any]:
    """Versions, machine, date and command."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(["python -m benchmarks.run", *shareable(sys.argv[1:])]),
        "resjax": code(),
        "versions": {"python": platform.python_version()} | versions(bench),
        "machine": {
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "system": platform.system(),
        },
    }


def shareable(words: list[str]) -> list[str]:
    """The command's words without paths of this machine."""
    kept: list[str] = []
    for word, before in zip(words, ["", *words], strict=False):
        if word.split("=")[0] not in PATHS and before not in PATHS:
            kept.append(word)
    return kept


def versions(bench: Bench) -> dict[str, str]:
    """Of every library that a contestant computes with, and a GPU's kind. WorkerError where one finds no GPU."""
    found: dict[str, str] = {}
    for name in ("ours", "flax", "torch"):
        if name in bench.contestants:
            with bench.start(name) as worker:
                about = worker.ask("about")
            if about["platform"] != bench.device:
                raise WorkerError(
                    f"{name} computes on the {about['platform']}, not on the {bench.device}.\n"
                    f"Expected a {bench.device}, and a library that uses it.\n"
                    "Type: .venv/bin/python -m pip install 'jax[cuda12]', or make bench"
                )
            found |= {library: version for library, version in about["versions"].items() if library != "python"}
            found |= {"device": about["device"]} if bench.device == "gpu" else {}
    return found


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
