"""resjax lab: instruments for finished runs."""

import json
import shlex
import types
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

from resjax import records
from resjax.cli.manual import entry, folded
from resjax.cli.options import RUNS_HELP, Command, Parser
from resjax.config import ParallelConfig
from resjax.errors import BAD_INPUT, InputError
from resjax.lab.analysis import Lab, Question
from resjax.lab.instrument import Instrument, Looking
from resjax.lab.subject import RefusedError
from resjax.lab.table import INSTRUMENTS
from resjax.legal import MOST_SEEDS, check_fields
from resjax.progress import Watch
from resjax.settings import nearest, spelled
from resjax.stopping import StopError, listening

WITHOUT = " without --again; then the runs behind it keep the tables that they have"
DESCRIPTION = """Why do two nets differ? An instrument looks at finished runs, at every seed of
each, and writes a table into the run's folder, lab/; resjax report draws it.
The same command again skips what is done, and goes on with what was cut off."""


def run(words: Sequence[str]) -> int:
    """Ask every run; 0, or how the process is to end where a signal asked to stop. InputError on bad input."""
    options = parser(words).parse_intermixed_args(list(words))
    instrument = known(options.name)
    asked = [word for word in options.words if "=" in word and not Path(word).exists()]
    folders = [path for word in options.words if word not in asked for path in records.find_runs(word, options.runs)]
    if not folders:
        raise InputError(
            f"{instrument.name} of which run?\nExpected a run that is done, or a sweep: all of its runs.\n"
            f"Type for example: resjax lab {instrument.name} quickstart"
        )
    folders = list(dict.fromkeys(folders))
    if not 0 <= options.seed < MOST_SEEDS:
        raise InputError(f"--seed={options.seed} is out of range.\nExpected 0 to {MOST_SEEDS - 1}.\nType: --seed=0")
    question = Question(instrument, settings_of(instrument, asked, options.quick), options.seed)
    pairs: list[tuple[Path, Path | None]] = [(folder, None) for folder in folders]
    pairs += list(combinations(sorted(folders), 2)) if instrument.pairs else []
    with listening() as listener, Watch(len(pairs)) as watch:
        parallel = ParallelConfig(devices=options.devices, platform=options.platform)
        lab = Lab(question, parallel, options.root, watch, listener.asked, options.again)
        try:
            looked = [asked_of(lab, one, beside, alone=len(pairs) == 1) for one, beside in pairs]
        except StopError:
            watch.say(f"  stopped; the same command goes on from there{WITHOUT * options.again}")
            return listener.exit_code
        for sweep, count in unfinished(options.words, options.runs).items():
            watch.say(f"  of {sweep} left out, as they are not done: {count} (resjax status {sweep.name})")
        usual = Path("runs")
        sweeps = dict.fromkeys(
            folder.parent.name if folder.parent.parent == usual else str(folder.parent) for folder in folders
        )
        if any(looked):
            watch.say(f"Type: resjax report {shlex.join(sweeps)}")
    return 0 if any(looked) else BAD_INPUT


def unfinished(words: Sequence[str], runs: str) -> dict[Path, int]:
    """How many runs of each sweep that is named as a whole are not done."""
    sweeps = dict.fromkeys(sweep for word in words if (sweep := records.sweep_named(word, runs)))
    counts = {sweep: sum(records.state(run) != "done" for run in records.run_folders(sweep)) for sweep in sweeps}
    return {sweep: count for sweep, count in counts.items() if count}


def asked_of(lab: Lab, one: Path, beside: Path | None, alone: bool) -> bool:
    """Ask one run or pair; false where it cannot be looked at, which ends the command only where it is `alone`."""
    try:
        lab.ask(one, beside)
    except RefusedError as error:
        if alone:
            raise
        lab.watch.skip(one.name, "it cannot be looked at")
        lab.watch.say(f"  {error}".replace("\n", "\n  "))
        return False
    return True


def parser(words: Sequence[str] = ()) -> Parser:
    """Its options. words: what was typed; help is of the instruments that it names, or of all."""
    named = [INSTRUMENTS[word] for word in words if word in INSTRUMENTS]
    found = Parser(
        "resjax lab",
        description=DESCRIPTION,
        examples=(
            "resjax lab lesion quickstart --quick",
            "resjax lab paths depth draws=32",
            "resjax lab lesion --help",
        ),
        codes="0 done, 2 bad input, or no run can be looked at, 130, 143 stopped",
        more="\n".join(listing(named) if named else questions()),
    )
    found.add_argument("name", metavar="INSTRUMENT", help=f"one of: {', '.join(INSTRUMENTS)}")
    found.add_argument(
        "words", nargs="*", metavar="RUN", help="a run, or a sweep for all its runs; SETTING=VALUE: the instrument's"
    )
    found.add_argument("--quick", action="store_true", help="small: the first seed, under two minutes on two cores")
    found.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help=f"of whatever chance is in it, 0 to {MOST_SEEDS - 1}; default: 0",
    )
    found.add_argument(
        "--devices", type=int, metavar="N", help="how many, of the CPU simulated ones; default: all that there are"
    )
    found.add_argument("--platform", choices=("cpu", "gpu", "tpu"), help="default: the first that JAX finds")
    found.add_argument("--root", metavar="FOLDER", help="of prepared data; default: where the run had it")
    found.add_argument("--runs", default="runs", metavar="FOLDER", help=RUNS_HELP)
    found.add_argument("--again", action="store_true", help="also what is recorded")
    return found


def questions() -> list[str]:
    """Each instrument with its question."""
    lines = [line for name, instrument in INSTRUMENTS.items() for line in folded(name, instrument.question.split())]
    return ["what they ask:", *lines, "their settings: resjax lab INSTRUMENT --help"]


def listing(instruments: Iterable[Instrument]) -> list[str]:
    """Each with its settings."""
    lines = []
    for instrument in instruments:
        lines += folded(instrument.name, f"{instrument.question} ({instrument.paper})".split())
        for item in fields(instrument.settings):
            quick = f"; --quick: {instrument.quick[item.name]}" if item.name in instrument.quick else ""
            lines += entry(f"{item.name}={spelled(default_of(item))}", f"{item.metadata['help']}{quick}")
    return lines


def known(name: str) -> Instrument:
    """The instrument. InputError where there is none of this name."""
    if name not in INSTRUMENTS:
        raise InputError(
            f"there is no instrument {name}.\nExpected one of: {', '.join(INSTRUMENTS)}\n"
            f"Type: resjax lab {nearest(name, tuple(INSTRUMENTS))} RUN"
        )
    return INSTRUMENTS[name]


def settings_of(instrument: Instrument, words: Sequence[str], quick: bool) -> Looking:
    """The settings, with `quick` and then the words over the defaults. InputError where a value is illegal."""
    there_are: Mapping[str, Field[Any]] = {item.name: item for item in fields(instrument.settings)}
    values: dict[str, Any] = dict(instrument.quick) if quick else {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in there_are:
            raise InputError(
                f"{instrument.name} has no setting {name}.\nExpected one of: {', '.join(there_are)}\n"
                f"Type: {nearest(name, tuple(there_are))}={text}"
            )
        values[name] = read(there_are[name], text)
    settings = instrument.settings(**values)
    check_fields(settings, "")
    return settings


def read(item: Field[Any], text: str) -> Any:
    """The value of the setting's type that a word says."""
    allowed = get_args(item.type) if isinstance(item.type, types.UnionType) else (item.type,)
    value = text if allowed == (str,) else plain(text)
    with suppress(ValueError):
        value = float(text) if float in allowed else value
    if not any(type(value) is kind or (kind is type(None) and value is None) for kind in allowed):
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
        names = " or ".join(words.get(kind, "null") for kind in allowed)
        raise InputError(
            f"{item.name}={text} is not {names}.\nExpected {names}.\nType: {item.name}={spelled(default_of(item))}"
        )
    return value


def plain(text: str) -> Any:
    """A number, null, true or false, as JSON has them; else the text."""
    with suppress(ValueError):
        return json.loads(text)
    return text


def default_of(item: Field[Any]) -> Any:
    """Where it is not set."""
    return item.default_factory() if item.default_factory is not MISSING else item.default


COMMANDS = {"lab": Command(parser, run)}
