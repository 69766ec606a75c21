"""docs/index.md's files of one's own, in an empty folder, as somebody has it who installed the package."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_contributing import TINY

TEXT = (Path(__file__).parents[1] / "docs" / "index.md").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """own.py, test_own.py, and the loop that is written out."""
    for name, block in zip(
        ("own.py", "test_own.py", "loop.py"), re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL), strict=True
    ):
        (tmp_path / name).write_text(block)
    return tmp_path


def python(folder: Path, *words: str) -> str:
    """What this interpreter prints there."""
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_shortcut_of_ones_own_is_known(folder: Path) -> None:
    rows = json.loads(python(folder, "own.py", "models", "--json"))
    assert [row["what"] for row in rows if row["name"] == "half"] == ["h = x + f / 2"]


@pytest.mark.slow
def test_it_trains_beside_the_others(folder: Path) -> None:
    words = re.search(r"python own.py train (-m .*?hydra/launcher=in_process)", " ".join(TEXT.split()))
    assert words
    python(folder, "own.py", "train", *words[1].replace("\\ ", "").split(), *TINY, "tracker=none", "parallel.devices=1")
    rows = json.loads(python(folder, "own.py", "report", "mine", "--json"))
    assert [row["arm"] for row in rows] == ["plain", "residual", "half"]


@pytest.mark.slow
def test_its_test_passes_and_can_fail(folder: Path) -> None:
    python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own.py")
    own = folder / "own.py"
    own.write_text(own.read_text().replace("return x + f / 2", "return x + f / 3"))
    with pytest.raises(AssertionError, match="1 failed"):
        python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own.py")


@pytest.mark.slow
def test_the_loop_prints_its_gradients(folder: Path) -> None:
    assert python(folder, "loop.py").count("|dL/dh| first unit / last, a seed each") >= 3
