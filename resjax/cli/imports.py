"""resjax import: a net that was trained elsewhere becomes a run."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from resjax.cli.options import Command, Parser
from resjax.cli.overrides import launch
from resjax.cli.words import parse, split
from resjax.config import Config
from resjax.errors import InputError
from resjax.legal import slug

FLAGS = ("--config-dir", "-cd")
ONE_NET = "one network, which a file holds, so settings with one value"
EXAMPLE = "Type for example: resjax import net.npz model=plain model.depth=20 data=cifar10"
DESCRIPTION = """A net that was trained elsewhere becomes a run: its loss and error over the
whole training and test sets, and one look at every layer, are recorded in
runs/SWEEP/, where resjax report reads them. Nothing is trained."""
MORE = """The settings say what the net in the file is, and how its images were
standardised (data.mean, data.std). The names of the arrays, and how to write
them: docs/import.md"""


def run(words: Sequence[str]) -> int:
    """Check everything, then measure; 0 if the run was done, 1 if it failed."""
    if {"-h", "--help"} & set(words):
        parser().print_help()
        return 0
    file, config = planned(words)
    from resjax import imports  # from here on heavier things are imported
    from resjax.progress import Watch
    from resjax.stopping import listening
    from resjax.tracking import Tracking

    with listening() as listener, Watch(1) as watch:
        status = imports.run(config, file, watch, Tracking(), listener.asked)
        elsewhere = f" --runs={shlex.quote(config.runs)}" if config.runs != "runs" else ""
        watch.say(f"Type: resjax report {shlex.quote(slug(config.sweep))}{elsewhere}")
    if listener.number is not None:
        return listener.exit_code
    return 1 if status == "failed" else 0


def parser() -> Parser:
    """Its options, for its help: Hydra reads the words."""
    found = Parser(
        "resjax import",
        usage="resjax import FILE.npz [SETTING=VALUE ...]",
        description=DESCRIPTION,
        examples=(
            "resjax import net.npz model=plain model.depth=20 data=cifar10",
            "resjax import net.npz data=cifar10 data.mean=[.5,.5,.5] data.std=[.2,.2,.2]",
        ),
        codes="0 done, 1 it failed, 2 bad input",
        more=MORE,
    )
    found.add_argument("file", metavar="FILE.npz", help="the net's arrays")
    found.add_argument("words", nargs="*", metavar="SETTING=VALUE", help="as of resjax train, one value each")
    found.add_argument("-cd", "--config-dir", metavar="FOLDER", help="with groups of your own, such as model/")
    return found


def planned(words: Sequence[str]) -> tuple[Path, Config]:
    """The file and the checked settings."""
    first = words[0] if words else "nothing"
    if not words or first.startswith("-") or ("=" in first and not Path(first).exists()):
        raise InputError(f"resjax import begins with {first}.\nExpected a file first, then settings.\n{EXAMPLE}")
    flags, overrides, _ = split(words[1:])
    options = [flag for flag in flags if flag.startswith("-") and flag.partition("=")[0] not in FLAGS]
    if options:
        raise InputError(f"resjax import has no option {options[0]}.\nExpected {ONE_NET}.\n{EXAMPLE}")
    many = [override.input_line for override in parse(overrides) if override.is_sweep_override()]
    if many:
        raise InputError(f"{many[0]} has several values.\nExpected {ONE_NET}.\n{EXAMPLE}")
    jobs = launch(words[1:], command="").jobs
    if len(jobs) != 1:
        raise InputError(f"the experiment is a sweep of {len(jobs)} runs.\nExpected {ONE_NET}.\n{EXAMPLE}")
    return Path(first), jobs[0]


COMMANDS = {"import": Command(parser, run)}
