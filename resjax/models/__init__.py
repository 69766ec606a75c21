"""Networks by name from a config. `build` is the door; what it returns is functional."""

from resjax.models.build import Model, build
from resjax.models.types import Mode

__all__ = ["Mode", "Model", "build"]
