"""The command starts anew with huge pages, once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resjax import pages

SHOWS = """
import os, sys
from resjax import pages
print(os.getpid(), sys.argv[1:], os.environ.get("GLIBC_TUNABLES"), flush=True)
pages.restart()
"""


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the kernel says who gets huge pages."""
    path = tmp_path / "enabled"
    path.write_text("always [madvise] never\n")
    monkeypatch.setattr(pages, "ENABLED", path)
    return path


@pytest.mark.usefixtures("kernel")
def test_what_was_said_before_stays() -> None:
    assert pages.wanted({}) == {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    other = {"GLIBC_TUNABLES": "glibc.malloc.check=1"}
    assert pages.wanted(other) == {"GLIBC_TUNABLES": "glibc.malloc.check=1:glibc.malloc.hugetlb=1"}
    for said in ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=1"):
        assert pages.wanted({"GLIBC_TUNABLES": said}) == {}


@pytest.mark.parametrize("text", ["[always] madvise never\n", "always madvise [never]\n", None])
def test_nothing_is_wanted_where_it_would_change_nothing(kernel: Path, text: str | None) -> None:
    kernel.unlink() if text is None else kernel.write_text(text)
    assert pages.wanted({}) == {}


@pytest.mark.skipif(not pages.wanted({}), reason="this kernel gives no huge pages on request")
def test_a_process_starts_anew_once_with_its_arguments(tmp_path: Path) -> None:
    script = tmp_path / "shows.py"
    script.write_text(SHOWS)
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    words = [sys.executable, str(script), "a b", "--c"]
    lines = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    first, second = lines
    assert first.endswith("['a b', '--c'] None")
    assert second == first.replace("None", "glibc.malloc.hugetlb=1")  # the same process, as its number says


@pytest.mark.usefixtures("kernel")
def test_a_process_that_cannot_start_anew_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("argument list too long")

    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(os, "execve", refuse)
    pages.restart()
