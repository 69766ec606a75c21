"""Measure, and write benchmarks/results/cpu.json or gpu.json.  python -m benchmarks.run [--quick] [--only speed,start]

A section that is measured replaces the one in the file; the others stay, each with its own date, versions and machine.
With --missing only those are measured that the file does not hold; what a call that was cut off has measured of a
section lies in results/DEVICE.parts meanwhile, and the next call goes on there.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import costs, idle, long, machine, profile, roofline, seeds, speed, start
from benchmarks.bench import CONTESTANTS, Bench, OutOfTimeError, Row
from benchmarks.workers import WorkerError

RESULTS = Path(__file__).parent / "results"
DEFAULT_TORCH = Path(".venv-bench/bin/python")
SECTIONS: dict[str, Callable[[Bench], list[Row]]] = {
    "speed": speed.speed,
    "compile": costs.compile_time,
    "memory": costs.memory,
    "remat": costs.remat,
    "probes": costs.probes,
    "seeds": seeds.seeds,
    "long": long.long,
    "devices": speed.devices,
    "start": start.start,
    "profile": profile.profile,
    "roofline": roofline.roofline,
}
CPU_ONLY = ("devices", "profile")  # virtual devices; a trace of XLA's CPU backend
GPU_ONLY = ("long",)
LEFT = 75  # the exit code where something is left to measure
# In place of --depths and the others, where they are not given.
FULL: dict[str, Any] = {
    "depths": (20, 56, 110),
    "compile_depths": (20, 56, 110, 1202),
    "unrolled_most": 110,
    "memory_depths": (20, 110),
    "remat_depth": 110,
    "seeds_depth": 8,
    "long_steps": 64_000,
    "rounds": 5,
    "seconds": 3.0,
}
QUICK: dict[str, Any] = {
    "depths": (8,),
    "compile_depths": (8, 20),
    "unrolled_most": 8,
    "memory_depths": (8,),
    "remat_depth": 20,
    "seeds_depth": 8,
    "long_steps": 200,
    "rounds": 2,
    "seconds": 0.5,
}


def main() -> int:
    """Measure the sections asked for; 0, 1 where one failed (the others are written), 2 where nothing can be, 75 where
    the minutes were over before the last.
    """
    options = parser().parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = bench_of(options, Path(scratch))
        complaint = missing_torch(bench)
        if complaint:
            say(complaint)
            return 2
        path = options.out or RESULTS / f"{bench.device}.json"
        sections = wanted(options, path)
        if not sections:
            return 0
        try:
            facts = machine.facts(bench)
        except WorkerError as error:  # no GPU, say
            say(str(error))
            return 2
        try:
            done = [measure(name, bench, path, facts, options.missing) for name in sections]
        except OutOfTimeError:
            say("the minutes are over; type the same again to go on")
            return LEFT
    return 0 if all(done) else 1


def wanted(options: argparse.Namespace, path: Path) -> list[str]:
    """The sections asked for, with --missing without those that are measured."""
    others = CPU_ONLY if options.device == "gpu" else GPU_ONLY
    held = held_in(path) if options.missing else {}
    asked = options.only or [name for name in SECTIONS if name not in others]
    return [name for name in asked if name not in held]


def measure(name: str, bench: Bench, path: Path, facts: dict[str, Any], goes_on: bool) -> bool:
    """Measure a section and put it into the file; whether that went well. OutOfTimeError: not all of it is measured.

    goes_on: with what an earlier call has left of it.
    """
    scratch = Path(tempfile.mkdtemp(dir=bench.scratch))
    parts = path.with_suffix(".parts") / name if goes_on else scratch / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    before, begun = idle.mark(), time.perf_counter()
    if begun >= bench.until:
        raise OutOfTimeError
    say(f"{name} ...")
    try:
        rows = SECTIONS[name](replace(bench, scratch=scratch, parts=parts))
    except WorkerError as error:
        say(f"{name} FAILED: {error}")
        return False
    others, seconds = idle.taken_by_others(before, idle.mark()), round(time.perf_counter() - begun, 1)
    say(f"{name} done in {seconds:.0f} s", idle.complaint(others))
    about = {"settings": settings(bench), "seconds": seconds, "cores_used_by_others": others}
    write(path, name, {**facts, **about, "rows": rows})
    shutil.rmtree(parts)
    return True


def say(*lines: str | None) -> None:
    """Tell whoever waits."""
    for line in filter(None, lines):
        print(line, file=sys.stderr, flush=True)


def bench_of(options: argparse.Namespace, scratch: Path) -> Bench:
    """The plan from the command's words."""
    defaults = QUICK if options.quick else FULL
    given = {name: getattr(options, name) for name in ("depths", "rounds", "seconds")} | {"long_steps": options.steps}
    chosen = defaults | {name: value for name, value in given.items() if value is not None}
    return Bench(
        device=options.device,
        torch_python=options.torch_python.absolute(),
        without=options.without,
        batch=options.batch,
        augment=options.augment,
        scratch=scratch,
        parts=scratch,
        until=math.inf if options.minutes is None else time.perf_counter() + 60 * options.minutes,
        **chosen,
    )


def settings(bench: Bench) -> dict[str, Any]:
    """What of the plan a reader needs to know."""
    return {"rounds": bench.rounds, "seconds": bench.seconds, "batch": bench.batch, "augment": bench.augment}


def missing_torch(bench: Bench) -> str | None:
    """What to type where PyTorch is wanted and not there."""
    if not any(row.torch for row in bench.contestants.values()):
        return None
    words = [str(bench.torch_python), "-c", "import torch, numpy"]
    if bench.torch_python.exists() and subprocess.run(words, capture_output=True).returncode == 0:
        return None
    return (
        f"{bench.torch_python} has no PyTorch.\nExpected a Python with torch and numpy (requirements/bench.txt).\n"
        "Type: make bench, which makes one; or --torch-python PYTHON; or --without torch, to measure the rest"
    )


def write(path: Path, name: str, section: dict[str, Any]) -> None:
    """Put one section into the file, in the order of SECTIONS."""
    held = held_in(path)
    held[name] = section
    ordered = {key: held[key] for key in SECTIONS if key in held}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ordered, indent=1, allow_nan=False) + "\n")


def held_in(path: Path) -> dict[str, Any]:
    """The sections in the file."""
    held: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return held


def names(legal: dict[str, Any]) -> Callable[[str], tuple[str, ...]]:
    """Reads NAME[,NAME]."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        wrong = [name for name in found if name not in legal]
        if wrong:
            raise argparse.ArgumentTypeError(f"{', '.join(wrong)} is not known. Expected of: {', '.join(legal)}")
        return found

    return read


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    root = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    root.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    root.add_argument("--quick", action="store_true", help="small nets, few rounds: minutes; to see that all runs")
    root.add_argument("--only", type=names(SECTIONS), metavar="NAME[,NAME]", help=", ".join(SECTIONS))
    root.add_argument("--missing", action="store_true", help="only sections that the file does not hold yet")
    root.add_argument("--minutes", type=float, help="begin nothing after so many; what is left makes the exit code 75")
    root.add_argument("--without", type=names(CONTESTANTS), default=(), metavar="NAME[,NAME]", help="leave these out")
    root.add_argument("--torch-python", type=Path, default=DEFAULT_TORCH, metavar="PYTHON", help="one with PyTorch")
    root.add_argument("--depths", type=lambda text: tuple(map(int, text.split(","))), metavar="N[,N]")
    root.add_argument("--rounds", type=int, help=f"turns of each contestant (default {FULL['rounds']})")
    root.add_argument("--seconds", type=float, help=f"length of a turn (default {FULL['seconds']})")
    root.add_argument("--steps", type=int, help=f"of the section long (default {FULL['long_steps']})")
    root.add_argument("--batch", type=int, default=128)
    root.add_argument("--augment", action="store_true", help="random crops and mirroring, in all of them")
    root.add_argument("--out", type=Path, help="in place of benchmarks/results/DEVICE.json")
    return root


if __name__ == "__main__":
    sys.exit(main())
