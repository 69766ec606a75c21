"""What training takes its batches from: data that lie on the devices, or images that are read meanwhile."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import jax
from jaxtyping import Array

from resjax.config import Config
from resjax.errors import InputError
from resjax.legal import check_probe_batch
from resjax.rows import Corrupted
from resjax.training.chunk import Chunk
from resjax.training.state import Keys
from resjax.training.step import Draw, Step


class Supply(Protocol):
    """The batches of a run. draw: makes one of what `take` gives; fed: whether that is cut along the batch."""

    @property
    def evaluated(self) -> Mapping[str, Any]:
        """What no training sees, by name."""

    examples: int
    most: int
    fed: bool
    data: Any
    draw: Draw

    def chunk(self, step: Step) -> Chunk:
        """The program's function, for up to `most` steps."""

    def like(self) -> Any:
        """What `take` gives, as far as a compiler has to know."""

    def take(self, step: int) -> Any:
        """What the steps from `step` on need."""

    def give(self, left: Any) -> None:
        """What they left behind."""

    def fetch(self) -> None:
        """Have the next ready, while the devices compute."""

    def batches(self, keys: Keys, seed: int, steps: range) -> Iterator[tuple[Array, Array]]:
        """Images and labels of these steps of a seed, cut over the devices."""

    def probe_batch(self, size: int) -> tuple[Array, Array]:
        """The probe batch: the same `size` training examples for every seed and arm, drawn once from a fixed key."""

    def split(self, name: str) -> Any:
        """What evaluation takes: test, validation, or train."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, plain JSON."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with what a checkpoint kept."""

    def news(self) -> list[Corrupted]:
        """Images that turned out to be unreadable since the last call."""

    def close(self) -> None:
        """End the processes that read."""


def probed(examples: int, size: int) -> Array:
    """The places of the probe batch."""
    return jax.random.permutation(jax.random.key(0), examples)[:size]


def require_examples(config: Config, there_are: int, group: int) -> None:
    """Raises InputError where less than a batch is not held out, or the probe batch is larger than the data set, or
    cuts a group of batch statistics.
    """
    batch, held_out = config.train.batch_size, config.data.validation_examples
    if held_out is not None and there_are < batch:
        raise InputError(
            f"data.validation_examples={held_out} leaves {there_are} to train on, less than train.batch_size={batch}.\n"
            f"Type: data.validation_examples={max(held_out + there_are - batch, 0) or 'null'}"
        )
    if config.model.norm == "batch":
        check_probe_batch(config, group)
    if config.probes.batch_size > there_are:
        raise InputError(
            f"probes.batch_size={config.probes.batch_size} is more than the {there_are} training examples.\n"
            f"Type: probes.batch_size={there_are}"
        )
