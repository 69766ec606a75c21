"""What a run is: the canonical form of its settings, its id, its names."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from resjax.config import Config

# How often one looks changes no number that training computes: runs that differ in it are pooled.
LOOKING = (("train", "log_every"), ("train", "evaluate_every"), ("probes", "at"), ("probes", "every"))
# What follows decides nothing of the numbers a run computes, so it is no part of the run's identity.
NOT_IN_IDENTITY = ("parallel", "tracker", "checkpoint", "sweep", "runs", "rerun")


def canonical(config: Config, devices: int | None = None) -> dict[str, Any]:
    """The settings that decide the result, as plain values; settings without effect are left out.

    With norm_scope=per_device the batch statistics follow the device count, which then is one of them.
    """
    form = {key: value for key, value in asdict(config).items() if key not in NOT_IN_IDENTITY}
    for section, keys in _without_effect(config).items():
        for key in keys:
            del form[section][key]
    if config.model.norm == "batch" and config.model.norm_scope == "per_device":
        form["devices"] = devices
    form["probes"]["at"] = sorted(set(config.probes.at))
    return form


def _without_effect(config: Config) -> dict[str, list[str]]:
    """Settings that change nothing beside the others as they are."""
    model, schedule = ["unroll"], []
    if config.model.norm == "none":
        model += ["norm_scope", "norm_group"]
    elif config.model.norm_scope != "ghost":
        model += ["norm_group"]
    if config.schedule.name != "step":
        schedule += ["boundaries", "decay"]
    if config.schedule.warmup_learning_rate is None:
        schedule += ["warmup_error", "warmup_max_steps"]
    return {
        "model": model,
        "data": ["root", *(["image_size", "channels", "classes"] if config.data.name != "synthetic" else [])],
        "optimizer": ["second_moment", "epsilon"] if config.optimizer.name == "sgd" else ["nesterov"],
        "schedule": schedule,
    }


def _sha256(form: dict[str, Any]) -> str:
    """Of one spelling of a canonical form: sorted keys, no spaces."""
    spelling = json.dumps(form, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(spelling.encode()).hexdigest()


def run_id(config: Config, devices: int | None = None) -> str:
    """SHA-256 of the canonical form, in hex."""
    return _sha256(canonical(config, devices))


def group_id(config: Config, devices: int | None = None) -> str:
    """The id of what is left without the seeds and without how often one looks: runs that share it are pooled."""
    form = canonical(config, devices)
    del form["seed"], form["seeds"]
    for section, key in LOOKING:
        del form[section][key]
    return _sha256(form)


def arm(config: Config) -> str:
    """The treatment in a word: plain, residual, or the shortcut's name."""
    return {"none": "plain", "identity": "residual"}.get(config.model.shortcut, config.model.shortcut)


def readable_name(config: Config) -> str:
    """A run's name for people, such as resnet56-plain-batch-digits-s0x3."""
    model = config.model
    norm = "nonorm" if model.norm == "none" else model.norm
    return f"{model.name}{model.depth}-{arm(config)}-{norm}-{config.data.name}-s{config.seed}x{config.seeds}"
