"""The exceptions of our own: the input is wrong, not the program; data or memory is wanting."""

from typing import Any

BAD_INPUT = 2  # how a command ends then


class InputError(ValueError):
    """Input that cannot be used. The message says the value, what is allowed and what to type."""


class ToldError(Exception):
    """A failure that is nobody's mistake here, whose message says what happened and what to type."""


class CorruptedError(ToldError):
    """Too much of a data set cannot be read. The message says which, and what to type."""


class ReaderError(ToldError):
    """A process that reads a data set ended. The message says how, and what to type."""


class OutOfMemoryError(ToldError):
    """A device or the host has no memory left. The message says how much was wanted and what to type.

    facts: the numbers, in bytes, for run.json.
    """

    def __init__(self, message: str, facts: dict[str, Any]) -> None:
        super().__init__(message)
        self.facts = facts
