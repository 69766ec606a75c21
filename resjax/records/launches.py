"""What a sweep's command froze when it was typed: every job's settings, and the code. Nobody's editing reaches a job.

launches/<time>-<random>.json   the words, and every job's settings
launches/code-<digest>/         the package as it was then: jobs run from it, whatever becomes of the original
"""

import json
import secrets
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resjax.config import Config
from resjax.errors import InputError
from resjax.records.files import write_json
from resjax.records.schema import LAUNCHES
from resjax.records.states import facts_if_readable

FORMAT = 1


@dataclass(frozen=True)
class Launch:
    """A frozen sweep: each job's settings, its run's folder, and the attempts that this had; the code's SHA-256."""

    path: Path
    jobs: list[Config]
    folders: list[str]
    before: list[int]
    code_sha256: str

    def job(self, index: int) -> Config:
        """A job's settings. rerun=all begins anew once: what it began itself goes on."""
        config = self.jobs[index]
        attempts = facts_if_readable(Path(self.folders[index])).get("attempt", 0)
        return replace(config, rerun="failed") if attempts > self.before[index] else config

    def require(self, code: dict[str, Any]) -> None:
        """InputError where the code that runs (`facts.code`) is not the one that was frozen."""
        if code["sha256"] != self.code_sha256:
            ours, frozen = code["sha256"][:12], self.code_sha256[:12]
            raise InputError(
                f"the code that runs has the SHA-256 {ours}, and not that which the sweep froze, {frozen}.\n"
                f"Expected {self.path.parent}/code-{frozen}, unchanged, first in PYTHONPATH.\n"
                "Type the sweep's command again; on a cluster without SBATCH_EXPORT=NONE"
            )


def freeze(
    sweep: Path, words: list[str], jobs: list[Config], folders: list[Path], before: list[int], code: dict[str, Any]
) -> Launch:
    """Write the jobs of a sweep, their runs' folders, and the attempts that these had; many begun in one second get
    a file each. code: of `facts.code`. InputError where a setting holds what must not be written.
    """
    folder = sweep / LAUNCHES
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(6)}.json"
    names = [folder.name for folder in folders]
    about = {"format": FORMAT, "words": words, "code": code, "runs": names, "folders": [*map(str, folders)]}
    write_json(path, about | {"before": before, "jobs": [asdict(job) for job in jobs]})
    launch = thaw(path)
    if launch.jobs != jobs:
        raise InputError(
            "a setting of the sweep is also the value of a secret variable, and would not be written.\n"
            "Expected a variable such as X_TOKEN to hold nothing that a setting says too.\nType: unset that variable"
        )
    return launch


def thaw(path: Path) -> Launch:
    """Read them back. InputError where it is no such file."""
    try:
        found = json.loads(path.read_text())
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']}, and not {FORMAT}")
        jobs = [from_plain(job) for job in found["jobs"]]
        return Launch(path, jobs, found["folders"], found["before"], found["code"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not what a sweep froze: {error}\nType the sweep's command again") from error


def planned(sweep: Path) -> list[str]:
    """The names of the runs that were ever asked for, in the order of the launches."""
    found: list[str] = []
    for path in sorted((sweep / LAUNCHES).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            names = json.loads(path.read_text())["runs"]
            found += [name for name in names if isinstance(names, list) and Path(name).name == name != ".."]
    return list(dict.fromkeys(found))


def snapshot(sweep: Path, package: Path, files: list[Path], code: dict[str, Any]) -> Path:
    """A copy of the package's files below `sweep`, made once for each state of the code; the folder that holds it."""
    place = sweep / LAUNCHES / f"code-{code['sha256'][:12]}"
    if place.exists():
        return place
    beside = place.with_name(f"{place.name}.{secrets.token_hex(6)}.new")
    for path in files:
        target = beside / package.name / path.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    changed = "changed" if code["changed"] else "unchanged"
    (beside / "revision.txt").write_text(f"{code['revision']} {changed}\n" if code["revision"] else "")
    with suppress(OSError):  # another sweep made it in the meantime
        beside.rename(place)
    shutil.rmtree(beside, ignore_errors=True)
    return place


def from_plain(values: dict[str, Any], section: Any = Config) -> Any:
    """The typed config of `asdict`'s values. InputError where a name is none of its settings."""
    known = {item.name: item.type for item in fields(section)}
    if strange := sorted(values.keys() - known.keys()):
        raise InputError(f"there is no setting {strange[0]}.\nExpected one of: {', '.join(known)}")
    return section(
        **{
            name: from_plain(value, known[name]) if hasattr(known[name], "__dataclass_fields__") else value
            for name, value in values.items()
        }
    )
