"""States on disk: orbax writes them; SHA-256s kept beside decide whether what it reads is right.

orbax 0.12 restored wrong weights silently after every one of sixty flipped bits, and casts types silently. So the
digest of every file and of every array, the arrays' shapes and types, and the digest of all this itself are compared.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from resjax import faults
from resjax.data import digests
from resjax.durable import FULL, make_folder, no_room, no_room_said, sync_tree, without_patterns, write_whole
from resjax.errors import InputError
from resjax.rows import Outcome, Snapshot

KEEP = 2
FORMAT = 1
Arrays = dict[str, np.ndarray]
Facts = dict[str, Any]


class DamagedError(InputError):
    """A checkpoint that is not what was saved."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole.

    identity: the settings and data that made it; mark: how far the run's records were, as `save` was told.
    """

    snapshot: Snapshot
    identity: Facts
    mark: Facts


class Checkpoints:
    """The checkpoints in one folder: <step>/ with orbax's files, <step>.json with the facts and digests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, snapshot: Snapshot, identity: Facts, mark: Facts) -> None:
        """Write and read back; the facts come last, and without them there is no checkpoint.

        The last two are kept, and the last one whose arrays are all finite. On DiskFullError the others stand.
        """
        make_folder(self.folder)
        place = self.place(snapshot.step)
        self.remove(snapshot.step)
        self.write_arrays(place, snapshot.arrays)
        faults.point("checkpoint.arrays")
        with no_room_said(place, sum(array.nbytes for array in snapshot.arrays.values())):
            sync_tree(place)
        faults.point("checkpoint.synced")
        arrays = {name: facts(array) for name, array in snapshot.arrays.items()}
        if (wrong := difference(arrays, {name: facts(array) for name, array in read(place).items()})) is not None:
            raise OSError(f"{place}: {wrong} is not read back as it was written: is the disk sound?")
        about: Facts = {
            "format": FORMAT,
            **asdict(replace(snapshot, arrays={})),
            "finite": all(np.isfinite(array).all() for array in snapshot.arrays.values()),
            "identity": identity,
            "mark": mark,
            "arrays": arrays,
            "files": file_digests(place),
        }
        write_whole(self.facts_of(snapshot.step), sealed(about), "digests")
        self.rotate()

    def write_arrays(self, place: Path, arrays: Arrays) -> None:
        """orbax's part. What an earlier, killed attempt left goes first."""
        half = [path for path in self.folder.glob("[0-9]*") if path.name.isdigit() and not self.has_facts(path)]
        for left in (*half, *self.folder.glob("*.orbax-checkpoint-tmp*")):
            shutil.rmtree(left, ignore_errors=True)
        size = sum(array.nbytes for array in arrays.values())
        if shutil.disk_usage(self.folder).free < size:
            raise no_room(place, size)
        try:
            with alone() as checkpointer, without_patterns(self.folder) as folder:
                checkpointer.save(folder / place.name, args=ocp.args.StandardSave(arrays))
        except Exception as error:
            shutil.rmtree(place, ignore_errors=True)
            if getattr(error, "errno", None) in FULL or "No space left" in str(error) or "RESOURCE_EXH" in str(error):
                raise no_room(place, size) from error
            raise

    def rotate(self) -> None:
        """Delete all but the last two and the last finite one."""
        steps = self.steps()
        finite = [step for step in steps if self.says_finite(step)]
        for step in set(steps[:-KEEP]) - set(finite[-1:]):
            self.remove(step)
            faults.point("checkpoint.rotated")

    def says_finite(self, step: int) -> bool:
        """Whether the arrays were finite when they were saved, as far as can be read."""
        try:
            return bool(unsealed(self.facts_of(step).read_bytes())["finite"])
        except (OSError, ValueError, KeyError):
            return False

    def remove(self, step: int) -> None:
        """Delete a checkpoint: its facts first."""
        self.facts_of(step).unlink(missing_ok=True)
        shutil.rmtree(self.place(step), ignore_errors=True)

    def load(self, step: int | None = None) -> Checkpoint:
        """A checkpoint, the last where none is named.

        Raises InputError where there is none, DamagedError where a file, an array or a fact is not as it was saved.
        """
        steps = self.steps()
        if not steps or step not in (None, *steps):
            of_step = "" if step is None else f" of step {step}"
            expected = f"one of: {', '.join(map(str, steps))}" if steps else "what training saves there"
            raise InputError(f"{self.folder} has no checkpoint{of_step}.\nExpected {expected}")
        step = steps[-1] if step is None else step
        try:
            return self.read_whole(step)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedError(
                f"the checkpoint of step {step} in {self.folder} is damaged: {str(error).splitlines()[0]}\n"
                "Expected every byte as it was saved.\nType the run's command again: it begins before the damage"
            ) from error

    def read_whole(self, step: int) -> Checkpoint:
        """Read and compare everything. ValueError, among others, where something is wrong."""
        place, about = self.place(step), unsealed(self.facts_of(step).read_bytes())
        if (about["format"], about["step"]) != (FORMAT, step):
            raise ValueError(f"it says that it is step {about['step']} in format {about['format']}")
        if (wrong := difference(about["files"], file_digests(place))) is not None:
            raise ValueError(f"the file {wrong} is not as saved")
        arrays = read(place)
        if (wrong := difference(about["arrays"], {name: facts(array) for name, array in arrays.items()})) is not None:
            raise ValueError(f"{wrong} is not as saved, {about['arrays'].get(wrong)}")
        snapshot = Snapshot(
            step,
            arrays,
            tuple(Outcome(**outcome) for outcome in about["outcomes"]),
            {int(seed): key for seed, key in about["root_keys"].items()},
            about["epoch"],
            about["place"],
            about["seconds"],
            about.get("stream", {}),
        )
        return Checkpoint(snapshot, about["identity"], about["mark"])

    def newest_good(
        self, say: Callable[[str], None], wrong: Callable[[Checkpoint], str | None] = lambda _: None
    ) -> Checkpoint | None:
        """The last one that is whole and of which `wrong` finds nothing to say, or None.

        The others are told and set aside, as damaged-<step>-<time>.
        """
        for place in sorted(self.folder.glob("[0-9]*")):
            if place.name.isdigit() and not self.has_facts(place):
                say(f"  {place} has no facts beside it, as after a save that was cut off: it is not used")
        for step in reversed(self.steps()):
            try:
                found = self.load(step)
                problem = wrong(found)
            except DamagedError as error:
                problem = str(error).splitlines()[0]
            if problem is None:
                return found
            say(f"  the checkpoint of step {step} is not used: {problem}")
            self.set_aside(step)
        return None

    def has_facts(self, place: Path) -> bool:
        """Whether a folder of arrays is a checkpoint, and not what a killed save left."""
        return self.facts_of(int(place.name)).exists()

    def set_aside(self, step: int) -> None:
        """Keep a damaged one out of the way."""
        name = f"damaged-{step:09d}-{time.time_ns()}"
        for path, ending in ((self.facts_of(step), ".facts"), (self.place(step), "")):
            if path.exists():
                path.rename(self.folder / f"{name}{ending}")

    def steps(self) -> list[int]:
        """The steps of the checkpoints, rising. Facts without arrays count: they are damaged ones."""
        return sorted(int(path.stem) for path in self.folder.glob("*.json") if path.stem.isdigit())

    def place(self, step: int) -> Path:
        """The folder of a checkpoint's arrays."""
        return self.folder / f"{step:09d}"

    def facts_of(self, step: int) -> Path:
        """The file that holds a checkpoint's facts and digests."""
        return self.folder / f"{step:09d}.json"


def alone() -> ocp.Checkpointer:
    """An orbax checkpointer of this process, which waits for no other."""
    rank = jax.process_index()
    options = ocp.options.MultiprocessingOptions(rank, {rank}, barrier_sync_key_prefix=f"process{rank}")
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=options)
    return ocp.Checkpointer(handler, multiprocessing_options=options)


def read(place: Path) -> Arrays:
    """What orbax makes of the files. ValueError where it cannot read them."""
    try:
        with alone() as checkpointer:
            arrays = checkpointer.restore(place.resolve())
        return {name: np.asarray(array) for name, array in arrays.items()}
    except Exception as error:  # of many kinds, by what the damage hit
        raise ValueError(f"orbax cannot read it: {str(error).splitlines()[0] if str(error) else error!r}") from error


def facts(array: np.ndarray) -> Facts:
    """An array's type, shape and SHA-256."""
    return {"dtype": str(array.dtype), "shape": list(array.shape), "sha256": digests.of_arrays(array)}


def file_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below `folder`."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digests.of_file(path) for path in sorted(files)}


def difference(expected: Facts, found: Facts) -> str | None:
    """The first name that is missing, new or different."""
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    return wrong[0] if wrong else None


def sealed(about: Facts) -> bytes:
    """The facts as a line of JSON, and the line's own SHA-256."""
    line = json.dumps(about, allow_nan=False).encode()
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def unsealed(content: bytes) -> Facts:
    """The facts. ValueError where they are not as they were sealed."""
    line, _, seal = content.partition(b"\n")
    if seal != hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise ValueError("its facts are not as they were written")
    found: Facts = json.loads(line)
    return found
