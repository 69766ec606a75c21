"""What is due at which step. A chunk of steps ends where something is."""

from resjax.config import Config


def probed(config: Config, step: int) -> bool:
    """Whether the probes look at the state before update number `step`."""
    return step in config.probes.at or _falls(step, config.probes.every)


def ever_probed(config: Config) -> bool:
    """Whether the probes look at all in a run that goes well."""
    probes = config.probes
    return probes.last or probes.every > 0 or any(0 <= step < config.train.steps for step in probes.at)


def saved(config: Config, step: int) -> bool:
    """Whether the state after `step` updates is a checkpoint. The first one would be the initial values."""
    return step > 0 and _falls(step, config.checkpoint.every)


def late(config: Config, seconds: float) -> bool:
    """Whether the last checkpoint, so many seconds ago, is too old."""
    return 0 < config.checkpoint.every_minutes * 60 <= seconds


def tested(config: Config, step: int) -> bool:
    """Whether the test set is looked at before update number `step`."""
    return _falls(step, config.train.evaluate_every)


def is_due(config: Config, step: int) -> bool:
    """Whether anything is."""
    return probed(config, step) or saved(config, step) or tested(config, step)


def steps_until_due(config: Config, step: int) -> int:
    """Updates from `step` on until something is due again, or training ends."""
    intervals = (config.probes.every, config.checkpoint.every, config.train.evaluate_every)
    stops = [every * (step // every + 1) for every in intervals if every]
    stops += [place for place in config.probes.at if place > step]
    return min([config.train.steps, *stops]) - step


def _falls(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
