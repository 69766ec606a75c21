"""Checkpoints and records that were changed behind our back are never used: the state before is."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from broken import SMALL, finished, result
from nursery import SAID, born

from resjax import records
from resjax.faults import VARIABLE
from resjax.rows import Outcome, Snapshot
from resjax.training.checkpoints import Checkpoints, DamagedError


def arrays(value: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "params/head/kernel": rng.normal(size=(2, 40, 10)).astype(np.float32) * value,
        "diverged_at": np.array([-1, 4], np.int32),
        "warming": np.array([True, False]),
        "batch_stats/double": rng.normal(size=(2, 5)),
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of steps 1 and 2."""
    folder = tmp_path_factory.mktemp("whole") / "checkpoints"
    for step in (1, 2):
        Checkpoints(folder).save(Snapshot(step, arrays(step), (Outcome(0),), {0: [0, 0]}), {"id": "a"}, {})
    return folder


def files(folder: Path) -> list[Path]:
    """Those of the last checkpoint, its facts among them."""
    return sorted(path for path in [folder / "000000002.json", *(folder / "000000002").rglob("*")] if path.is_file())


def the_one_before_is_used(folder: Path) -> bool:
    """And the damage is told."""
    said: list[str] = []
    found = Checkpoints(folder).newest_good(said.append)
    return found is not None and found.snapshot.step == 1 and bool(said)


def refused(folder: Path) -> bool:
    """The last checkpoint alone, which is quicker to see."""
    try:
        Checkpoints(folder).load(2)
    except DamagedError:
        return True
    return False


def test_bits_flip(whole: Path, tmp_path: Path, full: bool, tally) -> None:
    folder = shutil.copytree(whole, tmp_path / "checkpoints")
    chance, flips = random.Random(0), 1000 if full else 60
    every = [path for path in files(folder) if path.stat().st_size]
    for flip in range(flips):
        path = every[flip % len(every)]
        content = path.read_bytes()
        changed = bytearray(content)
        changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        assert refused(folder), path
        path.write_bytes(content)
    assert Checkpoints(folder).load().snapshot.step == 2
    tally(f"one bit flipped, in each of the {len(every)} files of a checkpoint in turn", f"{flips} of {flips} detected")


def test_files_are_cut_off(whole: Path, tmp_path: Path, full: bool, tally) -> None:
    folder = shutil.copytree(whole, tmp_path / "checkpoints")
    chance, cuts = random.Random(0), 200 if full else 20
    every = [path for path in files(folder) if path.stat().st_size]
    for cut in range(cuts):
        path = every[cut % len(every)]
        content = path.read_bytes()
        path.write_bytes(content[: chance.randrange(len(content))])
        assert refused(folder), path
        path.write_bytes(content)
    tally("a file of a checkpoint truncated", f"{cuts} of {cuts} detected")


def test_each_file_deleted_or_swapped(whole: Path, tmp_path: Path, tally) -> None:
    count = 0
    for index, original in enumerate(files(whole)):
        folder = shutil.copytree(whole, tmp_path / f"deleted{index}")
        (folder / original.relative_to(whole)).unlink()
        assert the_one_before_is_used(folder), original
        folder = shutil.copytree(whole, tmp_path / f"swapped{index}")
        other = files(whole)[index - 1]
        shutil.copyfile(other, folder / original.relative_to(whole))
        changed = other.read_bytes() != original.read_bytes()
        assert the_one_before_is_used(folder) == changed, original
        count += 1 + changed
    tally("each file of a checkpoint deleted, or another one's content in its place", f"{count} of {count} detected")


def test_checkpoints_in_each_others_place(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "checkpoints")
    for ending in ("", ".json"):
        (folder / f"000000001{ending}").rename(folder / f"x{ending}")
        (folder / f"000000002{ending}").rename(folder / f"000000001{ending}")
        (folder / f"x{ending}").rename(folder / f"000000002{ending}")
        assert refused(folder)
    with pytest.raises(DamagedError, match="it says that it is step 1"):
        Checkpoints(folder).load(2)


@pytest.mark.parametrize("what", ["checkpoint", "metrics", "part", "facts", "all"])
def test_a_run_goes_on_from_before_the_damage(what: str, tmp_path: Path, full: bool, tally) -> None:
    if not full:
        pytest.skip("with --full")
    undisturbed = result(finished(tmp_path / "whole", SMALL))
    process = born(tmp_path / "run", SMALL, **{VARIABLE: "checkpoint.synced#5=kill"})  # of 4 checkpoints 2 are kept
    process.join(120)
    (run,) = (tmp_path / "run").glob("runs/default/mlp*")
    damage(run, what)
    assert result(finished(tmp_path / "run", SMALL)).same(undisturbed)
    said = (tmp_path / "run" / SAID).read_text()
    if what != "facts":
        assert "is not used" in said
    assert ("starts anew" in said or "goes on from" not in said) if what == "all" else "goes on from step 1" in said
    tally(f"a run's {what} damaged while it lay cut off", "detected, an earlier state used, 0 differing digests")


def damage(run: Path, what: str) -> None:
    """Change a byte of what the last checkpoint rests on, of what both do, or of run.json."""
    steps = Checkpoints(run / "checkpoints").steps()
    assert steps == [120, 160]
    parts = sorted((run / records.PARTS).glob("*"), key=lambda path: path.stem.rpartition("-")[2])
    places = {
        "checkpoint": [run / "checkpoints" / "000000160.json"],
        "metrics": [run / "metrics.jsonl"],
        "part": [part for part in parts if 120 <= int(part.stem.rpartition("-")[2]) < 160][:1],
        "facts": [run / "run.json"],
        "all": sorted((run / "checkpoints").glob("*.json")),
    }
    for path in places[what]:
        content = bytearray(path.read_bytes())
        place = content.rindex(b'"step": 150') + 9 if what == "metrics" else len(content) // 2
        content[place] = content[place] ^ 1 if what != "facts" else 0
        path.write_bytes(content)
