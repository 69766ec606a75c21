"""An empty folder to type commands in."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, as the working folder; the command is called resjax."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["resjax"])
    return tmp_path
