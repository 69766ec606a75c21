"""Runs that are recorded without being trained, where only their records matter."""

from pathlib import Path
from typing import Any

from resjax import job, records
from resjax.config import Config
from resjax.facts import describe


def train(
    config: Config, folder: Path, devices: int | None, watch: Any, tracking: Any, stop: Any, held: int, *_: Any
) -> str:
    """In the place of resjax.job.train."""
    with records.Recorder(folder, describe(config, devices, {"digest": "0" * 64}), None, held) as recorder:
        recorder.finish(job.DONE)
    return job.DONE
