"""What is installed, against what resjax and JAX ask for."""

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from resjax.doctor.check import FAILED, OK, Check
from resjax.facts import PACKAGES

# Each has to be of jaxlib's version, or JAX leaves it alone and computes on the CPU.
CUDA_PLUGINS = ("jax-cuda12-plugin", "jax-cuda12-pjrt", "jax-cuda13-plugin", "jax-cuda13-pjrt")
PLUGINS = (*CUDA_PLUGINS, "libtpu")


@dataclass(frozen=True)
class Installation:
    """wanted_python: a range, as pyproject.toml has it; packages: versions by name; wanted: requirements of them."""

    python: str
    wanted_python: str
    packages: Mapping[str, str]
    wanted: Sequence[Requirement]

    def plugins(self) -> dict[str, str]:
        """JAX's plugins for accelerators, with their versions."""
        return {name: self.packages[name] for name in PLUGINS if name in self.packages}


def installation() -> Installation:
    """This process's."""
    wanted = [*requirements("resjax"), *requirements("jax")]
    names = dict.fromkeys([*PACKAGES, *(one.name for one in wanted), *PLUGINS])
    packages = {name: version for name in names if (version := version_of(name))}
    own = importlib.metadata.metadata("resjax")
    return Installation(platform.python_version(), own["Requires-Python"] or "", packages, wanted)


def requirements(name: str) -> list[Requirement]:
    """What a package asks for here, its extras apart."""
    every = (Requirement(line) for line in importlib.metadata.requires(name) or ())
    return [one for one in every if one.marker is None or one.marker.evaluate({"extra": ""})]


def version_of(name: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions(found: Installation) -> Check:
    """Whether all of them are in the ranges that are asked for."""
    shown = {"python": found.python} | {name: found.packages[name] for name in PACKAGES if name in found.packages}
    said = ", ".join(f"{name} {version}" for name, version in shown.items())
    numbers = {"versions": shown}
    if not SpecifierSet(found.wanted_python).contains(found.python, prereleases=True):
        return Check("versions", FAILED, f"python {found.python}, not {found.wanted_python}; {said}", anew(), numbers)
    wrong = list(outside(found))
    if not wrong:
        return Check("versions", OK, said, numbers=numbers)
    told = ", ".join(f"{one.name} {found.packages.get(one.name, 'is missing')}, not {one.specifier}" for one in wrong)
    words = " ".join(f"'{one.name}{one.specifier}'" for one in wrong)
    return Check("versions", FAILED, f"{told}; {said}", f"pip install {words}", numbers)


def outside(found: Installation) -> Iterator[Requirement]:
    """What is not installed, or not in its range."""
    for one in found.wanted:
        version = found.packages.get(one.name)
        if version is None or not one.specifier.contains(version, prereleases=True):
            yield one


def anew() -> str:
    """Another Python takes another environment."""
    return "python3.12 -m venv .venv && .venv/bin/pip install resjax"
