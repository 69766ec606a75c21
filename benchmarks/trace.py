"""A trace of XLA's CPU backend by part of a training step."""

import gzip
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

# An instruction of the compiled program, with the JAX operation it is from: its name, where it is wrapped, its kind.
INSTRUCTION = re.compile(r'%([\w.-]+) = .*metadata=\{op_name="([^"]*)"')
CONTAINERS = ("while", "conditional", "call", "fusion")  # what they hold is counted by itself
PARTS = {
    "conv_general_dilated": "convolution",
    "dot_general": "kernel gradient: product",
    "concatenate": "kernel gradient: shifts side by side",
    "pad": "kernel gradient: shifts side by side",
    "slice": "kernel gradient: shifts side by side",
    "reduce_sum": "batch norm: sums",
    "sort": "batch: permutation",
}
BACKWARD = "transpose("


def rows(run: Callable[[], int], program: str) -> list[dict[str, Any]]:
    """Parts with their ms and operations a step. run: trains, and says how many steps; program: its compiled text."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            steps = run()
        events = list(operations(folder))
    origins: dict[str, str] = dict(INSTRUCTION.findall(program))
    milliseconds: defaultdict[str, float] = defaultdict(float)
    calls = Counter[str]()
    for name, microseconds in events:
        if name in origins and not name.startswith(CONTAINERS):
            part = part_of(origins[name])
            milliseconds[part] += microseconds / 1000 / steps
            calls[part] += 1
    ordered = sorted(milliseconds.items(), key=lambda item: -item[1])
    return [{"part": part, "ms": ms, "calls": round(calls[part] / steps)} for part, ms in ordered]


def part_of(origin: str) -> str:
    """What of a step a JAX operation belongs to."""
    kind = origin.rsplit("/", 1)[-1]
    part = PARTS.get(kind, "element by element: batch norm, relu, sums, update")
    if part == "convolution":
        return f"{part}, {'gradient of the input' if BACKWARD in origin else 'forward'}"
    return part


def operations(folder: str) -> Iterator[tuple[str, float]]:
    """Every operation of the trace, with its microseconds."""
    (path,) = Path(folder).rglob("*.trace.json.gz")
    with gzip.open(path) as stream:
        events = json.load(stream)["traceEvents"]
    for event in events:
        if event.get("ph") == "X" and "hlo_op" in event.get("args", {}):
            yield event["args"]["hlo_op"], event["dur"]
