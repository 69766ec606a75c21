"""A sweep from its checked configs to its end: freeze, plan, make, tell."""

import dataclasses
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from resjax import facts, job, records
from resjax.config import Config
from resjax.errors import InputError
from resjax.identity import run_id
from resjax.legal import check
from resjax.progress import Watch
from resjax.starting import count_devices, decided_by_devices, start_devices, wanted_devices
from resjax.stopping import Listener
from resjax.sweep.child import WORKER, Job
from resjax.sweep.conductor import REFUSED, Conductor, Ended
from resjax.sweep.launcher import Launcher
from resjax.tracking import Tracking


def sweep(
    configs: Sequence[Config], words: Sequence[str], launcher: Launcher, watch: Watch, listener: Listener
) -> list[Ended]:
    """Make every run where the launcher says, and tell at the end what failed; how each ended."""
    ended: list[Ended] = []
    try:
        for place in dict.fromkeys(map(facts.sweep_folder, configs)):
            here = [config for config in configs if facts.sweep_folder(config) == place]
            ended += frozen(place, here, words, launcher, watch, listener) if not listener.asked() else []
    finally:
        tell_failures(ended if not listener.asked() else [end for end in ended if end.status != job.PREEMPTED], watch)
    return ended


def frozen(
    place: Path,
    configs: Sequence[Config],
    words: Sequence[str],
    launcher: Launcher,
    watch: Watch,
    listener: Listener,
) -> list[Ended]:
    """Freeze what is to be made in one sweep's folder, and make it."""
    package, code = Path(facts.__file__).parent, facts.code()
    jobs = plan(configs, launcher)
    launch = records.freeze(
        place, list(words), [e.config for e in jobs], [e.folder for e in jobs], [e.before for e in jobs], code
    )
    if launcher.where == "in_process":
        return in_process(launch.jobs, watch, listener)
    snapshot = records.snapshot(place, package, facts.sources(package), code)
    if facts.source_digest(snapshot / package.name) != code["sha256"]:
        raise InputError(
            f"{snapshot} is not the code any more that it was copied from.\nExpected nobody to change it.\n"
            f"Type: rm -r {shlex.quote(str(snapshot))}, then the same command"
        )
    if launcher.where == "processes":
        return Conductor(jobs, launch, snapshot, launcher, watch, listener).run()
    from resjax.sweep import submitted  # needs submitit

    return submitted.make(jobs, launch, snapshot, launcher, watch, listener)


def plan(configs: Sequence[Config], launcher: Launcher) -> list[Job]:
    """Note every run that is not there as pending, for `resjax status`; the same run twice is one job."""
    jobs: dict[Path, Job] = {}
    for config in (of_processes(config, launcher) for config in configs):
        devices = devices_of(config, launcher)
        folder = facts.folder_of(config, devices)
        if folder not in jobs:
            before = planned(folder, config, devices)
            jobs[folder] = Job(len(jobs), config, folder, run_id(config, devices), before)
    return list(jobs.values())


def of_processes(config: Config, launcher: Launcher) -> Config:
    """With as many processes as its job will have, where the settings leave it open.

    InputError where it has another number of them, or devices are chosen twice.
    """
    if config.parallel.device_ids is not None and launcher.gpus:
        raise InputError(
            f"parallel.device_ids={config.parallel.device_ids} with hydra.launcher.gpus={list(launcher.gpus)}.\n"
            "Expected one of them: with the launcher's, a run sees but its own GPU.\nType: parallel.device_ids=null"
        )
    tasks = launcher.nodes * launcher.tasks_per_node
    if config.parallel.processes is None:
        return check(dataclasses.replace(config, parallel=dataclasses.replace(config.parallel, processes=tasks)))
    if config.parallel.processes > 1 and launcher.where in ("processes", "in_process"):
        raise InputError(
            f"parallel.processes={config.parallel.processes} in a sweep that this machine makes by itself.\n"
            "Expected SLURM, which starts them for every run, or one run a command.\n"
            "Type: hydra/launcher=submitit_slurm, or the command without -m, see docs/cluster.md"
        )
    return config


def planned(folder: Path, config: Config, devices: int | None) -> int:
    """Note the run; its attempts so far. One that another process is at counts as none: its result then is news."""
    try:
        with job.holding(folder, None):
            records.plan(folder, facts.planned(config, devices))
            return int(records.facts_if_readable(folder).get("attempt", 0))
    except records.BusyError:
        under_way = records.facts_if_readable(folder)
        return int(under_way.get("attempt", 0)) - (under_way.get("status") == "running")


def devices_of(config: Config, launcher: Launcher) -> int | None:
    """The devices that the run will get, where their number decides its result. InputError where nobody knows."""
    if not decided_by_devices(config):
        return None
    if launcher.where == "in_process":
        return count_devices(config)
    if config.parallel.devices is not None:
        return config.parallel.devices
    if launcher.gpus or launcher.where != "processes":
        raise InputError(
            "model.norm_scope=per_device: the result depends on the devices, which only the run's process will know.\n"
            "Expected parallel.devices, as many as each run gets.\nType: parallel.devices=1"
        )
    return count_elsewhere(json.dumps([config.train.batch_size, asdict(config.parallel)], allow_nan=False), config)


counted: dict[str, int] = {}


def count_elsewhere(alike: str, config: Config) -> int:
    """The devices that the run would get, asked of another process: JAX would take the GPU's memory in this one.

    alike: what decides it, so that a sweep asks once.
    """
    if alike in counted:
        return counted[alike]
    done = subprocess.run(
        [sys.executable, "-m", WORKER, "--count-devices"],
        input=json.dumps(asdict(config), allow_nan=False),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"the devices cannot be counted: {done.stderr[-2000:]}")
    counted[alike] = int(done.stdout.split()[-1])
    return counted[alike]


def in_process(configs: Sequence[Config], watch: Watch, listener: Listener) -> list[Ended]:
    """One after the other, here: an exception is survived, an end of this process is not."""
    tracking, ended = Tracking(), list[Ended]()
    devices, threads = wanted(configs)
    start_devices(max((count or 0 for count in devices), default=0) or None, threads[0] if threads else None)
    for index, config in enumerate(configs):
        if listener.asked():
            break
        entry = Job(index, config, facts.sweep_folder(config), "", 0)
        try:
            entry = dataclasses.replace(entry, folder=facts.folder_of(config, count_devices(config)))
            ended.append(Ended(entry, job.run(config, watch, tracking, listener.asked)))
        except InputError as error:  # the other jobs may do better
            watch.finish(f"refused: {error}", name=entry.name)
            ended.append(Ended(entry, REFUSED, f"refused: {error}"))
    return ended


def wanted(configs: Sequence[Config]) -> tuple[list[int | None], list[int | None]]:
    """The devices and the threads that the jobs ask for. InputError where one process cannot give each its own."""
    # Where several processes make a run, parallel.devices counts all of theirs; each makes one a core.
    devices = [wanted_devices(config.parallel) if config.parallel.process_count == 1 else None for config in configs]
    threads = [config.parallel.threads for config in configs]
    if len(set(threads)) > 1 or (any(threads) and len(set(devices)) > 1):
        raise InputError(
            f"the runs ask for parallel.threads={each_once(threads)} and parallel.devices={each_once(devices)}.\n"
            "Expected the same in all of them, as one process makes them, and it has one number of each.\n"
            "Type: hydra/launcher=basic"
        )
    return devices, threads


def each_once(counts: Sequence[int | None]) -> str:
    """As in a setting: 1, null."""
    return ", ".join("null" if count is None else str(count) for count in dict.fromkeys(counts))


def tell_failures(ended: Sequence[Ended], watch: Watch) -> None:
    """What failed, once more, last."""
    wrong = [end for end in ended if end.status in (job.FAILED, job.PREEMPTED, REFUSED)]
    if wrong and len(ended) > 1:
        watch.say(f"{len(wrong)} of {len(ended)} runs did not end well:")
    for end in wrong if len(ended) > 1 else ():
        why = end.why or records.facts_if_readable(end.job.folder).get("error") or end.status
        watch.say(f"  {end.job.name}: {why.splitlines()[0]}")
        watch.say(f"    {end.job.folder / 'error.txt'}")
