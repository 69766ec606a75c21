"""Processes that make one run together, on two cores."""

import json
import os
import random
import socket
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
from nursery import born

CORES = sorted(os.sched_getaffinity(0))[:2]  # a virtual device each
ONLY = {"RESJAX_TEST_CORES": ",".join(map(str, CORES))}


def free_port(ports: range) -> int:
    """One of them that nobody listens at; 0 stands for any."""
    for port in random.sample(ports, len(ports)):
        with socket.socket() as free, suppress(OSError):
            free.bind(("localhost", port))
            return int(free.getsockname()[1])
    raise OSError(f"no port of {ports} is free")


def together(folder: Path, words: Sequence[str]) -> list[ForkServerProcess]:
    """Two processes, each with two devices (on one core: with one)."""
    address = f"localhost:{free_port(range(1))}"
    return [
        born(
            folder,
            [*words, "parallel.processes=2"],
            JAX_COORDINATOR_ADDRESS=address,
            JAX_PROCESS_ID=str(rank),
            **ONLY,
        )
        for rank in range(2)
    ]


def series(run: Path) -> dict[str, np.ndarray]:
    """Losses and gradient norms, step by step."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {name: np.array([row[name] for row in rows if name in row], float) for name in ("train_loss", "grad_norm")}
