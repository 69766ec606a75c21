"""Secrets never reach a file, a log or a trace: every text that is written goes through here."""

import os
import re

HIDDEN = "[secret]"
# Variables with these words in their names hold secrets; values of a few letters are no secrets but words.
SECRET_NAME = re.compile(r"api_?key|token|secret|passw|credential", re.IGNORECASE)
LEAST_LETTERS = 6
USER_AND_PASSWORD = re.compile(r"(?<=://)[^/\s'\"@]+@")


def redacted(text: str) -> str:
    """`text` without the values of secret variables (WANDB_API_KEY, ...TOKEN), and addresses without user:password@."""
    for secret in secrets():
        text = text.replace(secret, HIDDEN)
    return USER_AND_PASSWORD.sub(f"{HIDDEN}@", text)


def secrets() -> list[str]:
    """What must not be told, the longest first."""
    found = {value for name, value in os.environ.items() if SECRET_NAME.search(name) and len(value) >= LEAST_LETTERS}
    return sorted(found, key=len, reverse=True)
