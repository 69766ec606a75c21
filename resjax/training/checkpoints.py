"""States on disk: orbax writes them; the SHA-256 of every array, kept beside, decides whether what it reads is right.

orbax 0.12 restored wrong weights silently after every one of sixty flipped bits, and casts types silently.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp

from resjax.data import digests
from resjax.durable import write_whole
from resjax.errors import InputError

KEEP = 2
Arrays = dict[str, np.ndarray]


def save(folder: Path, step: int, arrays: Arrays) -> None:
    """Write the state after `step` updates; the digests come last, and without them there is no checkpoint.

    The last two are kept.
    """
    folder.mkdir(exist_ok=True)
    place = folder.resolve() / f"{step:09d}"
    shutil.rmtree(place, ignore_errors=True)
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        checkpointer.save(place, args=ocp.args.StandardSave(arrays))
    write_whole(digests_of(folder, step), json.dumps({name: facts(array) for name, array in arrays.items()}).encode())
    for old in steps(folder)[:-KEEP]:
        digests_of(folder, old).unlink()
        shutil.rmtree(folder / f"{old:09d}")


def restore(folder: Path, step: int | None = None) -> tuple[int, Arrays]:
    """The step and arrays of a checkpoint, the last where none is named.

    Raises InputError where there is none, or an array is not bit for bit what was saved.
    """
    if step not in (None, *steps(folder)) or not steps(folder):
        there_are = ", ".join(map(str, steps(folder))) or "none"
        raise InputError(f"{folder} has no checkpoint of step {step}.\nExpected one of: {there_are}")
    step = steps(folder)[-1] if step is None else step
    expected = json.loads(digests_of(folder, step).read_text())
    arrays = read(folder, step)
    found = {name: facts(array) for name, array in arrays.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise damaged(folder, step, f"{wrong[0]} (of {len(wrong)}) is not as saved, {expected.get(wrong[0])}")
    return step, arrays


def read(folder: Path, step: int) -> Arrays:
    """What orbax makes of the files. InputError where it cannot read them."""
    try:
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
            arrays = checkpointer.restore(folder.resolve() / f"{step:09d}")
    except Exception as error:  # of many kinds, by what the damage hit
        raise damaged(folder, step, str(error).splitlines()[0]) from error
    return {name: np.asarray(array) for name, array in arrays.items()}


def damaged(folder: Path, step: int, problem: str) -> InputError:
    """The refusal of a checkpoint that is not what was saved."""
    return InputError(
        f"the checkpoint of step {step} in {folder} is damaged: {problem}.\n"
        f"Expected every array as it was saved, bit for bit.\nType the run's command again with rerun=all"
    )


def steps(folder: Path) -> list[int]:
    """The steps of the whole checkpoints, rising."""
    return sorted(int(path.stem) for path in folder.glob("*.json") if (folder / path.stem).is_dir())


def digests_of(folder: Path, step: int) -> Path:
    """The file that holds a checkpoint's digests."""
    return folder / f"{step:09d}.json"


def facts(array: np.ndarray) -> dict[str, object]:
    """An array's type, shape and SHA-256."""
    return {"dtype": str(array.dtype), "shape": list(array.shape), "sha256": digests.of_arrays(array)}
