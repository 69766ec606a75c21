"""What run.json says of a run besides its numbers: settings, seeds, code, versions."""

import hashlib
import importlib.metadata
import platform
import subprocess
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from resjax.config import Config
from resjax.identity import arm, canonical, group_id, readable_name, run_id
from resjax.legal import slug
from resjax.rows import Outcome

PACKAGES = ("resjax", "jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
FORMAT = 1


def sweep_folder(config: Config) -> Path:
    """runs/<sweep>, with a name that is safe."""
    return Path(config.runs) / slug(config.sweep)


def folder_of(config: Config, devices: int | None) -> Path:
    """runs/<sweep>/<readable name>-<first 12 hex of the id>."""
    return sweep_folder(config) / f"{readable_name(config)}-{run_id(config, devices)[:12]}"


def planned(config: Config, devices: int | None) -> dict[str, Any]:
    """What is known of a run before it begins."""
    return {
        "format": FORMAT,
        "id": run_id(config, devices),
        "name": readable_name(config),
        "sweep": config.sweep,
        "arm": arm(config),
        "config": asdict(config),
        "canonical": canonical(config, devices),
        "seeds": [seed_facts(Outcome(seed), "pending") for seed in range(config.seed, config.seed + config.seeds)],
    }


def describe(config: Config, devices: int | None, provenance: dict[str, object]) -> dict[str, Any]:
    """What is known before the first step."""
    return planned(config, devices) | {
        # Seeds are pooled where the data are the same too, to the byte.
        "group": hashlib.sha256(f"{group_id(config, devices)} {provenance['digest']}".encode()).hexdigest(),
        "data": provenance,
        "code": code(),
        "versions": versions(),
    }


def identity(run: dict[str, Any]) -> dict[str, Any]:
    """What decides a run's result: a checkpoint is for no other."""
    return {"id": run["id"], "settings": run["canonical"], "data": run["data"]["digest"]}


def seed_facts(outcome: Outcome, word: str | None = None) -> dict[str, Any]:
    """A seed's outcome for run.json."""
    return {
        "seed": outcome.seed,
        "outcome": word or ("finite" if outcome.diverged_at is None else "diverged"),
        "diverged_at": outcome.diverged_at,
        "first_bad_layer": outcome.first_bad_layer,
    }


def versions() -> dict[str, str]:
    """Of what computes."""
    return {name: importlib.metadata.version(name) for name in PACKAGES} | {"python": platform.python_version()}


@cache
def code() -> dict[str, Any]:
    """The git revision of the code that runs, whether files differ from it (None where it is no checkout), its digest.

    A snapshot of the code says where it came from in a file beside the package.
    """
    package = Path(__file__).parent
    noted = package.parent / "revision.txt"
    revision = noted.read_text().split() if noted.exists() else git_revision(package)
    known = {"revision": revision[0], "changed": revision[1] == "changed"} if revision else {}
    return {"revision": None, "changed": None} | known | {"sha256": source_digest(package)}


def git_revision(package: Path) -> list[str]:
    """The revision, and "changed" or "unchanged"; nothing where it is no checkout of ours."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(package), *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return None

    # A copy installed inside somebody else's checkout is not that project's revision.
    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return []
    revision, changed = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no", ".")
    return [revision, "changed" if changed else "unchanged"] if revision else []


def sources(package: Path) -> list[Path]:
    """The package's own files, in a fixed order."""
    return sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def source_digest(package: Path) -> str:
    """SHA-256 over the names and bytes of the package's Python files: the code's identity, committed or not."""
    digest = hashlib.sha256()
    for path in sources(package):
        if path.suffix == ".py":
            digest.update(f"{path.relative_to(package).as_posix()} {len(path.read_bytes())}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
