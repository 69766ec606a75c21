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
HEAD = "| broken | what came of it | test | when, with what |\n|---|---|---|---|\n"
Tally = Callable[[str, str], None]
ran: set[str] = set()
failed: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    """A file that the workers of a full run share."""
    if config.getoption("--full") and TALLY not in os.environ:
        os.environ[TALLY] = tempfile.mkstemp(prefix="resjax-faults-")[1]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what ran, and what failed."""
    if report.failed or (report.when == "call" and report.passed):  # what was skipped says nothing
        ran.add(short(report.nodeid))
    if report.failed:
        failed.add(short(report.nodeid))


def pytest_sessionfinish() -> None:
    """Write the page: of each test that ran, its rows if it passed, and none if it did not; the others' stay."""
    place = os.environ.get(TALLY)
    if place and "PYTEST_XDIST_WORKER" not in os.environ:
        rows = [json.loads(line) for line in Path(place).read_text().splitlines()]
        Path(place).unlink()
        PAGE.write_text(filled(PAGE.read_text(), rows, ran, failed))


def short(nodeid: str) -> str:
    """A test's name for people: test_kills.py::test_kills_at_random[none-batch]."""
    return nodeid.rpartition("/")[2]


def filled(page: str, rows: list[list[str]], ran: set[str], failed: set[str]) -> str:
    """The page with the rows in its table, each of a test, what was broken, and what came of it."""
    before, _, rest = page.partition(BEGIN)
    inside, _, after = rest.partition(END)
    kept = [line for line in inside.splitlines() if line.startswith("| ") and line not in HEAD]
    kept = [line for line in kept if line.split(" | ")[2].strip("`") not in ran]
    when = (
        f"{datetime.now(UTC):%Y-%m-%d}, code {code()['sha256'][:12]}, jax {version('jax')}, "
        f"orbax {version('orbax-checkpoint')}, Python {platform.python_version()}, {os.cpu_count()} cores"
    )
    kept += [f"| {what} | {came} | `{test}` | {when} |" for test, what, came in rows if test in ran - failed]
    return f"{before}{BEGIN}\n{HEAD}" + "".join(f"{line}\n" for line in sorted(kept)) + f"\n{END}{after}"


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether everything is broken as often as docs/reliability.md says."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def tally(full: bool, request: pytest.FixtureRequest) -> Tally:
    """tally(what was broken, how often and what came of it): a row of docs/reliability.md, in a full run."""

    def note(what: str, came: str) -> None:
        if full:
            with Path(os.environ[TALLY]).open("a") as stream:
                stream.write(json.dumps([short(request.node.nodeid), what, came]) + "\n")

    return note
