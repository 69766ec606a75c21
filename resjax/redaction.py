"""Secrets never reach a file, a log or a trace: every text that is written goes through here."""

import base64
import json
import os
import re
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self, TextIO
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "[secret]"
# Variables with these words in their names hold secrets; values of a few letters are no secrets but words.
SECRET_NAME = re.compile(r"(api|access|private)_?key|token|secret|passw|passphrase|credential", re.IGNORECASE)
LEAST_LETTERS = 6
USER_AND_PASSWORD = re.compile(r"(:/{1,2})[^/\s'\"]*@")  # a Path has one slash
ACCOUNT = re.compile(r"(?:^|://)([^/\s:]+):([^/\s]+)@")  # in a variable; a proxy's may lack its https://


def redacted(text: str) -> str:
    """`text` without the values of secret variables (WANDB_API_KEY, ...TOKEN), and addresses without user:password@.

    However a value is spelled: as it is, in JSON, in Python, in an address, or in a header.
    """
    for secret in secrets():
        text = text.replace(secret, HIDDEN)
    return USER_AND_PASSWORD.sub(rf"\1{HIDDEN}@", text)


def secret_in(text: str) -> str:
    """What secret `text` holds, in words that do not tell it; "" where there is none."""
    if USER_AND_PASSWORD.search(text):
        return "an address with a user or a password"
    return next((f"the value of ${name}" for name, value in variables().items() if value in text), "")


def secrets() -> list[str]:
    """What must not be told, the longest first."""
    return sorted({spelled for value in variables().values() for spelled in spellings(value)}, key=len, reverse=True)


def variables() -> dict[str, str]:
    """The values that are secret, by the variables that hold them: passwords of addresses, too."""
    found = {}
    for name, value in os.environ.items():
        if SECRET_NAME.search(name):
            found[name] = value
        for user, password in ACCOUNT.findall(value):
            found |= {f"{name}, its password": password, f"{name}, its account": f"{user}:{password}"}
    return {name: value for name, value in found.items() if len(value) >= LEAST_LETTERS}


def spellings(value: str) -> set[str]:
    """The ways in which a value may stand in a text."""
    plain = unquote(value)
    lines = {line for line in value.splitlines() if len(line) >= LEAST_LETTERS}  # of a key, which is shown line by line
    found = lines | {value, plain, quote(plain), quote(plain, safe=""), quote_plus(plain)}
    found |= {json.dumps(plain, ensure_ascii=ascii, allow_nan=False)[1:-1] for ascii in (True, False)}
    found |= {repr(plain)[1:-1]}
    return found | {base64.b64encode(one.encode(errors="surrogateescape")).decode() for one in (value, plain)}


def print_trace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python prints of an exception that nobody caught, without secrets: for sys.excepthook."""
    sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, trace))))


class Redacting:
    """A stream that passes whole lines on, without secrets."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.rest = stream, ""

    def write(self, text: str) -> int:
        """Keep what is no whole line yet: a secret may come in two pieces."""
        *lines, self.rest = (self.rest + text).split("\n")
        self.stream.write("".join(f"{redacted(line)}\n" for line in lines))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Each by `write`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Of the lines that were passed on."""
        self.stream.flush()

    def close(self) -> None:
        """Pass the last line on, whole or not."""
        self.stream.write(redacted(self.rest))
        self.rest = ""
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
