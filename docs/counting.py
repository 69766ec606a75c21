"""Which settings count for a run's id: found by asking `canonical` of many runs, not by a list."""

from collections.abc import Iterator, Mapping
from dataclasses import Field, replace
from typing import Any, get_args, get_origin

import yaml

from resjax.cli.words import choices, conf_folder, settings
from resjax.config import Config
from resjax.identity import LOOKING, canonical
from resjax.records import flat

ALWAYS, USED, POOLED, NEVER = "yes", "in use", "pooled", "no"
PLURAL = ("seed", "seeds")  # a run more, or more seeds: reports pool them
ELSEWHERE = {"devices": "parallel.devices"}  # where the form names a setting without its section


def counts() -> dict[str, str]:
    """For every setting the word of the column `id`."""
    forms = [named(canonical(config, devices=1)) for config in runs()]
    ever, always = set.union(*forms), set.intersection(*forms)
    looking = {f"{section}.{name}" for section, name in LOOKING} | set(PLURAL)
    return {
        key: NEVER if key not in ever else POOLED if key in looking else ALWAYS if key in always else USED
        for key in settings()
    }


def named(form: Mapping[str, Any]) -> set[str]:
    """The settings in a canonical form."""
    return {ELSEWHERE.get(name, name) for name in flat(form)}


def runs() -> Iterator[Config]:
    """The network, data, update rule or schedule of every file of conf/, and each with every setting of it changed."""
    for group, files in choices().items():
        for path in (conf_folder() / group / f"{file}.yaml" for file in files if group != "experiment"):
            config = Config()
            config = replace(config, **{group: replace(getattr(config, group), **yaml.safe_load(path.read_text()))})
            yield config
            yield from (changed(config, key, value) for key, value in changes(group))


def changes(group: str) -> Iterator[tuple[str, Any]]:
    """Every setting of a section, and of the training, with its other values."""
    for key, item in settings().items():
        if key.startswith((f"{group}.", "train.", "probes.")):
            yield from ((key, value) for value in others(item))


def others(item: Field[Any]) -> Iterator[Any]:
    """Values of a setting: its choices, true and false, a number."""
    if item.metadata["choices"]:
        yield from item.metadata["choices"]
    elif bool in kinds_of(item):
        yield from (True, False)
    elif {int, float} & kinds_of(item):
        yield 1


def kinds_of(item: Field[Any]) -> set[Any]:
    """The types of its values; of a list, the list."""
    return {item.type} if get_origin(item.type) is list else {item.type, *get_args(item.type)}


def changed(config: Config, key: str, value: Any) -> Config:
    """The run with another value."""
    section, _, name = key.partition(".")
    return replace(config, **{section: replace(getattr(config, section), **{name: value})})
