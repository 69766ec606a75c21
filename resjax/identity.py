"""What a run is: the canonical form of its settings, its id, its names."""

import hashlib
import json
import re
from dataclasses import asdict, fields
from typing import Any

from resjax.config import Config, ModelConfig, completed
from resjax.datarules import without_effect
from resjax.shortcuts import SHORTCUTS
from resjax.variants import FAMILIES

# What follows decides nothing of the numbers a run computes, so it is no part of the run's identity.
NOT_IN_IDENTITY = ("parallel", "tracker", "checkpoint", "sweep", "runs", "rerun")
# How often one looks changes no number that training computes: runs that differ in it are pooled.
LOOKING = (
    ("train", "log_every"),
    ("train", "evaluate_every"),
    ("data", "ten_crop"),
    ("probes", "at"),
    ("probes", "every"),
    ("probes", "last"),
    ("probes", "train_grad_norm"),
    ("probes", "parts"),
    ("probes", "per_example"),
)


def canonical(config: Config, devices: int | None = None) -> dict[str, Any]:
    """The settings that decide the result, as plain values; settings without effect are left out.

    With norm_scope=per_device the batch statistics follow the device count, which then is one of them.
    """
    form = {key: value for key, value in asdict(config).items() if key not in NOT_IN_IDENTITY}
    form["model"] = asdict(completed(config.model))
    for section, keys in _without_effect(config).items():
        for key in keys:
            del form[section][key]
    if config.model.norm == "batch" and config.model.norm_scope == "per_device":
        form["devices"] = devices
    form["probes"]["at"] = sorted(set(config.probes.at))
    return form


def _without_effect(config: Config) -> dict[str, list[str]]:
    """Settings that change nothing beside the others as they are."""
    probes = ["last"] if config.probes.last else []  # left out: ids from before there was such a setting stay
    exact = config.train.precision == "float64"
    train = ["max_minutes", *(["tf32"] if config.train.tf32 or exact else [])]  # tf32: as with `last`
    train += [] if config.train.precise_statistics and config.model.norm == "batch" else ["precise_statistics"]
    schedule = []
    if config.schedule.name != "step":
        schedule += ["boundaries", "decay"]
    if config.schedule.warmup_learning_rate is None:
        schedule += ["warmup_error", "warmup_max_steps"]
    return {
        "model": sorted(keys_of(ModelConfig) - settings_of(config.model)),
        "data": without_effect(config.data),
        "probes": probes,
        "optimizer": ["second_moment", "epsilon"] if config.optimizer.name == "sgd" else ["nesterov"],
        "schedule": schedule,
        "train": train,
    }


def settings_of(model: ModelConfig) -> set[str]:
    """The settings of the model that change something beside the others as they are."""
    family = FAMILIES[model.name]
    found = {"name", "depth", "shortcut", "norm", "activation", "init", "init_gain", *family.settings}
    found |= set(of_shortcut(model))
    if model.norm == "batch":
        found |= {"norm_scope", *(["norm_group"] if model.norm_scope == "ghost" else [])}
    if model.norm == "group":
        found |= {"norm_channel_groups"}
    if completed(model).branch != "bottleneck":
        found -= {"bottleneck"}
    return found


def of_shortcut(model: ModelConfig) -> list[str]:
    """The settings that its shortcut reads; in an mlp no channel is ever padded."""
    return [name for name in SHORTCUTS[model.shortcut].settings if (model.name, name) != ("mlp", "pad_channels")]


def keys_of(section: Any) -> set[str]:
    """The names of a section's settings."""
    return {item.name for item in fields(section)}


def _sha256(form: dict[str, Any]) -> str:
    """Of one spelling of a canonical form: sorted keys, no spaces."""
    spelling = json.dumps(form, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(spelling.encode()).hexdigest()


def run_id(config: Config, devices: int | None = None) -> str:
    """SHA-256 of the canonical form, in hex."""
    return _sha256(canonical(config, devices))


def group_id(config: Config, devices: int | None = None) -> str:
    """The id of what is left without the seeds and without how often one looks: runs that share it are pooled."""
    return _sha256(pooled(canonical(config, devices)))


def pooled(form: dict[str, Any]) -> dict[str, Any]:
    """A canonical form without the seeds and without how often one looks."""
    looking = {section: {key for where, key in LOOKING if where == section} for section, _ in LOOKING}
    kept = {key: value for key, value in form.items() if key not in ("seed", "seeds")}
    return kept | {
        section: {key: value for key, value in form[section].items() if key not in keys}
        for section, keys in looking.items()
    }


def arm(config: Config) -> str:
    """The treatment in a word: plain, residual, dense, or the shortcut's name, with its settings where it has some."""
    model = config.model
    word = {"none": "plain", "identity": "residual", "concat": "dense"}.get(model.shortcut, model.shortcut)
    values = [getattr(model, name) for name in of_shortcut(model)]
    told = [value if isinstance(value, str) else f"{value:g}" for value in values if value != "end"]
    return f"{word}({','.join(told)})" if told else word


def readable_name(config: Config) -> str:
    """A run's name for people, such as resnet56-plain-batch-digits-s0x3; with the order, unit, activation and init
    where they are not the family's.
    """
    model = config.model
    norm = "nonorm" if model.norm == "none" else model.norm
    treated = arm(config).replace("(", "_").replace(")", "").replace(",", "_")
    net = [f"{model.name}{model.depth}", *special(model)]
    data = re.sub("[/:]", "-", config.data.name)
    return "-".join([*net, treated, norm, data, f"s{config.seed}x{config.seeds}"])


def special(model: ModelConfig) -> list[str]:
    """The order, unit, activation and init where they are not the family's."""
    full, usual = completed(model), completed(ModelConfig(name=model.name, depth=model.depth))
    settings = ("order", "branch", "activation", "init")
    return [getattr(full, name) for name in settings if getattr(full, name) != getattr(usual, name)]
