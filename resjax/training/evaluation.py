"""Loss and error over whole splits, with running statistics."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Int

from resjax import faults
from resjax.data.crops import one_of_ten_crops
from resjax.data.stream import Arrays, Scale, standardize
from resjax.models import Model
from resjax.models.types import EVALUATE
from resjax.stopping import Poll, StopError, never
from resjax.training import hosts
from resjax.training.packing import packings
from resjax.training.parallel import Layout
from resjax.training.reels import Part, Reel
from resjax.training.seeds import in_turn
from resjax.training.state import TrainState

TEN = "_10crop"  # behind the name of what ten crops gave
View = Callable[[Array], Array]
Sums = dict[str, tuple[Array, Array]]  # of losses and of errors, an entry a seed; by "" or TEN


def make_evaluate(
    model: Model, layout: Layout, computes: DTypeLike, most: int, stop: Poll = never
) -> Callable[..., dict[str, Array]]:
    """The function (states, {name: split}) -> {name_loss, name_error}, one entry a seed: exact means over each split.

    It computes in the type `computes`, through batches of `most`; with `parts`, through the first so many, which is
    for warming up. Of images that are cut the crop at the centre is looked at; with `ten` also ten crops, as name_loss
    and name_error with _10crop behind: the error of the ten's mean probabilities, and -log of the label's. It raises
    StopError between two batches where `stop` says so.
    """
    devices = len(layout.devices)
    params_packing, stats_packing = packings(model)

    def batch_of(data: Arrays) -> int:
        return -(-min(len(data.labels), most) // devices) * devices

    def scores(states: TrainState, data: Arrays | Scale, view: View, views: int, labels: Array, inside: Array) -> Sums:
        """view: the pixels of the view of each number below `views`, the single one first, cut when its turn comes."""

        def one_seed(state: TrainState) -> Sums:
            params, batch_stats = params_packing.unpack(state.params), stats_packing.unpack(state.batch_stats)

            def logits_of(pixels: Array) -> Array:
                images = lax.with_sharding_constraint(standardize(data, pixels), layout.sharded())
                return model.apply(params, batch_stats, images.astype(computes), EVALUATE).logits

            if views == 1:
                return {"": summed(logits_of(view(jnp.asarray(0))), labels, inside)}
            logits = lax.map(lambda number: logits_of(view(number)), jnp.arange(views))
            mean = jax.nn.logsumexp(jax.nn.log_softmax(logits), 0) - jnp.log(views)  # of probabilities, as their log
            return {"": summed(logits[0], labels, inside), TEN: summed(mean, labels, inside)}

        return in_turn(one_seed, states)  # type: ignore[no-any-return]

    @jax.jit
    def sums(states: TrainState, data: Arrays, start: Int[Array, ""]) -> Sums:
        places = start + jnp.arange(batch_of(data))
        images, labels = data.images[places], data.labels[places]
        return scores(states, data, lambda number: images, 1, labels, places < len(data.labels))

    @partial(jax.jit, static_argnames="ten")
    def part_sums(states: TrainState, scale: Scale, part: Part, ten: bool) -> Sums:
        view = partial(one_of_ten_crops, part.images, scale.mean.shape[0])
        return scores(states, scale, view, 10 if ten else 1, part.labels, part.inside)

    def found_in(states: TrainState, data: Arrays | Reel, ten: bool) -> Iterator[tuple[Sums, int]]:
        """Each batch's sums, and how many examples they are of."""
        if isinstance(data, Reel):
            for part, count in data.parts(most):
                yield part_sums(states, data.scale, part, ten), count
            return
        examples = len(data.labels)
        for start in range(0, examples, batch_of(data)):
            yield sums(states, data, np.asarray(start)), min(batch_of(data), examples - start)

    def means(states: TrainState, data: Arrays | Reel, parts: int | None, ten: bool) -> dict[str, Any]:
        # Waiting for each part keeps virtual devices from deadlocking on a long queue (jaxlib 0.10).
        found, examples = [], 0
        batches = found_in(states, data, ten)
        for sums, count in batches:
            found.append(jax.block_until_ready(sums))
            examples += count
            faults.point("evaluation")
            if len(found) == parts:
                break
            if hosts.any_of(stop()):
                batches.close()  # type: ignore[attr-defined]
                raise StopError
        totals = jax.tree.map(lambda *each: sum(each), *found)
        return {  # type: ignore[no-any-return]
            f"{what}{view}": total / (examples or math.nan)  # where none could be read
            for view, both in totals.items()
            for what, total in zip(("loss", "error"), both, strict=True)
        }

    def evaluate(
        states: TrainState, splits: dict[str, Arrays | Reel], parts: int | None = None, ten: bool = False
    ) -> dict[str, Any]:
        if hosts.any_of(stop()):
            raise StopError
        return {
            f"{name}_{what}": value
            for name, data in splits.items()
            for what, value in means(states, data, parts, ten).items()
        }

    return evaluate


def summed(logits: Array, labels: Int[Array, " batch"], inside: Bool[Array, " batch"]) -> tuple[Array, Array]:
    """The sums of the losses, in nats, and of the errors, of those that are `inside`."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    wrong = logits.argmax(-1) != labels
    return jnp.sum(losses, where=inside), jnp.sum(wrong, where=inside, dtype=logits.dtype)
