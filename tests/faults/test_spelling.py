"""Every slip of the fingers in a setting's name is refused, and what was meant is named."""

import random
import re
import string
from collections.abc import Iterator

import pytest

from resjax.cli.overrides import launch
from resjax.cli.words import check_word, choices, default, every_key, parse, settings
from resjax.errors import InputError

LETTERS = string.ascii_lowercase + string.digits + "_."
PREFIXES = ("", "+", "++", "~")
NAMED = re.compile(r"^(?:Did you mean|Type): (\S+?)=", re.MULTILINE)
SAMPLE = 400


def slips(key: str) -> Iterator[str]:
    """`key` with a letter missing, wrong or too many, or with two that have changed places."""
    for at in range(len(key) + 1):
        before, after = key[:at], key[at:]
        yield from (before + letter + after for letter in LETTERS)
        yield from (before + letter + after[1:] for letter in LETTERS if after)
        yield before + after[1:]
        yield before + after[1:2] + after[:1] + after[2:]


def misspellings() -> dict[str, set[str]]:
    """Every slip that is no key itself, with the keys that it may be of."""
    found: dict[str, set[str]] = {}
    for key in every_key():
        for typed in set(slips(key)) - set(every_key()):
            found.setdefault(typed, set()).add(key)
    return found


def test_every_misspelling_is_refused_and_what_was_meant_is_named(full: bool, tally) -> None:
    meant, groups, chance = misspellings(), choices(), random.Random(0)
    typed = sorted(meant) if full else chance.sample(sorted(meant), SAMPLE)
    wrong = []
    for name in typed:
        word = f"{chance.choice(PREFIXES)}{name}=1"
        try:
            (override,) = parse([word])
            check_word(override, groups)
            wrong.append(f"{word} is taken")
        except InputError as error:
            if not set(NAMED.findall(str(error))) & meant[name]:
                wrong.append(f"{word}: {error}")
    assert not wrong, wrong[:10]
    tally(
        f"a slip of the fingers in one of {len(every_key())} settings' names, with and without +, ++, ~",
        f"{len(typed):,} misspellings: all refused, each with a setting that it is a slip of",
    )


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("model.dpeth", "model.depth"),
        ("model..depth", "model.depth"),
        ("3seed", "seed"),
        ("modle", "model"),
        ("hydra/laucher", "hydra/launcher"),
        ("hydra.launcher", "hydra/launcher"),
        ("hydra.launchr.jobs", "hydra.launcher.jobs"),
        ("hydra.launcher.job", "hydra.launcher.jobs"),
        ("hdyra.launcher.jobs", "hydra.launcher.jobs"),
    ],
)
def test_the_command_refuses_it(prefix: str, typed: str, meant: str) -> None:
    for value in ("2", "a b; c"):
        with pytest.raises(InputError, match=rf"Did you mean: {meant}="):
            launch(["-m", "model=plain", f"{prefix}{typed}={value}"])


def test_what_is_spelled_right_is_taken() -> None:
    for key in every_key():
        value = choices()[key][0] if key in choices() else default(key) if key in settings() else "basic"
        (override,) = parse([f"{key}={value}"])
        check_word(override, choices())
