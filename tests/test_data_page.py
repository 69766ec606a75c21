"""docs/data.md: its own set is made and trained, and its table is that of the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from resjax.cli import main
from resjax.data import archives, source

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
TINY = ["model=mlp", "model.depth=3", "model.width=8", "probes.at=[]", "probes.last=false", "tracker=none"]


def test_a_set_of_ones_own_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in script.splitlines() if line]) <= 30
    Path("shapes.py").write_text(script)
    subprocess.run([sys.executable, "shapes.py"], check=True, capture_output=True, timeout=60)
    (words,) = re.findall(r"^    resjax train (data=tfds data\.name=shapes.*)$", PAGE, re.MULTILINE)
    small = [*words.split()[:-1], *TINY, "train.steps=3", "train.batch_size=32", "probes.batch_size=32"]
    streamed = ["data.streamed=true", "data.crop=24", "data.test_side=28", "data.shorter_side=[28,40]"]
    assert main(["train", *small, "parallel.devices=1"]) == 0
    assert main(["train", *small, "parallel.devices=1", *streamed, "data.workers=0"]) == 0


def rows() -> dict[str, list[str]]:
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:3] == "| `"]
    return {cells[0].strip("`"): cells for cells in found}


@pytest.mark.parametrize("row", source.TABLE, ids=lambda row: row.name)
def test_the_table_is_that_of_the_code(row: source.Description) -> None:
    _, examples, image, classes, *_, licence, first = rows()[row.name]
    assert f"{row.train_examples:,}" in examples
    assert f"{row.test_examples:,}" in examples
    assert " x ".join(map(str, row.image_shape)) in image
    assert str(row.classes) in classes
    assert licence.startswith(row.licence) or row.licence.startswith(licence)
    if row.name in archives.ARCHIVES:
        megabytes = sum(file.bytes for file in archives.ARCHIVES[row.name].files) / 1e6
        assert f"`resjax data prepare {row.name}`, {megabytes:.0f} MB" == first
