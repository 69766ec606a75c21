"""resjax train: from words to checked jobs, then Hydra's own machinery."""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any

from resjax.cli.overrides import Launch, launch, to_config
from resjax.cli.words import choices, conf_folder, split
from resjax.config import Config, keys
from resjax.errors import InputError
from resjax.legal import check

BAD_INPUT = 2
HELP = """usage: resjax train [-m] [SETTING=VALUE ...]

Train one network, or with -m (--multirun) a sweep over every combination of the values given:

  resjax train model=plain model.depth=56
  resjax train -m model=plain,resnet model.depth=20,32,44,56 seeds=5 sweep=depth
  resjax train -m experiment=quickstart

Runs are recorded in runs/<sweep>/; a run that is done is not done again. Then: resjax report SWEEP
Hydra's options work too: --cfg job shows the resulting settings, --config-dir DIR adds groups of your own.
"""


def run(words: Sequence[str]) -> int:
    """Check everything, then train; 0 if every run was done, 1 if one failed."""
    if {"-h", "--help"} & set(words):
        words = [word for word in words if word not in ("-h", "--help")]
        print(help_text(split(words)[2]))
        return 0
    planned = launch(words)
    return start(planned)


def start(planned: Launch) -> int:
    """Hand the sweep to Hydra, which calls back once a job."""
    from resjax import job  # from here on heavier things are imported
    from resjax.progress import Watch
    from resjax.tracking import Tracking

    if planned.trains:
        plan(planned.jobs)
    statuses: list[str] = []
    refused: list[InputError] = []
    tracking = Tracking()
    with Watch(planned.count) as watch:

        def run_one(config: Config) -> None:
            try:
                statuses.append(job.run(config, watch, tracking))
            except InputError as error:  # Hydra would print its traceback; the other jobs may do better
                watch.finish(f"refused: {error}")
                refused.append(error)

        call_hydra(planned.words, run_one)
    if statuses:
        first = planned.jobs[0]
        elsewhere = f" --runs {shlex.quote(first.runs)}" if first.runs != "runs" else ""
        watch.say(f"Type: resjax report {shlex.quote(first.sweep)}{elsewhere}")
    if refused:
        return BAD_INPUT
    return 1 if "failed" in statuses else 0


def plan(jobs: Sequence[Config]) -> None:
    """Note what will run, for `resjax status`; as many virtual devices as any job asks for."""
    from resjax import job
    from resjax.cli.sweeps import write_plan

    most = max((config.parallel.devices or 0 for config in jobs), default=0)
    if most:
        job.start_devices(most)
    for sweep in dict.fromkeys(Path(config.runs) / config.sweep for config in jobs):
        here = [config for config in jobs if Path(config.runs) / config.sweep == sweep]
        write_plan(sweep, [job.folder_of(config, job.count_devices(config)).name for config in here])


def call_hydra(words: Sequence[str], run_one: Callable[[Config], None]) -> None:
    """Hydra composes each job's settings by itself, launches it, and `run_one` gets the checked config."""
    import hydra

    sys.argv = ["resjax train", *words]

    @hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
    def task(settings: Any) -> None:
        run_one(check(to_config(settings)))

    task()


def legal(item: Field[Any]) -> str:
    """A setting's legal values, in brackets; "" where its type says all."""
    of = item.metadata
    ends = ((of["minimum"], "{:g} or more"), (of["below"], "less than {:g}"), (of["maximum"], "{:g} or less"))
    said = "|".join(of["choices"]) or ", ".join(says.format(end) for end, says in ends if end is not None)
    return f" ({said})" if said else ""


def help_text(folders: Sequence[Path] = ()) -> str:
    """How to use it, the groups, and every setting with its default, its meaning and its legal values."""
    lines = [HELP, "groups, each a file of settings:"]
    lines += [f"  {group}={'|'.join(names)}" for group, names in choices(*folders).items()]
    lines += ["", "settings and their defaults (a group's file may set another):"]
    for key, item in keys().items():
        default = item.default_factory() if item.default is MISSING else item.default
        shown = "null" if default is None else str(default).replace(" ", "")
        shown = shown.lower() if isinstance(default, bool) else shown
        lines.append(f"  {key + '=' + shown:38s}{item.metadata['help']}{legal(item)}")
    return "\n".join(lines)
