"""How a sweep of jobs is begun, from the command line or by a sweeper of Hydra's that makes up jobs as it goes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher as HydraLauncher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from resjax.cli.composition import checked
from resjax.sweep.launcher import from_settings


class Launching(HydraLauncher):  # type: ignore[misc]
    """Our launcher as Hydra's sweepers know one: every batch of jobs is frozen, then made."""

    # Set by `register`: (configs, settings) -> the ended jobs; and where the user's own settings are.
    conductor: Any = None
    extra: tuple[str, ...] = ()

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Nothing is needed of Hydra but the words."""
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Make these jobs; each returns its mean error at the end, which a sweeper may minimise (`final_error`)."""
        configs = [checked([*type(self).extra, *words]) for words in job_overrides]
        settings = {
            key: OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
            for key, value in self.settings.items()
        }
        ended = type(self).conductor(configs, from_settings(settings))
        return [
            result(words, next((final_error(end.job.folder) for end in ended if end.job.config == config), None))
            for words, config in zip(job_overrides, configs, strict=True)
        ]


def register(conductor: Any, extra: Sequence[str]) -> None:
    """Let Hydra know the launcher, and the launcher what makes jobs, and where to look for settings besides ours."""
    Launching.conductor, Launching.extra = staticmethod(conductor), tuple(extra)
    Plugins.instance().register(Launching)


def result(words: Sequence[str], value: float | None) -> JobReturn:
    """What Hydra is told of a job."""
    status = JobStatus.FAILED if value is None else JobStatus.COMPLETED
    returned: Any = RuntimeError("the run did not end with an error on held-out examples") if value is None else value
    return JobReturn(overrides=list(words), status=status, _return_value=returned)


def final_error(folder: Path) -> float | None:
    """The mean over seeds of the validation error at the last step, or, where nothing is held out for it, of the test
    error; None where there is none.
    """
    path = folder / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    last = max((row["step"] for row in rows), default=0)
    errors = [row.get("validation_error", row.get("test_error")) for row in rows if row["step"] == last]
    found = [error for error in errors if error is not None]
    return sum(found) / len(found) if found else None
