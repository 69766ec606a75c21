"""A trace of XLA's CPU backend by part of a training step."""

import gzip
import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

# An instruction of the compiled program, with the JAX operation it is from: where it is wrapped, and its kind.
INSTRUCTION = re.compile(r'%([\w.-]+) = .*metadata=\{op_name="([^"]*)"')
CONTAINERS = ("while", "conditional", "call")  # what they hold is counted by itself
SUMS = ("conv_general_dilated", "dot_general")
PARTS = {
    "conv_general_dilated": "convolution, forward",
    "dot_general": "product: head, 1x1 convolutions",
    "reduce_sum": "batch norm: sums",
    "sort": "batch: permutation",
    "": "XLA's own copies and zeros",
}


def rows(run: Callable[[], int], program: str) -> list[dict[str, Any]]:
    """Parts with their ms and operations a step. run: trains, and says how many steps; program: its compiled text.

    The last is what the steps took besides: the calls, the loop, and what the host does.
    """
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            begun = time.perf_counter()
            steps = run()
            taken = 1000 * (time.perf_counter() - begun) / steps
        events = list(operations(folder))
    origins: dict[str, str] = dict(INSTRUCTION.findall(program))
    milliseconds: defaultdict[str, float] = defaultdict(float)
    calls = Counter[str]()
    for name, microseconds in events:
        if not name.startswith(CONTAINERS):
            part = part_of(origins.get(name, ""))
            milliseconds[part] += microseconds / 1000 / steps
            calls[part] += 1
    ordered = sorted(milliseconds.items(), key=lambda item: -item[1])
    found = [{"part": part, "ms": ms, "calls": round(calls[part] / steps)} for part, ms in ordered]
    return [*found, {"part": "between the operations", "ms": taken - sum(milliseconds.values()), "calls": None}]


def part_of(origin: str) -> str:
    """What of a step a JAX operation belongs to."""
    kind = origin.rsplit("/", 1)[-1]
    if "kernel_gradient" in origin:
        return "kernel gradient: " + ("sums" if kind in SUMS else "axes exchanged, zeros around")
    if "input_gradient" in origin and kind in SUMS:
        return "convolution, gradient of the input"
    return PARTS.get(kind, "element by element: batch norm, relu, additions, update")


def operations(folder: str) -> Iterator[tuple[str, float]]:
    """Every operation of the trace, with its microseconds."""
    (path,) = Path(folder).rglob("*.trace.json.gz")
    with gzip.open(path) as stream:
        events = json.load(stream)["traceEvents"]
    for event in events:
        if event.get("ph") == "X" and "hlo_op" in event.get("args", {}):
            yield event["args"]["hlo_op"], event["dur"]
