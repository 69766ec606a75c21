"""All that this project measures and reproduces on a GPU, in slices.  make gpu [MINUTES=8], again and again

A slice begins nothing new after so many minutes and keeps what it has; the next one goes on there. Exit codes: 0, all
is done; 75, something is left; 1, a section, a run or a goal failed, the others are done; 2, nothing can be done.
"""

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.run import LEFT

# Turns of a second, and depths of the papers' tables that compile soon: a part of a section fits into a slice.
MEASURE = "benchmarks.run --device gpu --missing --depths 20,56 --seconds 1"
REPRODUCTIONS = (
    "he2015/fig6 --preset quarter seeds=5",
    "he2015/fig6 --preset paper",
    "he2015/table6 --preset paper",
    "he2016/table2 --preset paper",
)
TRACE = Path("runs/gpu_trace")  # a profile of ResNet-20's step, to be looked at beside the roofline
SEES_GPU = "import jax; raise SystemExit(jax.default_backend() != 'gpu')"
NO_GPU = """JAX sees no GPU here.
Expected an NVIDIA GPU with its driver, and JAX's GPU part in .venv.
Type: make gpu, on a machine that has one"""


def main() -> int:
    """One slice."""
    options = parser().parse_args()
    end, failed = time.monotonic() + 60 * options.minutes, False
    if subprocess.run([sys.executable, "-c", SEES_GPU], capture_output=True).returncode:
        print(NO_GPU, file=sys.stderr)
        return 2
    for words in commands(options.torch_python):
        left = end - time.monotonic()
        minutes = max(int(left / 60), 1)
        code = started([word.format(minutes=minutes) for word in words]) if left > 0 else LEFT
        if code == LEFT:
            print("Something is left. Type: make gpu, again", file=sys.stderr)
        if code not in (0, 1):
            return code
        failed |= code == 1
    return int(failed)


def started(words: list[str]) -> int:
    """The exit code of a module's command."""
    print(shlex.join(words), file=sys.stderr, flush=True)
    return subprocess.run([sys.executable, "-m", *words]).returncode


def commands(torch_python: str) -> list[list[str]]:
    """What is done one after the other. Each skips what is done, and stops after {minutes} or takes but seconds."""
    measure = [*MEASURE.split(), "--minutes", "{minutes}", "--torch-python", torch_python]
    made = [["resjax.cli", "reproduce", *item.split(), "train.max_minutes={minutes}"] for item in REPRODUCTIONS]
    profile = ["resjax.cli", "doctor", "--trace", str(TRACE), "data.augment=true"]
    profiles = [] if TRACE.exists() else [profile]
    return [measure, *profiles, ["benchmarks.table"], *made, ["benchmarks.targets"]]


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    root = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    root.add_argument("--minutes", type=float, default=8.0, help="after which nothing new is begun (default 8)")
    root.add_argument("--torch-python", default=".venv-bench/bin/python", metavar="PYTHON", help="one with PyTorch")
    return root


if __name__ == "__main__":
    sys.exit(main())
