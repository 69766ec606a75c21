"""What the doctor says of one thing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OK, SLOW, WARN, FAILED = "ok", "slow", "warn", "FAILED"


@dataclass(frozen=True)
class Check:
    """advice: what to type, "" where all is well; numbers: the same for programs, plain JSON."""

    name: str
    status: str
    found: str
    advice: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
