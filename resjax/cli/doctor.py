"""resjax doctor: whether this machine is fit to train, before a sweep is started."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from resjax.cli.options import JSON_HELP, Command, Parser
from resjax.cli.overrides import launch
from resjax.config import Config
from resjax.doctor.check import FAILED, Check
from resjax.doctor.room import nearest
from resjax.errors import InputError
from resjax.papers.item import key_of
from resjax.redaction import redacted

DESCRIPTION = """Whether this machine is fit to train: what is installed, what JAX computes on,
whether it computes rightly and with how many digits, how fast the net trains,
what room there is. A few steps are trained and nothing is recorded. Settings
say which net; without any it is ResNet-20 on made images of CIFAR's shape."""
DEFAULT_DATA = "data=synthetic"
NAME, STATUS = 15, 8  # letters of the columns
WIDE = 240  # of a file or a pipe, as of the other tables


def run(words: Sequence[str]) -> int:
    """Print what is found, line by line; 0, or 1 where something FAILED, or InputError."""
    options = parser().parse_intermixed_args(list(words))
    given = job(options.settings)
    if options.trace is not None:
        require_folder(options.trace)
    from resjax.doctor.examination import examine
    from resjax.together import counted, is_first

    config = counted(given)
    told = config.parallel.process_count == 1 or is_first(config)
    checks = list(shown(examine(config, options.trace), told and not options.json))
    if told and options.json:
        print(redacted(json.dumps(document(checks), indent=1, allow_nan=False)))
    return int(any(check.status == FAILED for check in checks))


def parser() -> Parser:
    """Its options."""
    found = Parser(
        "resjax doctor",
        description=DESCRIPTION,
        examples=("resjax doctor", "resjax doctor model=preact model.depth=110 parallel.devices=2"),
        codes="0 nothing FAILED, 1 something did, 2 bad input",
    )
    found.add_argument("settings", nargs="*", metavar="SETTING=VALUE", help="as of resjax train")
    found.add_argument("--json", action="store_true", help=JSON_HELP)
    found.add_argument("--trace", type=Path, metavar="FOLDER", help="also profile a few steps, into this folder")
    return found


def job(settings: Sequence[str]) -> Config:
    """The run that is meant. InputError where the settings make several."""
    data = [] if "data" in map(key_of, settings) else [DEFAULT_DATA]
    jobs = launch([*data, *settings], command="").jobs
    if len(jobs) != 1:
        raise InputError(
            f"{' '.join(settings)}: these are {len(jobs)} runs.\nExpected the settings of one of them.\n"
            "Type: resjax doctor model.depth=110, with the values of its largest"
        )
    return jobs[0]


def require_folder(folder: Path) -> None:
    """InputError where the trace could not be written: steps come first, and would be for nothing."""
    place = nearest(folder)
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise InputError(
            f"--trace {folder} cannot be written: {place} is no folder of yours.\n"
            "Expected a folder, or the name of a new one.\nType: --trace trace"
        )


def shown(checks: Iterable[Check], aloud: bool) -> Iterator[Check]:
    """The checks as they come, each printed where `aloud`, under a header."""
    wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    if aloud:
        print(f"{'check':{NAME}}{'status':{STATUS}}found")
    for check in checks:
        if aloud:
            print(redacted(line_of(check, wide)), flush=True)
        yield check


def line_of(check: Check, wide: int) -> str:
    """A check's row, folded; under it what to type, which stays whole."""
    before = " " * (NAME + STATUS)
    begin = f"{check.name:{NAME}}{check.status:{STATUS}}"
    folded = textwrap.fill(check.found, max(wide, 2 * len(before)), initial_indent=begin, subsequent_indent=before)
    return folded + (f"\n{before}type: {check.advice}" if check.advice else "")


def document(checks: Iterable[Check]) -> dict[str, Any]:
    """For programs: the rows, and every number under its own name."""
    rows, numbers = [], dict[str, Any]()
    for check in checks:
        rows.append({"name": check.name, "status": check.status, "found": check.found, "type": check.advice or None})
        numbers |= check.numbers
    return {"checks": rows} | numbers


COMMANDS = {"doctor": Command(parser, run)}
