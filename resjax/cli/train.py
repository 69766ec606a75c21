"""resjax train: from words to checked jobs, then Hydra's own machinery."""

import sys
from collections.abc import Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from resjax.cli.overrides import Launch, launch, to_config
from resjax.cli.words import choices, conf_folder
from resjax.config import keys
from resjax.errors import InputError
from resjax.legal import check

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
        print(help_text())
        return 0
    planned = launch(words)
    return start(planned)


def start(planned: Launch) -> int:
    """Hand the sweep to Hydra, which calls back once a job."""
    import hydra

    from resjax import job  # from here on heavier things are imported
    from resjax.cli.sweeps import write_plan
    from resjax.progress import Watch
    from resjax.tracking import Tracking

    statuses: list[str] = []
    refused: list[InputError] = []
    tracking = Tracking()
    if planned.trains:
        for sweep in dict.fromkeys(Path(config.runs) / config.sweep for config in planned.jobs):
            here = [config for config in planned.jobs if Path(config.runs) / config.sweep == sweep]
            write_plan(sweep, [job.folder_of(config, job.count_devices(config)).name for config in here])
    sys.argv = ["resjax train", *planned.words]
    with Watch(planned.count) as watch:

        @hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
        def task(settings: Any) -> None:
            try:
                statuses.append(job.run(check(to_config(settings)), watch, tracking))
            except InputError as error:  # Hydra would print its traceback; the other jobs may do better
                refused.append(error)

        task()
    if refused:
        raise refused[0]
    if planned.trains:
        watch.say(f"Type: resjax report {planned.jobs[0].sweep}")
    return 1 if "failed" in statuses else 0


def help_text() -> str:
    """How to use it, the groups, and every setting with its default, its meaning and its legal values."""
    lines = [HELP, "groups, each a file of settings:"]
    lines += [f"  {group}={'|'.join(names)}" for group, names in choices().items()]
    lines += ["", "settings and their defaults (a group's file may set another):"]
    for key, item in keys().items():
        default = item.default_factory() if item.default is MISSING else item.default
        shown = "null" if default is None else str(default).replace(" ", "")
        legal = f" ({'|'.join(item.metadata['choices'])})" if item.metadata["choices"] else ""
        lines.append(f"  {key + '=' + shown:38s}{item.metadata['help']}{legal}")
    return "\n".join(lines)
