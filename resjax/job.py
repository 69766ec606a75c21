"""One run, from a checked config to a finished folder: fit's rows become records, and the tracker mirrors them."""

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from resjax import faults, records, together
from resjax.config import Config
from resjax.errors import InputError, ToldError
from resjax.facts import code, describe, folder_of, identity, planned, seed_facts
from resjax.progress import Told
from resjax.redaction import redacted
from resjax.resuming import Resume, place_to_go_on, refuse_another_folder
from resjax.rows import Corrupted, Finished, Layers, Metrics, Row, Snapshot, Started, Stopped, TrainLayers, named
from resjax.starting import count_devices, start_jax
from resjax.stopping import Poll, never
from resjax.tracking import Tracking

DONE, SKIPPED, FAILED, PREEMPTED, BUSY = "done", "skipped", "failed", "preempted", "busy"


def run(config: Config, watch: Told, tracking: Tracking, stop: Poll = never, held: int | None = None) -> str:
    """Train what `config` says, unless it is recorded already, from where it was cut off.

    Returns the run's status: done, skipped, failed, preempted (`stop` said so) or busy (another process is at it).
    A failure is recorded and told, and ends this run only. InputError where the settings, the data or the devices
    do not fit together, or the folder holds another run. held: the descriptor of the run's lock, where it is held.
    """
    devices = count_devices(config)
    folder = folder_of(config, devices)
    if config.parallel.process_count > 1 and not together.is_first(config):
        return together.follow(config, folder, stop)

    refuse_another_folder(config, folder)

    def make(held: int) -> str:
        return train(config, folder, devices, watch, tracking, stop, held, lead)

    with together.leading(config) as lead:
        return once(config, folder, planned(config, devices), config.train.steps, watch, make, held)


def once(
    config: Config,
    folder: Path,
    plan: dict[str, Any],
    steps: int,
    watch: Told,
    make: Callable[[int], str],
    held: int | None = None,
) -> str:
    """`make` the run that `plan` describes, given its lock, unless its folder holds it; the status as of `run`."""
    try:
        with holding(folder, held) as descriptor:
            if why := reason_to_skip(folder, plan["id"], config.rerun):
                watch.skip(folder.name, why)
                return SKIPPED
            faults.begin(folder.name)
            watch.start(folder.name, steps, config.seeds)
            with records.planning(folder, plan):
                return made(folder, watch, lambda: make(descriptor))
    except records.BusyError:
        watch.skip(folder.name, "another process is at it")
        return BUSY


def made(folder: Path, watch: Told, make: Callable[[], str]) -> str:
    """What `make` returns; where it breaks, the failure is recorded and told."""
    attempts = records.facts_if_readable(folder).get("attempt", 0)
    try:
        status = make()
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever it is, it is recorded, and the sweep goes on
        if records.facts_if_readable(folder).get("attempt", 0) == attempts:  # it broke before there was a recorder
            trace = "".join(traceback.format_exception(error))
            print(redacted(trace), file=sys.stderr)
            with suppress(OSError):
                records.fail(folder, records.kind_of(error), records.one_line(error), trace, attempts + 1)
        watch.finish(f"FAILED, {records.one_line(error).splitlines()[0]}")
        if isinstance(error, ToldError):
            watch.say("".join(f"  {line}\n" for line in str(error).splitlines()[1:]).rstrip())
        watch.say(f"  see {folder / 'error.txt'}")
        return FAILED
    if status == PREEMPTED:
        saved = any((folder / records.CHECKPOINTS).glob("*.json"))
        at_all = "stopped before there was anything to save"
        watch.finish("stopped and saved; the same command goes on from there" if saved else at_all)
    return status


@contextmanager
def holding(folder: Path, held: int | None) -> Iterator[int]:
    """The run's lock; a folder with nothing else in it goes when it is given up. Raises BusyError."""
    if held is not None:
        yield held
        return
    descriptor = records.lock(folder)
    try:
        yield descriptor
    finally:
        forget_if_empty(folder)
        os.close(descriptor)


def forget_if_empty(folder: Path) -> None:
    """Nothing was recorded: it was no run. The caller holds the lock."""
    with suppress(OSError):  # it is not there any more, or somebody else came
        if [path.name for path in folder.iterdir()] == [records.LOCK]:
            (folder / records.LOCK).unlink()
            folder.rmdir()


def reason_to_skip(folder: Path, own_id: str, rerun: str) -> str:
    """Why the run is not made, "" if it is. The caller holds its lock, so that one that says "running" was cut off.

    InputError where the folder holds a run with another id: it was renamed, or written by hand.
    """
    facts = records.facts_if_readable(folder)
    if facts.get("id", own_id) != own_id:
        raise InputError(
            f"{folder} holds another run, {facts['id'][:12]}, and not {own_id[:12]}.\n"
            "Expected the run that its settings make: another setting is another run, in a folder of its own.\n"
            f"Move it away, and type the command again: mv {folder} {folder}.other"
        )
    status = facts.get("status")
    if status == DONE and rerun != "all":
        other_code = " by other code" * ((facts.get("code") or {}).get("sha256") not in (None, code()["sha256"]))
        return f"done before{other_code} (rerun=all does it again)"
    if status == FAILED and rerun == "none":
        return "failed before (rerun=failed tries it again)"
    return ""


def train(
    config: Config,
    folder: Path,
    devices: int | None,
    watch: Told,
    tracking: Tracking,
    stop: Poll,
    held: int,
    lead: together.Lead,
) -> str:
    """Load the data, fit from where it was cut off, record."""
    from resjax.data import source  # JAX is imported from here on
    from resjax.training.loop import fit

    start_jax(config)
    data = source.load(config.data)
    faults.point("data")
    if stop():
        return PREEMPTED
    facts = describe(config, devices, data.provenance)
    resume = place_to_go_on(folder, facts, config.rerun, watch.say)
    lead(resume.snapshot.step if resume else 0)
    rows = fit(config, data, resume.snapshot if resume else None, stop)
    return keep(config, rows, folder, facts, watch, tracking, resume, held)


def keep(
    config: Config,
    rows: Iterable[Row],
    folder: Path,
    facts: dict[str, Any],
    watch: Told,
    tracking: Tracking,
    resume: Resume | None = None,
    held: int | None = None,
) -> str:
    """Record the rows of one run in its folder, and mirror them; the status. facts: what run.json says first."""
    mark = resume.mark if resume else None
    with records.Recorder(folder, facts | (resume.facts if resume else {}), mark, held) as recorder:
        if facts["data"].get("verified") is False:
            watch.say(f"WARNING: data={config.data.name} was made from an unverified archive; the run records it.")
        tracker = tracking.open(config, recorder.run, folder, watch.say)
        try:
            watch_rows(config, rows, recorder, tracker, watch, resume)
        finally:
            tracker.close(recorder.run, folder)
    return str(recorder.run["status"])


def watch_rows(
    config: Config,
    rows: Iterable[Row],
    recorder: records.Recorder,
    tracker: Any,
    watch: Told,
    resume: Resume | None,
) -> None:
    """Let every row become what it is: a record, a mirrored value, a move of the progress bar."""
    tests: list[float] = []
    for row in rows:
        if isinstance(row, Started) and resume:
            resume.say_what_differs(row.devices, watch.say)
        record(row, recorder)
        tracker.row(row)
        if isinstance(row, Metrics):
            if row.step < config.train.steps:
                watch.advance(row.step + 1, row.values["train_loss"])
            tests += [row.values["test_error"]] if row.step == config.train.steps else []
        if isinstance(row, Corrupted) and (new := row.names[row.known :]):
            watch.say(f"  {len(row.names)} of {row.examples:,} {row.split} images could not be read, new: {named(new)}")
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
            save(row, recorder)
        case Corrupted():
            names = sorted(row.names)
            recorder.update(corrupted=recorder.run.get("corrupted", {}) | {row.split: names})
            recorder.log(f"{len(names)} of {row.examples} {row.split} images could not be read: {', '.join(names)}")
        case Stopped():
            recorder.log(f"asked to stop at step {row.step}")
            recorder.finish(PREEMPTED)
        case Finished():
            times = {name: round(seconds, 3) for name, seconds in row.times.items()}
            seeds = [seed_facts(outcome) for outcome in row.outcomes]
            recorder.finish(DONE, seeds=seeds, times=times, images_per_s=round(row.images_per_s, 1), digest=row.digest)


def save(row: Snapshot, recorder: records.Recorder) -> None:
    """A checkpoint, bound to the settings and the data, and to the records as they are now."""
    from resjax.training.checkpoints import Checkpoints

    faults.point("save")
    checkpoints = Checkpoints(recorder.folder / records.CHECKPOINTS)
    checkpoints.save(row, identity(recorder.run), recorder.mark(row.step))
    recorder.log(f"saved step {row.step}")


def outcome_line(row: Finished, tests: list[float]) -> str:
    """How a run ended, in a line."""
    wrong = [outcome for outcome in row.outcomes if outcome.diverged_at is not None]
    of = f" (mean of {len(tests)} seeds)" if len(tests) > 1 else ""
    told = [f"test error {100 * sum(tests) / len(tests):.1f} %{of}"] if tests else []
    told += [f"{len(wrong)} of {len(row.outcomes)} seeds diverged"] if wrong else []
    return "done, " + ", ".join(told)
