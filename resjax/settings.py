"""A setting: a default, what it means, and what is legal."""

import difflib
from dataclasses import field
from typing import Any


def setting(
    default: Any,
    help: str,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    below: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A dataclass field that carries its help text and its legal values (docs are generated from them)."""
    metadata = {"help": help, "choices": choices, "minimum": minimum, "below": below, "maximum": maximum}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def spelled(value: Any) -> str:
    """A setting's value as it is typed."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(spelled, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def nearest(word: str, words: tuple[str, ...]) -> str:
    """The word most like `word`."""
    return (difflib.get_close_matches(word, words, n=1, cutoff=0.0) or list(words))[0]


def is_one_slip(typed: str, meant: str) -> bool:
    """Whether a letter is missing, wrong or too many, or two have changed places."""
    if abs(len(typed) - len(meant)) > 1:
        return False
    start = agreement(typed, meant)
    end = agreement(typed[start:][::-1], meant[start:][::-1])
    one, other = typed[start : len(typed) - end], meant[start : len(meant) - end]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def agreement(one: str, other: str) -> int:
    """How many letters they have in common at the beginning."""
    letters = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in letters if a != b), min(len(one), len(other)))
