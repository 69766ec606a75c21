"""A net that was trained elsewhere becomes a run: its file is read, the net measured, and recorded like one of ours."""

import hashlib
import io
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resjax import job
from resjax.config import Config
from resjax.errors import InputError
from resjax.facts import describe, planned, sweep_folder
from resjax.identity import readable_name, run_id
from resjax.progress import Watch
from resjax.rows import Finished, Layers, Metrics, Outcome, Row, Snapshot, Stopped
from resjax.starting import count_devices, start_jax
from resjax.stopping import Poll, StopError, never
from resjax.tracking import Tracking


@dataclass(frozen=True)
class Imported:
    """A file's arrays by name, its own name, and its SHA-256."""

    file: str
    sha256: str
    arrays: dict[str, np.ndarray]

    def own(self, identity: str) -> str:
        """An id that is told from that of a trained run with the same settings, and from that of any other file."""
        return hashlib.sha256(f"{identity} {self.sha256}".encode()).hexdigest()


def run(config: Config, file: Path, watch: Watch, tracking: Tracking, stop: Poll = never) -> str:
    """Measure and record the net in `file`, unless it is recorded already; the status, as of `job.run`.

    InputError where the file cannot be read or does not hold the network that `config` says.
    """
    if config.seeds != 1:
        raise InputError(f"seeds={config.seeds}, but a file holds one net.\nExpected one seed.\nType: seeds=1")
    imported, devices = read(file), count_devices(config)
    own_id = imported.own(run_id(config, devices))
    folder = sweep_folder(config) / f"{readable_name(config)}-imported-{own_id[:12]}"

    def make(held: int) -> str:
        return measure(config, imported, folder, devices, watch, tracking, stop, held)

    return job.once(config, folder, planned(config, devices) | {"id": own_id}, 0, watch, make)


def read(file: Path) -> Imported:
    """The file's arrays. InputError where it is none, or holds something else than arrays."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.\nType: resjax import FILE.npz") from error
    try:
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise ValueError("it is no archive of arrays")
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        arrays = {name: np.asarray(loaded[name]) for name in loaded.files}
    except Exception as error:  # of many kinds, by what is wrong with the file
        what = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{file} is not a file of named arrays: {what}\n"
            "Expected what numpy.savez writes; pickled objects are never loaded.\n"
            "How to write one: docs/import.md"
        ) from error
    return Imported(file.name, hashlib.sha256(content).hexdigest(), arrays)


def measure(
    config: Config,
    imported: Imported,
    folder: Path,
    devices: int | None,
    watch: Watch,
    tracking: Tracking,
    stop: Poll,
    held: int,
) -> str:
    """Load the data, build the network around the file's arrays, look at it once, record; the status."""
    from resjax.data import source  # JAX is imported from here on
    from resjax.models import foreign
    from resjax.training.programs import instruments

    start_jax(config)
    data = source.load(config.data)
    ready = instruments(config, data, stop)
    params, batch_stats = foreign.from_file(ready.model, imported.arrays, imported.file)
    facts = described(config, devices, data.provenance, imported)
    told = rows(ready, ready.holding(params, batch_stats))
    return job.keep(config, told, folder, facts, watch, tracking, held=held)


def described(config: Config, devices: int | None, provenance: dict[str, object], imported: Imported) -> dict[str, Any]:
    """What run.json says before the first row: a trained run's facts, with the file in the id and in the group."""
    facts = describe(config, devices, provenance)
    own = {key: imported.own(facts[key]) for key in ("id", "group")}
    origin = {"file": imported.file, "sha256": imported.sha256}
    return facts | own | {"name": f"{facts['name']}-imported", "imported": origin}


def rows(ready: Any, states: Any) -> Iterator[Row]:
    """What `measured` yields, or, where a signal asks to stop, Stopped: the same command then measures anew."""
    try:
        yield from measured(ready, states)
    except StopError:
        yield Stopped(0)


def measured(ready: Any, states: Any) -> Iterator[Row]:
    """What `fit` would yield at its end: the probes, the metrics over the whole training and test sets, the state.

    They stand at the last step that the settings name, which is where every reader of records looks for the end.
    """
    from resjax.training.state import digest, to_arrays

    step, seed = ready.config.train.steps, ready.config.seed
    yield ready.started
    ready.check()
    columns = ready.look(states, step, [seed])
    # No optimiser of ours made this net: what its next update would be is not known.
    yield Layers(step, columns | {"update_ratio": np.full_like(columns["update_ratio"], np.nan)})
    found = ready.train_all(states) | ready.test_all(states)
    values = {name: float(value[0]) for name, value in found.items()}
    yield Metrics(step, seed, values)
    arrays = to_arrays(ready.model, states)
    yield Snapshot(step, arrays)
    finite = all(math.isfinite(value) for value in values.values())
    outcome = Outcome(seed, None if finite else step)
    yield Finished((outcome,), dict(ready.clock.seconds), 0.0, digest(arrays))
