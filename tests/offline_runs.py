"""What wandb has written of a run offline."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def read_back(folder: Path) -> dict[str, Any]:
    """An offline run's history, and its last summary and settings, as wandb's own command reads them."""
    (binary,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(binary)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    last: dict[str, dict[str, Any]] = {"summary": {}, "config": {}}
    for record in records:
        if record["type"] in last:
            last[record["type"]] |= record[record["type"]]["update"]
        if record["type"] == "run":
            last["config"] |= record["run"]["config"]["update"]
    return last | {"history": [record["history"]["item"] for record in records if record["type"] == "history"]}
