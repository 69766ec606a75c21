"""resjax train: from words to checked jobs, and these to the sweep."""

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from resjax.cli import launching
from resjax.cli.manual import index, manual
from resjax.cli.options import Command, Parser
from resjax.cli.overrides import Launch, launch
from resjax.cli.words import conf_folder, split
from resjax.config import Config
from resjax.dataconfig import DataConfig
from resjax.errors import BAD_INPUT, InputError
from resjax.identity import canonical, run_id
from resjax.legal import slug
from resjax.sweep.launcher import Launcher

SETTING_HELP = "a setting, or a group's file; with -m a list, a,b,c"
CODES = "0 done, 1 a run failed, 2 bad input, 75 time is up, 130, 143 stopped"


def run(words: Sequence[str]) -> int:
    """Check everything, then train; 0 if every run was done, 1 if one failed, 2 bad input, 75, 130 or 143 stopped."""
    if {"-h", "--help"} & set(words):
        print(help_text([word for word in words if word not in ("-h", "--help")]))
        return 0
    planned = launch(words)
    if not planned.trains:
        call_hydra(planned.words)
        return 0
    return start(planned)


def start(planned: Launch, hint: bool = True, end: float | None = None) -> int:
    """Make the run, or every run of the sweep; hint: say what to type next.

    end: on time.monotonic's clock, when it stops and saves; None: as train.max_minutes says.
    """
    from resjax.facts import sweep_folder  # from here on heavier things are imported
    from resjax.job import DONE, SKIPPED
    from resjax.progress import Watch
    from resjax.stopping import listening

    refuse_sweeper(planned)
    refuse_data(planned)
    with listening() as listener, Watch(planned.count) as watch:
        listener.end = end or time_to_stop(planned.jobs)
        ended = made(planned, watch, listener)
        first = planned.jobs[0]
        with suppress(OSError):
            sweep_folder(first).rmdir()  # where nothing was recorded it is empty
        elsewhere = f" --runs={shlex.quote(first.runs)}" if first.runs != "runs" else ""
        if rest := left(planned, ended) if listener.time_is_up else 0:
            of = len({run_id(job) for job in planned.jobs})
            watch.say(f"the time is up, {rest} of {of} runs are left: the same command goes on with them")
        elif hint and {end.status for end in ended} & {DONE, SKIPPED}:
            watch.say(f"Type: resjax report {shlex.quote(slug(first.sweep))}{elsewhere}")
    return code_of({end.status for end in ended}, planned.multirun, listener, rest)


def made(planned: Launch, watch: Any, listener: Any) -> list[Any]:
    """How the runs ended."""
    from resjax.sweep import sweeping
    from resjax.together import counted

    ended: list[Any] = []

    def make(configs: Sequence[Config], launcher: Launcher) -> list[Any]:
        found = sweeping.sweep(configs, planned.words, launcher, watch, listener)
        ended.extend(found)
        return found

    if planned.count is None:
        launching.register(make, planned.extra)
        call_hydra(planned.words)
    elif planned.multirun:
        make(planned.jobs, planned.launcher)
    else:
        ended += sweeping.in_process([counted(job) for job in planned.jobs], watch, listener)
    return ended


def code_of(statuses: set[str], multirun: bool, listener: Any, rest: int) -> int:
    """The exit code. rest: runs that are left, as the time is up."""
    from resjax.job import BUSY, FAILED, PREEMPTED
    from resjax.sweep.conductor import REFUSED

    # One run that stopped without a signal to us: to a process that makes it with us.
    if listener.number is not None or rest or (not multirun and PREEMPTED in statuses):
        return listener.exit_code
    if {FAILED, PREEMPTED, BUSY} & statuses:
        return 1
    return BAD_INPUT if REFUSED in statuses else 0


def refuse_sweeper(planned: Launch) -> None:
    """InputError where a sweeper makes up the runs, and time is limited: those without time would mislead it."""
    if planned.count is None and (minutes := planned.jobs[0].train.max_minutes) is not None:
        raise InputError(
            f"train.max_minutes={minutes:g} with a sweeper that makes up the runs as it goes.\n"
            "Expected runs that are known beforehand.\nType: train.max_minutes=null"
        )


def refuse_data(planned: Launch) -> None:
    """InputError where no run of a sweep that is left has its data here.

    Not on a cluster, where they may lie elsewhere, nor where only the devices, counted later, tell what is left.
    """
    here = planned.multirun and planned.launcher.where != "slurm"
    told = all(job.parallel.devices or "devices" not in canonical(job) for job in planned.jobs)
    jobs = undone(planned.jobs) if here and told else []
    if (refusals := missing(jobs)) and len(refusals) == len(each_set(jobs)):
        raise refusals[0]


def each_set(jobs: Sequence[Config]) -> list[DataConfig]:
    """The data of the jobs, each once."""
    return list({repr(job.data): job.data for job in jobs}.values())


def missing(jobs: Sequence[Config]) -> list[InputError]:
    """The refusals of their sets that are not prepared here."""
    from resjax.data import source

    found = []
    for data in each_set(jobs):
        try:
            source.require(data)
        except InputError as error:
            found.append(error)
    return found


def time_to_stop(jobs: Sequence[Config]) -> float | None:
    """When the first of the jobs' train.max_minutes is over, counted from now; None: never."""
    minutes = [job.train.max_minutes for job in jobs if job.train.max_minutes is not None]
    return time.monotonic() + 60 * min(minutes) if minutes else None


def left(planned: Launch, ended: Sequence[Any]) -> int:
    """How many of the runs are neither done nor failed; those that were done before, and not looked at, are done."""
    from resjax.job import PREEMPTED

    over = {run_id(end.job.config) for end in ended if end.status != PREEMPTED}
    return len(undone([job for job in planned.jobs if run_id(job) not in over]))


def undone(jobs: Sequence[Config]) -> list[Config]:
    """Those whose run is not done, each once."""
    from resjax import facts, records
    from resjax.job import DONE

    each = {run_id(job): job for job in jobs}.values()
    folders = [facts.folder_of(job, job.parallel.devices) for job in each]
    statuses = [records.facts_if_readable(folder).get("status") for folder in folders]
    return [job for job, status in zip(each, statuses, strict=True) if status != DONE]


def call_hydra(words: Sequence[str]) -> None:
    """Hydra itself: for its options that show things, and for sweepers that make up jobs as they go."""
    import hydra

    sys.argv = ["resjax train", *words]

    @hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
    def task(settings: Any) -> None:
        raise AssertionError("jobs are made by the launcher")

    task()


def parser(folders: Sequence[Path] = ()) -> Parser:
    """Its options, for its help: Hydra reads the words. folders: of --config-dir, with groups of one's own."""
    found = Parser(
        "resjax train",
        usage="resjax train [-m] [SETTING=VALUE ...]",
        description="Train one net, or with -m (--multirun) every combination of the values given.\nRuns are recorded "
        "in runs/SWEEP/. The same command again skips what is done and\ngoes on with what was stopped.",
        examples=(
            "resjax train model=plain model.depth=56",
            "resjax train -m model=plain,resnet model.depth=20,56 seeds=5 sweep=depth",
            "resjax train -m experiment=quickstart",
        ),
        codes=CODES,
        more=index(folders),
    )
    found.add_argument("words", nargs="*", metavar="SETTING=VALUE", help=SETTING_HELP)
    found.add_argument("-m", "--multirun", action="store_true", help="a sweep: a run for each combination")
    found.add_argument("-cd", "--config-dir", metavar="FOLDER", help="with groups of your own, such as experiment/")
    found.add_argument(
        "-c", "--cfg", choices=("job", "hydra", "all"), help="show the settings that result; no training"
    )
    found.add_argument("-p", "--package", metavar="SECTION", help="with --cfg: of this section alone")
    found.add_argument("--resolve", action="store_true", help="with --cfg: values in place of ${...}")
    found.add_argument(
        "-i", "--info", metavar="WHAT", nargs="?", help="what Hydra knows: all, config, defaults, plugins"
    )
    return found


def help_text(words: Sequence[str] = ()) -> str:
    """How to use it and an index of the settings; with words: what these are, in full."""
    _, overrides, folders = split(words)
    asked = [word for word in overrides if "=" not in word]
    return "\n".join(map(manual, asked)) if asked else parser(folders).format_help()


COMMANDS = {"train": Command(parser, run)}
