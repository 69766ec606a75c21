"""What a sweeper of Hydra's minimises."""

import json
from pathlib import Path

import pytest

from resjax.cli.launching import final_error


def recorded(folder: Path, *rows: dict[str, object]) -> Path:
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def test_what_is_chosen_by_is_held_out(tmp_path: Path) -> None:
    """The validation error where there is one, so that the test set has no say; the mean over seeds at the end."""
    before, test = {"step": 3, "test_error": 0.9, "validation_error": 0.9}, {"step": 6, "test_error": 0.5}
    without = recorded(tmp_path / "without", before, test, test | {"test_error": 0.7})
    assert final_error(without) == pytest.approx(0.6)
    cut = [test | {"validation_error": error} for error in (0.1, 0.3, None)]
    assert final_error(recorded(tmp_path / "cut", before, *cut)) == pytest.approx(0.2)
    assert final_error(recorded(tmp_path / "nothing", {"step": 6, "train_loss": 1.0})) is None
    assert final_error(tmp_path / "not there") is None
