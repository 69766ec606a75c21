"""CONTRIBUTING.md's example, pasted where the text says, trains."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
TINY = [
    "model=mlp",
    "model.depth=5",
    "model.width=8",
    "train.steps=2",
    "train.batch_size=32",
    "probes.batch_size=32",
    "probes.at=[0]",
    "parallel.devices=1",
    "tracker=none",
    "hydra/launcher=in_process",  # quicker; a job's own process is asked for in tests/faults
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with the functions above `class Shortcut` and the rows in `SHORTCUTS`."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("resjax", "conf"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    functions, rows = examples()
    path = folder / "resjax" / "shortcuts.py"
    text = path.read_text()
    for place, pasted in (("@dataclass(frozen=True)\nclass Shortcut:", functions), ("SHORTCUTS = {\n", rows)):
        assert text.count(place) == 1
        text = text.replace(place, f"{place}{pasted}" if place.endswith("{\n") else f"{pasted}\n\n{place}")
    path.write_text(text)
    return folder


def examples() -> tuple[str, str]:
    """The two blocks of code under `Add a shortcut`."""
    section = (CHECKOUT / "CONTRIBUTING.md").read_text().split("\n## Add a shortcut\n")[1].split("\n## ")[0]
    functions, rows = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return functions, rows


def resjax(copy: Path, *words: str) -> str:
    """The copy's command, run in its folder."""
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", "resjax.cli", *words]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_trains(copy: Path) -> None:
    resjax(copy, "train", "-m", "model.shortcut=half,tuned", *TINY, "sweep=half")
    runs = [json.loads(path.read_text()) for path in sorted((copy / "runs" / "half").glob("*/run.json"))]
    assert [(run["arm"], run["status"]) for run in runs] == [("half", "done"), ("tuned", "done")]
    assert [run["seeds"][0]["outcome"] for run in runs] == ["finite", "finite"]
    plain, weighted = (run["model"]["parameters"] for run in runs)
    assert weighted == plain + 3  # a number in each of three units


def test_the_example_is_listed(copy: Path) -> None:
    rows = {
        row["name"]: row for row in json.loads(resjax(copy, "models", "--json")) if row["setting"] == "model.shortcut"
    }
    assert rows["half"]["what"] == "h = x + f / 2"
    assert {"half", "tuned"} < rows.keys()
