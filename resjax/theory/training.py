"""What the profile means for training: the first update of every layer, and whether the network can be trained.

Rules of thumb, each with the assumption that it rests on; a run decides.
"""

import math
from dataclasses import dataclass

import numpy as np

from resjax.config import Config
from resjax.theory.profile import Profile
from resjax.theory.summary import Summary

LARGE_UPDATE = 1.0  # of a layer's own length
NO_MOVE = 1e-3  # of a layer's length, over the whole training
ALIKE = math.exp(-6)  # 1 - c beyond six depth scales (Schoenholz et al. 2017, arXiv:1611.01232)
DRAWS = 4096
YES, DOUBTFUL, NO = "yes", "doubtful", "no"


@dataclass(frozen=True)
class Trainability:
    """outcome: yes, doubtful or no; why, and what that rests on. updates: |first update| / |w|, least and largest."""

    outcome: str
    why: str
    rests_on: str
    updates: tuple[float, float] | None


def trainability(config: Config, profile: Profile, said: Summary, classes: int) -> Trainability:
    """The first rule that speaks, from the gravest on."""
    found = first_updates(config, profile, classes)
    ends = (min(found.values()), max(found.values())) if found else None
    return Trainability(*_rule(config, profile, said, found), ends)


def _rule(config: Config, profile: Profile, said: Summary, updates: dict[str, float]) -> tuple[str, str, str]:
    last = profile.units[-1]
    if said.state == "diverged":
        return NO, "activations leave the range of float32 at step 0", "the recursions' second moments"
    if config.model.norm != "batch" and 1 - last.correlation < ALIKE and len(profile.units) > 2:
        why = f"different images come out alike: the cosine of two is {last.correlation:.4f} at the last unit"
        return NO, why, "trainable to about six depth scales of the correlation (Schoenholz et al. 2017)"
    if not updates:
        return YES, "the classifier starts at zero: at step 0 it alone moves", "the rules on activations, no other"
    layer, largest = max(updates.items(), key=lambda item: item[1])
    rests = "a gradient whose entries add up at random, at the learning rate of step 0"
    if largest > LARGE_UPDATE:
        why = f"the first update of {layer} is {largest:.3g} times its length"
        return DOUBTFUL, why, f"{rests}; with batch norm a net may live through it, as its weights' length is free"
    layer, least = min(updates.items(), key=lambda item: item[1])
    if least * config.train.steps < NO_MOVE:
        moved = least * config.train.steps
        why = f"{config.train.steps} updates like the first move {layer} by {moved:.1g} of its length"
        return NO, why, f"{rests}; that later updates are like the first"
    return YES, "no rule speaks against it", "the rules above: range, correlation, largest and least first update"


def first_updates(config: Config, profile: Profile, classes: int) -> dict[str, float]:
    """|first update| / |w| of every weight layer of a branch by name; empty where no gradient leaves the head.

    SGD: learning rate times |dL/dw|; Adam: the learning rate in every entry.
    """
    rate = config.schedule.warmup_learning_rate or config.schedule.learning_rate
    if config.optimizer.name == "adam":
        ends = [(weight.name, 0.5 * math.log(weight.entries) - weight.log_norm) for weight in profile.weights]
    else:
        start = last_gradient(config, profile, classes)
        ends = [(weight.name, start + weight.log_grad - weight.log_norm) for weight in profile.weights]
    return {name: rate * math.exp(min(value, 700.0)) for name, value in ends if math.isfinite(value)}


def last_gradient(config: Config, profile: Profile, classes: int) -> float:
    """ln |dL/dh| at the last unit, of the mean loss of a training batch.

    The classifier's outputs are N(0, s^2) with s^2 its factor of the pooled second moment; the error signal at them is
    softmax(y) - onehot, whose square is averaged over draws, and over random labels.
    """
    head = profile.head
    if head is None or head.variance == 0:
        return -math.inf
    logits = math.sqrt(head.variance * head.q) * np.random.default_rng(0).standard_normal((DRAWS, classes))
    logits -= logits.max(axis=1, keepdims=True)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    signal = float(np.mean(np.sum(p**2, axis=1) - 2 / classes + 1))
    return 0.5 * math.log(signal * head.variance * head.gain / head.pixels / config.train.batch_size)
