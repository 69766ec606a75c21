"""How much is broken: a little in every test run, all of it with --full, which writes docs/reliability.md."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

TALLY = "RESJAX_FAULT_TALLY"
Tally = Callable[[str, str], None]


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether everything is broken as often as docs/reliability.md says."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def tally(full: bool) -> Tally:
    """tally(what was broken, how often and what came of it): a row of docs/reliability.md, in a full run."""

    def note(what: str, came: str) -> None:
        place = os.environ.get(TALLY)
        if full and place:
            with Path(place).open("a") as stream:
                stream.write(json.dumps([what, came]) + "\n")

    return note
