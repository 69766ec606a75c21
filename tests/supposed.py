"""What the pages suppose: files of their readers' own, and a net of PyTorch's kind."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
from photographs import folder_of

from resjax.config import ModelConfig
from resjax.models import build
from resjax.models.foreign import leaves

Shape = tuple[int, int, int]


def arrays_of_plain_20(shape: Shape) -> dict[str, tuple[int, ...]]:
    """The names and shapes of its file."""
    return {leaf.name: leaf.file_shape for leaf in leaves(build(ModelConfig(depth=20, shortcut="none"), shape, 10))}


def net(path: Path, shape: Shape) -> None:
    """A plain net of 20 layers that somebody trained, so to say."""
    random = np.random.default_rng(0)
    np.savez(path, **{name: random.uniform(0.01, 0.1, size) for name, size in arrays_of_plain_20(shape).items()})


def linked(path: Path) -> None:
    """What is in the checkout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(Path(__file__).parents[1] / "experiments" / "gradient_flow" / "records")


# By the name that stands in the page.
FILES: MappingProxyType[str, Callable[[Path], object]] = MappingProxyType(
    {
        "FILE.npz": lambda path: net(path, (8, 8, 1)),
        "plainnet20.npz": lambda path: net(path, (32, 32, 3)),
        "FOLDER": folder_of,
        "my_experiment.py": lambda path: path.write_text("from resjax.training.loop import fit"),
        "experiments/gradient_flow/records": linked,
        "runs/he2015_fig6_quarter": lambda path: path.mkdir(parents=True),
    }
)


class Tensor:
    """An array that is asked as PyTorch's are."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def detach(self) -> "Tensor":
        return self

    cpu = detach

    def numpy(self) -> np.ndarray:
        return np.zeros(self.shape)


def layer(*shape: int) -> SimpleNamespace:
    return SimpleNamespace(weight=Tensor(*shape), bias=Tensor(shape[0]))


def norm(width: int) -> SimpleNamespace:
    return SimpleNamespace(**vars(layer(width)), running_mean=Tensor(width), running_var=Tensor(width))


def pytorch() -> dict[str, Any]:
    """A plain net of 20 layers for images of 32 x 32 x 3, `net`, and its `units`."""
    units, before = [], 16
    for width in (16, 16, 16, 32, 32, 32, 64, 64, 64):
        convolutions = {"conv1": layer(width, before, 3, 3), "conv2": layer(width, width, 3, 3)}
        units.append(SimpleNamespace(**convolutions, bn1=norm(width), bn2=norm(width)))
        before = width
    return {"net": SimpleNamespace(conv1=layer(16, 3, 3, 3), bn1=norm(16), fc=layer(10, 64)), "units": units}
