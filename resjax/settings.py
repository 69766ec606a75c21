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
