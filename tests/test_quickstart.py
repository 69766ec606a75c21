"""The quickstart as a user runs it, and what its report has to show: minutes long."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest


@pytest.mark.slow
def test_the_quickstart_shows_what_a_shortcut_does(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}

    def resjax(*words: str) -> str:
        command = [sys.executable, "-m", "resjax.cli", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    resjax("train", "-m", "experiment=quickstart", "tracker=none")
    rows = {
        (row["arm"], row["depth"], row["norm"]): row for row in json.loads(resjax("report", "quickstart", "--json"))
    }
    health = pl.read_csv(tmp_path / "runs" / "quickstart" / "report" / "tables" / "gradient_health.csv")

    def state(arm: str, depth: int, norm: str, step: str) -> str:
        return health.filter(arm=arm, depth=depth, norm=norm, step=step)["state"].item()

    assert rows["plain", 56, "batch"]["train_error_mean"] > rows["plain", 20, "batch"]["train_error_mean"] + 0.2
    assert rows["residual", 56, "batch"]["train_error_mean"] < rows["plain", 56, "batch"]["train_error_mean"] - 0.2
    assert state("plain", 56, "batch", "0") == "exploding"
    assert state("residual", 56, "batch", "0") == "healthy"
    assert state("plain", 56, "none", "0") == "vanishing"
    assert rows["residual", 56, "none"]["n_diverged"] == 3
