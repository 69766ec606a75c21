"""How much is broken: a little in every test run, all of it with --full, which writes docs/reliability.md."""

import json
import os
import platform
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from resjax.facts import code

TALLY = "RESJAX_FAULT_TALLY"
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- begin: written by make test-faults -->\n", "<!-- end -->"
Tally = Callable[[str, str], None]


def pytest_configure(config: pytest.Config) -> None:
    """A file that the workers of a full run share."""
    if config.getoption("--full") and TALLY not in os.environ:
        os.environ[TALLY] = tempfile.mkstemp(prefix="resjax-faults-")[1]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the page, where everything was broken and everything held."""
    place, options = os.environ.get(TALLY), session.config.option
    whole = session.config.args == ["tests/faults"] and not (options.keyword or options.deselect)
    if place and "PYTEST_XDIST_WORKER" not in os.environ:
        rows = [json.loads(line) for line in Path(place).read_text().splitlines()]
        Path(place).unlink()
        if exitstatus == 0 and whole:
            PAGE.write_text(filled(PAGE.read_text(), rows))


def filled(page: str, rows: list[list[str]]) -> str:
    """The page with the rows in its table."""
    before, _, rest = page.partition(BEGIN)
    about = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with jax {version('jax')}, orbax {version('orbax-checkpoint')}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores; code sha256 {code()['sha256'][:12]}.\n"
    )
    table = "".join(f"| {what} | {came} |\n" for what, came in sorted(rows))
    return f"{before}{BEGIN}{about}\n| broken | what came of it |\n|---|---|\n{table}{END}{rest.partition(END)[2]}"


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether everything is broken as often as docs/reliability.md says."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def tally(full: bool) -> Tally:
    """tally(what was broken, how often and what came of it): a row of docs/reliability.md, in a full run."""

    def note(what: str, came: str) -> None:
        if full:
            with Path(os.environ[TALLY]).open("a") as stream:
                stream.write(json.dumps([what, came]) + "\n")

    return note
