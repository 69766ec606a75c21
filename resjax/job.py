"""One run, from a checked config to a finished folder: fit's rows become records, and the tracker mirrors them."""

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from resjax import records
from resjax.config import Config
from resjax.errors import InputError
from resjax.identity import arm, canonical, group_id, readable_name, run_id
from resjax.progress import Watch
from resjax.rows import Finished, Layers, Metrics, Outcome, Row, Snapshot, Started, TrainLayers
from resjax.tracking import Tracking

PACKAGES = ("resjax", "jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")


def run(config: Config, watch: Watch, tracking: Tracking) -> str:
    """Train what `config` says, unless it is recorded already; return the run's status, or "skipped".

    A failure is recorded and told, and ends this run only. InputError where the settings, the data or the devices
    do not fit together.
    """
    devices = count_devices(config)
    folder = folder_of(config, devices)
    return once(config, folder, config.train.steps, watch, lambda: train(config, folder, devices, watch, tracking))


def once(config: Config, folder: Path, steps: int, watch: Watch, make: Callable[[], None]) -> str:
    """`make` a run of so many steps unless its folder holds it already; the status, as `run` returns it."""
    status = records.state(folder)
    if status == "done" and config.rerun != "all":
        watch.skip(folder.name, "done before (rerun=all does it again)")
        return "skipped"
    if status in ("failed", "preempted", "cut off") and config.rerun == "none":
        watch.skip(folder.name, f"{status} before (rerun=failed tries it again)")
        return "skipped"
    if status == "running":
        watch.skip(folder.name, "another process is at it")
        return "skipped"
    watch.start(folder.name, steps, config.seeds)
    if status != "pending":
        aside = folder.parent / records.ATTEMPTS
        watch.say(f"  {status} before: it starts anew from step 0; what there was goes to {aside}")
    try:
        make()
    except InputError:
        raise
    except Exception as error:  # whatever it is, it is recorded, and the sweep goes on
        watch.finish(f"FAILED, {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        watch.say(f"  see {folder / 'error.txt'}")
        return "failed"
    return "done"


def train(config: Config, folder: Path, devices: int | None, watch: Watch, tracking: Tracking) -> None:
    """Load the data, fit, record."""
    from resjax.data import source  # JAX is imported from here on
    from resjax.training.loop import fit

    start_jax(config)
    data = source.load(config.data)
    keep(config, fit(config, data), folder, describe(config, devices, data.provenance), watch, tracking)


def keep(
    config: Config, rows: Iterable[Row], folder: Path, facts: dict[str, Any], watch: Watch, tracking: Tracking
) -> None:
    """Record the rows of one run in its folder, and mirror them. facts: what run.json says before the first."""
    with records.Recorder(folder, facts) as recorder:
        if facts["data"].get("verified") is False:
            watch.say(f"WARNING: data={config.data.name} was made from an unverified archive; the run records it.")
        tracker = tracking.open(config, recorder.run, folder, watch.say)
        try:
            watch_rows(config, rows, recorder, tracker, watch)
        finally:
            tracker.close(recorder.run, folder)


def watch_rows(config: Config, rows: Iterable[Row], recorder: records.Recorder, tracker: Any, watch: Watch) -> None:
    """Let every row become what it is: a record, a mirrored value, a move of the progress bar."""
    tests: list[float] = []
    for row in rows:
        record(row, recorder)
        tracker.row(row)
        if isinstance(row, Metrics):
            if row.step < config.train.steps:
                watch.advance(row.step + 1, row.values["train_loss"])
            tests += [row.values["test_error"]] if row.step == config.train.steps else []
        if isinstance(row, Finished):
            watch.finish(outcome_line(row, tests))


def record(row: Row, recorder: records.Recorder) -> None:
    """Write one row where it belongs."""
    match row:
        case Started():
            recorder.update(model=row.model, devices=row.devices)
            recorder.log(f"compiled; {row.model} on {row.devices}")
        case Metrics():
            recorder.metrics(row)
        case Layers():
            recorder.layers(row)
            recorder.log(f"probed step {row.step}")
        case TrainLayers():
            recorder.train_layers(row)
        case Snapshot():
            from resjax.training import checkpoints

            checkpoints.save(recorder.folder / "checkpoints", row.step, row.arrays)
            recorder.log(f"saved step {row.step}")
        case Finished():
            times = {name: round(seconds, 3) for name, seconds in row.times.items()}
            seeds = [seed_facts(outcome) for outcome in row.outcomes]
            recorder.finish(
                "done", seeds=seeds, times=times, images_per_s=round(row.images_per_s, 1), digest=row.digest
            )


def seed_facts(outcome: Outcome) -> dict[str, Any]:
    """A seed's outcome for run.json."""
    word = "finite" if outcome.diverged_at is None else "diverged"
    return {
        "seed": outcome.seed,
        "outcome": word,
        "diverged_at": outcome.diverged_at,
        "first_bad_layer": outcome.first_bad_layer,
    }


def outcome_line(row: Finished, tests: list[float]) -> str:
    """How a run ended, in a line."""
    wrong = [outcome for outcome in row.outcomes if outcome.diverged_at is not None]
    told = [f"test error {100 * sum(tests) / len(tests):.1f} %"] if tests else []
    told += [f"{len(wrong)} of {len(row.outcomes)} seeds diverged"] if wrong else []
    return "done, " + ", ".join(told)


def folder_of(config: Config, devices: int | None) -> Path:
    """runs/<sweep>/<readable name>-<first 12 hex of the id>."""
    return Path(config.runs) / config.sweep / f"{readable_name(config)}-{run_id(config, devices)[:12]}"


def count_devices(config: Config) -> int | None:
    """The devices this run gets, where their number decides its result (norm_scope=per_device), else None."""
    if config.model.norm != "batch" or config.model.norm_scope != "per_device":
        return None
    from resjax.training.parallel import choose

    start_jax(config)
    return len(choose(config).devices)


def start_devices(wanted: int | None) -> None:
    """Make virtual CPU devices, before JAX computes anything."""
    from resjax.training import parallel

    parallel.start_devices(wanted)


def start_jax(config: Config) -> None:
    """Devices, precision, and what was compiled before."""
    import jax

    from resjax.training import compile_cache

    start_devices(config.parallel.devices)
    say_once(compile_cache.switch_on())
    jax.config.update("jax_enable_x64", config.train.precision == "float64")


@cache
def say_once(problem: str) -> None:
    """Tell the user, once a process: the jobs of a sweep have the same problem."""
    if problem:
        print(f"resjax: {problem}", file=sys.stderr)


def describe(config: Config, devices: int | None, provenance: dict[str, object]) -> dict[str, Any]:
    """What run.json says before the first step."""
    return {
        "format": 1,
        "id": run_id(config, devices),
        "name": readable_name(config),
        "sweep": config.sweep,
        # Seeds are pooled where the data are the same too, to the byte.
        "group": hashlib.sha256(f"{group_id(config, devices)} {provenance['digest']}".encode()).hexdigest(),
        "arm": arm(config),
        "config": asdict(config),
        "canonical": canonical(config, devices),
        "seeds": [
            {"seed": seed, "outcome": "pending", "diverged_at": None, "first_bad_layer": None}
            for seed in range(config.seed, config.seed + config.seeds)
        ],
        "data": provenance,
        "code": code(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
    }


def code() -> dict[str, Any]:
    """The revision of the code that runs, and whether files differ from it; None where it is no git checkout."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return None

    # A copy installed inside somebody else's checkout is not that project's revision.
    if git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return {"revision": None, "changed": None}
    changed = git("status", "--porcelain", "--untracked-files=no", ".")
    return {"revision": git("rev-parse", "HEAD"), "changed": bool(changed)}
