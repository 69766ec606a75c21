"""A disk that is full or read-only is said, with place and bytes, and costs nothing that was finished."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broken import SMALL, finished, result
from nursery import SAID, born

from resjax import records

DISK_KB = 4000
BIGGER = [*SMALL, "model.width=96", "train.steps=200", "checkpoint.every=20"]


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A tmpfs of so many kilobytes; skips where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def test_the_disk_is_full(tmp_path: Path, full: bool, tally) -> None:
    undisturbed = result(finished(tmp_path / "whole", BIGGER))
    needs = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file()) // 1024
    levels = (0.15, 0.3, 0.5, 0.7, 0.85) if full else (0.5,)
    for level in levels:
        disk = tmp_path / f"disk{level}"
        with small_disk(disk, DISK_KB):
            before = keep(disk)
            fill(disk, max(int(needs * level) + 150, 300))
            process = born(disk, BIGGER)
            process.join(120)
            said = (disk / SAID).read_text()
            assert process.exitcode in (1, 2), said
            assert re.search(
                r"no room for .*: [\d,]+ bytes to write, [\d,]+ bytes are free", said.replace("\n", " ")
            ), said
            assert before.read_bytes() == b"finished before"
            assert not list(disk.rglob("*.new"))
            for path in disk.glob("runs/default/*/run.json"):
                run = records.facts_of(path.parent)
                assert run["status"] in ("failed", "running"), "running: not even that could be written"
                assert run["status"] == "running" or run["failure"]["kind"] == "disk"
            remount(disk, f"size={DISK_KB + needs * 3}k")
            assert result(finished(disk, BIGGER)).same(undisturbed)
    room = ", ".join(f"{level:.0%}" for level in levels)
    tally(
        f"a full disk of {DISK_KB / 1000:.0f} MB (tmpfs), with room for {room} of a run",
        "said with path and bytes; after room was made the same command ended bit for bit the same",
    )


def fill(disk: Path, leave: int) -> None:
    """All but so many kilobytes."""
    free = shutil.disk_usage(disk).free // 1024
    assert free > leave
    (disk / "filler").write_bytes(bytes((free - leave) * 1024))


def keep(disk: Path) -> Path:
    """Something that was there before."""
    path = disk / "earlier.txt"
    path.write_bytes(b"finished before")
    return path


def test_a_folder_that_is_read_only(tmp_path: Path, tally) -> None:
    with small_disk(tmp_path / "disk", 4000):
        said = tmp_path / "said"
        remount(tmp_path / "disk", "ro")
        process = born(said, [*SMALL, f"runs={tmp_path / 'disk' / 'runs'}"])
        process.join(120)
        assert process.exitcode == 2
        assert "Read-only file system" in (said / SAID).read_text()
        assert "Traceback" not in (said / SAID).read_text()
    tally("a read-only folder", "said with its path, exit code 2")


def test_a_path_with_spaces_and_letters_of_all_kinds(tmp_path: Path, full: bool, tally) -> None:
    if not full:
        pytest.skip("with --full")
    words = [*SMALL, "train.steps=20", "-m", "model.depth=4", "sweep='глубина'"]
    process = born(tmp_path / "мой folder, ö 木", [*words, 'runs="läufe, 2 und mehr"'])
    process.join(120)
    assert process.exitcode == 0, (tmp_path / "мой folder, ö 木" / SAID).read_text()
    (run,) = (tmp_path / "мой folder, ö 木").glob("läufe, 2 und mehr/*/*/run.json")
    assert records.facts_of(run.parent)["status"] == "done"
    tally("spaces, commas, umlauts, Cyrillic and Chinese letters in the path", "no difference")
