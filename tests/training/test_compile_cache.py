"""Compiled programs on disk: kept privately, and harmless whatever lies there."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from resjax.config import Config
from resjax.starting import start_jax
from resjax.training import compile_cache

PROGRAM = """
import jax, jax.numpy as jnp
from resjax.training import compile_cache
compile_cache.switch_on()
print(float(jax.jit(lambda x: (x @ x).sum())(jnp.ones((4, 4)))))
"""


def run(folder: Path | str) -> subprocess.CompletedProcess[str]:
    """A program of its own, with its compiled programs in `folder`."""
    environment = os.environ | {"RESJAX_CACHE": str(folder)}
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)


def entries(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*-cache")}


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """With a bit changed in every hundredth byte."""
    return bytes(byte ^ 16 * (place % 100 == 50) for place, byte in enumerate(content))


@pytest.mark.parametrize("damage", [cut, flipped, lambda content: b""], ids=["cut", "flipped", "empty"])
def test_programs_are_kept_privately_and_a_damaged_one_is_written_anew(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    folder = tmp_path / "new" / "cache"
    assert run(folder).stdout == "64.0\n"
    assert folder.stat().st_mode & 0o777 == 0o700
    whole = entries(folder)
    assert any(name.startswith("jit__lambda") for name in whole)
    for path in folder.glob("*-cache"):
        path.write_bytes(damage(path.read_bytes()))
    spoiled = entries(folder)
    damaged = run(folder)
    assert (damaged.stdout, damaged.stderr) == ("64.0\n", "")
    assert entries(folder).keys() == whole.keys()
    assert not set(entries(folder).values()) & set(spoiled.values())


def test_off_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("off").stdout == "64.0\n"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def unchanged() -> object:
    """JAX's own setting and the way of warnings, restored."""
    before, show = jax.config.values["jax_compilation_cache_dir"], warnings.showwarning
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    warnings.showwarning = show


@pytest.mark.usefixtures("unchanged")
def test_a_cache_that_jax_has_already_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
    monkeypatch.delenv("RESJAX_CACHE")
    compile_cache.switch_on()
    assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "own")


@pytest.mark.usefixtures("unchanged")
def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setenv("RESJAX_CACHE", str(tmp_path))
    before = jax.config.values["jax_compilation_cache_dir"]
    said = compile_cache.switch_on()
    assert said == f"{tmp_path} can be written by others: programs are not kept.\nType: chmod 700 {tmp_path}"
    assert jax.config.values["jax_compilation_cache_dir"] == before


@pytest.mark.usefixtures("unchanged")
def test_a_place_that_cannot_be_made_costs_the_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RESJAX_CACHE", str(tmp_path / "file" / "below"))
    before = jax.config.values["jax_compilation_cache_dir"]
    assert compile_cache.switch_on().splitlines()[1].startswith("Type: export RESJAX_CACHE=FOLDER")
    assert jax.config.values["jax_compilation_cache_dir"] == before


@pytest.mark.usefixtures("unchanged")
def test_a_home_that_cannot_be_written_is_no_problem_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".cache").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RESJAX_CACHE")
    jax.config.update("jax_compilation_cache_dir", None)
    assert compile_cache.switch_on() == ""
    assert jax.config.values["jax_compilation_cache_dir"] is None


@pytest.mark.usefixtures("unchanged")
def test_the_user_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RESJAX_CACHE", str(tmp_path / "file" / "below"))
    for _ in range(2):
        start_jax(Config())
    said = capsys.readouterr().err
    assert said.startswith(f"resjax: {tmp_path / 'file' / 'below'}: Not a directory: programs are not kept.\nType: ")
    assert said.count("resjax:") == 1


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    for age in range(10):
        path = tmp_path / f"jit_{age}-cache"
        path.write_bytes(b"x" * 10)
        os.utime(path, (1000 - age, 1000 - age))
    compile_cache.make_room(tmp_path, most=100)
    assert len(entries(tmp_path)) == 10
    compile_cache.make_room(tmp_path, most=90)
    assert sorted(entries(tmp_path)) == [f"jit_{age}-cache" for age in range(4)]


@pytest.mark.usefixtures("unchanged")
def test_other_warnings_are_shown_as_before(tmp_path: Path) -> None:
    shown: list[str] = []
    warnings.showwarning = lambda message, *rest: shown.append(str(message))
    compile_cache.forget_what_is_unreadable(tmp_path)
    kept, broken = tmp_path / "jit_b-1-cache", tmp_path / "jit_a-1-cache"
    for path in (kept, broken):
        path.write_bytes(b"")
    for text in ("Error reading persistent compilation cache entry for 'jit_a': error", "something else"):
        warnings.showwarning(UserWarning(text), UserWarning, "file", 1)
    assert shown == ["something else"]
    assert kept.exists()
    assert not broken.exists()
