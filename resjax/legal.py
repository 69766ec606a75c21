"""Which settings are legal. Imports neither JAX nor Hydra, so that an illegal one is refused within a second."""

import hashlib
import math
import unicodedata
from dataclasses import MISSING, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from resjax import combinations, datarules
from resjax.config import Config, statistics_group
from resjax.errors import InputError
from resjax.redaction import secret_in
from resjax.settings import nearest

MOST_SEEDS = 2**32  # a key is made of 32 bits
TEXTS = ("runs", "sweep", "data.root", "tracker.project", "tracker.entity")
MOST_BYTES, DIGEST = 100, 8  # of a folder's name, and letters that tell apart those that were cut


def check(config: Config) -> Config:
    """Return `config` if every value is legal, else raise InputError with the value and what is."""
    _check_secrets(config)
    check_fields(config, "")
    combinations.check(config.model)
    _check_places(config)
    datarules.check(config.data)
    _check_steps(config)
    _check_parts(config)
    _check_groups(config)
    _check_processes(config)
    return config


def _check_processes(config: Config) -> None:
    """Several processes run one program over one mesh."""
    parallel = config.parallel
    if parallel.process_count > 1 and parallel.strategy != "jit":
        raise InputError(
            f"parallel.processes={parallel.processes} with parallel.strategy={parallel.strategy}.\n"
            "Expected jit, which cuts one program up over all processes' devices.\nType: parallel=jit"
        )
    if parallel.process_count > 1 and parallel.device_ids is not None:
        raise InputError(
            f"parallel.device_ids={parallel.device_ids} with parallel.processes={parallel.processes}.\n"
            "Expected all devices of every process.\nType: parallel.device_ids=null"
        )
    ids, count = parallel.device_ids, parallel.devices
    if ids is not None and (not ids or len(set(ids)) < len(ids) or min(ids) < 0 or count not in (None, len(ids))):
        several = f" with parallel.devices={count}" if count is not None else ""
        raise InputError(
            f"parallel.device_ids={ids}{several}.\nExpected numbers from 0, each once, as many as parallel.devices.\n"
            "Type: parallel.device_ids=[0] parallel.devices=null"
        )


def _check_secrets(config: Config) -> None:
    """What is free text goes into records and to wandb's server: no secret may come with it, by accident or a trick.

    The refusal does not repeat it. What is so by default is no secret.
    """
    for key in TEXTS:
        value = attrgetter(key)(config)
        if value and value != attrgetter(key)(Config()) and (what := secret_in(value)):
            raise InputError(
                f"{key} holds {what}, which would be recorded.\nExpected what everybody may read.\n"
                f"Type: {key}={'/some/folder' if key in ('runs', 'data.root') else 'name'}"
            )


def _check_places(config: Config) -> None:
    """A sweep's name is a folder's, paths can be written, and seeds are numbers that keys can tell apart."""
    if not config.sweep or config.sweep.startswith(".") or "/" in config.sweep:
        raise InputError(
            f"sweep={config.sweep!r} is not the name of a folder.\nExpected a name without a slash, not beginning "
            f"with a dot; the folder of all sweeps is another setting.\nType: sweep=my_sweep runs=/some/folder"
        )
    if not slug(config.sweep) or "\\" in config.sweep or has_control(config.sweep):
        raise InputError(
            f"sweep={config.sweep!r} is not the name of a folder.\nExpected a name with a letter or a digit, without "
            f"backslash and control characters.\nType: sweep={slug(config.sweep) or 'my_sweep'}"
        )
    for key, path in (("runs", config.runs), ("data.root", config.data.root)):
        if path is not None and (not path or has_control(path)):
            raise InputError(
                f"{key}={path!r} is not a folder.\nExpected a path without control characters.\n"
                f"Type: {key}=/some/folder"
            )
        if path is not None and path.startswith("~"):
            raise InputError(
                f"{key}={path} begins with ~, which the shell did not read.\nExpected a path.\n"
                f"Type: {key}={Path(path).expanduser() if path[:2] in ('~', '~/') else '/some/folder'}"
            )
    if config.seed + config.seeds > MOST_SEEDS:
        raise InputError(
            f"seed={config.seed} with seeds={config.seeds} goes beyond {MOST_SEEDS - 1}, where seeds repeat.\n"
            f"Expected seed + seeds of {MOST_SEEDS} at most.\nType: seed=0"
        )


def slug(name: str) -> str:
    """The folder of the sweep of this name: letters, digits and -_. stay, whatever else is between them becomes -.

    "" where nothing stays. What is longer than MOST_BYTES of UTF-8 is cut, and then told apart by its digest.
    """
    kept = (letter if stays(letter) else " " for letter in unicodedata.normalize("NFKC", name))
    found = "-".join("".join(kept).split()).strip("-.")
    if len(found.encode()) <= MOST_BYTES:
        return found
    begin = found.encode()[: MOST_BYTES - DIGEST - 1].decode(errors="ignore").rstrip("-.")
    return f"{begin}-{hashlib.sha256(found.encode()).hexdigest()[:DIGEST]}"


def stays(letter: str) -> bool:
    """Whether it may stand in a folder's name: a letter, its marks, a digit, or one of -_."""
    return letter in "-_." or unicodedata.category(letter)[0] in "LMN"


def has_control(text: str) -> bool:
    """Whether there is a NUL, a line's end or the like in it, or a byte that is no text."""
    return any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)


def _check_steps(config: Config) -> None:
    """Boundaries and probed steps are places in the training."""
    bounds = config.schedule.boundaries
    if bounds != sorted(bounds) or any(not 0 < b <= 1 for b in bounds):
        raise InputError(
            f"schedule.boundaries={bounds} is not a list of rising fractions of train.steps.\n"
            f"Expected numbers in (0, 1].\nType: schedule.boundaries=[0.5,0.75]"
        )
    if any(step < 0 for step in config.probes.at):
        raise InputError(
            f"probes.at={config.probes.at} has a negative step.\nExpected steps from 0.\nType: probes.at=[0,1,10]"
        )


def _check_parts(config: Config) -> None:
    """Noise is seen between two parts or more."""
    if config.probes.parts == 1:
        raise InputError(
            "probes.parts=1 leaves no parts to compare.\nExpected 0 (no noise is seen), or 2 and more.\n"
            "Type: probes.parts=4"
        )


def _check_groups(config: Config) -> None:
    """Batch and probe batch are whole groups of examples that share batch statistics."""
    train = config.train
    group = statistics_group(config)
    if group is not None and train.batch_size % group:
        raise InputError(
            f"train.batch_size={train.batch_size} is not a multiple of model.norm_group={group}.\n"
            f"Expected whole groups of examples that share batch statistics.\n"
            f"Type: train.batch_size={max(train.batch_size // group, 1) * group} or model.norm_group={train.batch_size}"
        )
    if group is not None:
        check_probe_batch(config, group)


def check_probe_batch(config: Config, group: int) -> None:
    """The probe batch is cut into the same groups; one smaller than a group is a group. Raises InputError."""
    size = config.probes.batch_size
    if size > group and size % group:
        raise InputError(
            f"probes.batch_size={size} is not a multiple of the {group} examples that share batch statistics.\n"
            f"Type: probes.batch_size={size // group * group}"
        )


def check_fields(section: Any, prefix: str) -> None:
    """InputError where a value of a dataclass of `settings.setting` is not among its legal ones."""
    for item in fields(section):
        value, key = getattr(section, item.name), prefix + item.name
        if hasattr(value, "__dataclass_fields__"):
            check_fields(value, f"{key}.")
            continue
        choices, minimum = item.metadata["choices"], item.metadata["minimum"]
        below, maximum = item.metadata["below"], item.metadata["maximum"]
        null = value is None and item.default is None
        if choices and not null and value not in choices:
            raise InputError(
                f"{key}={value} is not known.\nExpected one of: {', '.join(choices)}\n"
                f"Type: {key}={nearest(str(value), choices)}"
            )
        # Written so that nan, of which every comparison is false, is refused too.
        if minimum is not None and value is not None and not value >= minimum:
            what = "no number" if value != value else "too small"
            usual = minimum if item.default in (MISSING, None) else item.default
            raise InputError(f"{key}={value} is {what}.\nExpected {minimum:g} or more.\nType: {key}={usual:g}")
        if below is not None and value is not None and not value < below:
            raise InputError(
                f"{key}={value} is too large.\nExpected less than {below:g}.\nType: {key}={item.default:g}"
            )
        if maximum is not None and value is not None and not value <= maximum:
            raise InputError(f"{key}={value} is too large.\nExpected {maximum:g} or less.\nType: {key}={maximum:g}")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{key}={value} is not finite.\nExpected a finite number.")
