"""What is compared of a network, by name: one number a seed, from the records."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from resjax.report.groups import END, Group, Pool
from resjax.report.health import log_ranges

WINDOW = 50  # parts of a run: the training loss is averaged over one of them
CONVOLUTION = "conv"
FINAL = ("train_error", "test_error", "test_error_10crop", "gap", "train_loss")  # that a group has at the end

Values = dict[int, float]


@dataclass(frozen=True)
class Kind:
    """How a quantity is told. scale: to the printed unit; log: differences are factors; exact: it has no spread."""

    title: str
    unit: str
    scale: float = 1.0
    digits: int = 2
    log: bool = False
    exact: bool = False


KINDS = {
    "train_error": Kind("training error", "points", 100),
    "test_error": Kind("test error", "points", 100),
    "test_error_10crop": Kind("test error, mean of ten crops", "points", 100),
    "gap": Kind("test less training error", "points", 100),
    "best_test_error": Kind("test error at its best step (biased)", "points", 100),
    "selected_test_error": Kind("test error at the best validation error", "points", 100),
    "train_loss": Kind("training loss", "nats", digits=3),
    "iterations_to_loss": Kind("iterations to the training loss", "iterations", digits=0, log=True),
    "gradient_unsteadiness": Kind("ln of the largest |dL/dh| of a unit over the smallest", "e-folds"),
    "response_std": Kind("response, mean over the layers", "", digits=3),
    "parameters": Kind("parameters", "", digits=0, exact=True),
    "multiply_adds": Kind("multiply-adds", "", digits=0, exact=True),
}


def kind_of(quantity: str) -> Kind:
    """The kind of `quantity`, or of what stands before its @moment."""
    return KINDS[quantity.partition("@")[0]]


def measure(pool: Pool, group: Group, quantity: str, loss: float | None = None) -> Values:
    """By seed, of the seeds that finished. quantity: of KINDS; with @STEP or @end where it is of a moment."""
    name, _, moment = quantity.partition("@")
    if name in FINAL:
        return group.final(name)
    if name in ("parameters", "multiply_adds"):
        value = getattr(group, name)
        return {} if value is None else {group.seeds[0].number: float(value)}
    finished = {seed.number for seed in group.finished}
    found = SPECIAL[name](pool, group, moment, loss)
    return {seed: value for seed, value in sorted(found.items()) if seed in finished}


def best_test_error(pool: Pool, group: Group, moment: str, loss: float | None) -> Values:
    """The least of all steps at which it was evaluated: chosen on the test set, and so too low."""
    return chosen_by(pool, group, "test_error")


def selected_test_error(pool: Pool, group: Group, moment: str, loss: float | None) -> Values:
    """Of the first step with the least validation error."""
    return chosen_by(pool, group, "validation_error")


def chosen_by(pool: Pool, group: Group, column: str) -> Values:
    """The test error at the first step where `column` is least."""
    if column not in pool.metrics.columns:
        return {}
    rows = pool.metrics.filter(pl.col("group") == group.id).drop_nulls({column, "test_error"}).sort(column, "step")
    first = rows.group_by("seed", maintain_order=True).first()
    return dict(zip(first["seed"].to_list(), first["test_error"].to_list(), strict=True))


def iterations_to_loss(pool: Pool, group: Group, moment: str, loss: float | None) -> Values:
    """The first step at which the mean training loss of the last fiftieth of the steps is `loss` or less.

    A seed that never gets there has none; `missing` counts it.
    """
    if loss is None:
        return {}
    window = max(1, group.steps // WINDOW)
    rows = pool.metrics.filter(pl.col("group") == group.id).drop_nulls("train_loss").sort("seed", "step")
    every = rows.select(pl.col("step").diff().over("seed").min()).item() or 1  # steps between two rows
    mean = pl.col("train_loss").rolling_mean(max(1, window // every)).over("seed")
    there = rows.with_columns(mean=mean).filter(pl.col("mean") <= loss)
    first = there.group_by("seed", maintain_order=True).agg(pl.col("step").min() + 1)
    return {seed: float(step) for seed, step in first.iter_rows()}


def gradient_unsteadiness(pool: Pool, group: Group, moment: str, loss: float | None) -> Values:
    """ln of the largest |dL/dh| of all units over the smallest: 0 where the gradient stays."""
    return log_ranges(pool).get((group.id, moment or END), {})


def response_std(pool: Pool, group: Group, moment: str, loss: float | None) -> Values:
    """Mean over the convolutions with a response of its standard deviation, of the trained net."""
    rows = pool.layers.filter(
        pl.col("group") == group.id, pl.col("kind") == CONVOLUTION, pl.col("moment") == (moment or END)
    )
    means = rows.drop_nulls("response_std").group_by("seed", maintain_order=True).agg(pl.col("response_std").mean())
    return dict(means.iter_rows())


Special = Callable[[Pool, Group, str, float | None], Values]
SPECIAL: Mapping[str, Special] = {
    "best_test_error": best_test_error,
    "selected_test_error": selected_test_error,
    "iterations_to_loss": iterations_to_loss,
    "gradient_unsteadiness": gradient_unsteadiness,
    "response_std": response_std,
}


def missing(pool: Pool, group: Group, quantity: str, loss: float | None) -> list[int]:
    """The seeds that finished and have no value: those that never got to the loss."""
    there = measure(pool, group, quantity, loss)
    return [seed.number for seed in group.finished if seed.number not in there and not kind_of(quantity).exact]


def scaled(values: Values, quantity: str) -> Values:
    """As they are tested: logarithms where differences are factors."""
    return {seed: math.log(value) for seed, value in values.items()} if kind_of(quantity).log else values
