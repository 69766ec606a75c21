"""Every setting, typed, with its unit and its range.

This module knows nothing of the rest of the package and imports neither JAX nor Hydra, so that a mistyped
setting is refused within a second.
"""

import difflib
from dataclasses import dataclass, field, fields
from typing import Any

FAMILIES = ("resnet", "mlp")
SHORTCUTS = ("none", "identity", "projection_b", "projection_c")
NORMS = ("batch", "none")
NORM_SCOPES = ("ghost", "per_device", "global")
DATASETS = ("digits", "synthetic", "cifar10", "cifar100")
PARAMETER_FREE_SHORTCUTS = ("none", "identity")


def setting(default: Any, help: str, choices: tuple[str, ...] = (), minimum: float | None = None) -> Any:
    """A dataclass field that carries its help text and its legal values (docs are generated from them)."""
    metadata = {"help": help, "choices": choices, "minimum": minimum}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class ModelConfig:
    """The network. `model=plain` is `model=resnet model.shortcut=none`."""

    name: str = setting("resnet", "family of networks", FAMILIES)
    depth: int = setting(20, "weight layers; 6n+2 for resnet, 3 or more for mlp", minimum=3)
    width: int = setting(16, "channels of the first stage (resnet), or of every hidden layer (mlp)", minimum=1)
    shortcut: str = setting("identity", "the treatment: how x joins f", SHORTCUTS)
    norm: str = setting("batch", "normalisation after each weight layer", NORMS)
    norm_scope: str = setting("ghost", "the examples that share batch statistics", NORM_SCOPES)
    norm_group: int = setting(64, "examples a group, for norm_scope=ghost", minimum=1)
    unroll: bool = setting(False, "compile every unit by itself instead of scanning the equal ones")


@dataclass
class DataConfig:
    """The data set, its size and its augmentation."""

    name: str = setting("digits", "data set", DATASETS)
    root: str | None = setting(None, "folder of prepared data; null: $RESJAX_DATA, or ~/.cache/resjax/data")
    augment: bool = setting(False, "pad 4, random crop, horizontal flip (He et al. 2015, section 4.2)")
    train_examples: int | None = setting(None, "use the first so many training examples; null: all", minimum=1)
    test_examples: int | None = setting(None, "use the first so many test examples; null: all", minimum=1)
    image_size: int = setting(32, "pixels a side, for data=synthetic", minimum=8)
    channels: int = setting(3, "channels, for data=synthetic", minimum=1)
    classes: int = setting(10, "classes, for data=synthetic", minimum=2)


@dataclass
class OptimizerConfig:
    """The update rule."""

    name: str = setting("sgd", "update rule", ("sgd", "adam"))
    momentum: float = setting(0.9, "momentum of sgd; the first moment's decay of adam", minimum=0)
    nesterov: bool = setting(False, "Nesterov's form of momentum (sgd)")
    second_moment: float = setting(0.999, "the second moment's decay (adam)", minimum=0)
    epsilon: float = setting(1e-8, "added to the root of the second moment (adam)", minimum=0)
    weight_decay: float = setting(1e-4, "factor of w added to its gradient, every parameter", minimum=0)


@dataclass
class ScheduleConfig:
    """The learning rate against the step."""

    name: str = setting("step", "shape", ("step", "constant", "cosine"))
    learning_rate: float = setting(0.1, "the base learning rate", minimum=0)
    boundaries: list[float] = setting([0.5, 0.75], "fractions of train.steps at which `decay` multiplies (step)")
    decay: float = setting(0.1, "factor at each boundary (step)", minimum=0)
    warmup_learning_rate: float | None = setting(None, "learning rate of the warm-up; null: no warm-up", minimum=0)
    warmup_error: float = setting(0.8, "the warm-up ends when the running training error is below", minimum=0)
    warmup_max_steps: int = setting(2000, "the warm-up ends here at the latest", minimum=0)


@dataclass
class TrainConfig:
    """The training run."""

    steps: int = setting(300, "parameter updates", minimum=1)
    batch_size: int = setting(128, "examples an update, over all devices", minimum=1)
    precision: str = setting("float32", "type of parameters and arithmetic", ("float32", "float64"))
    log_every: int = setting(1, "steps between two rows of metrics", minimum=1)
    evaluate_every: int = setting(0, "steps between two passes over the test set; 0: at the last step only", minimum=0)


@dataclass
class ProbesConfig:
    """When to look at every layer, and on how many examples."""

    at: list[int] = setting([0, 1, 10, 100, 1000], "steps at which the probes run, before that step's update")
    every: int = setting(0, "also every so many steps; 0: never. The last step is always probed", minimum=0)
    batch_size: int = setting(128, "examples of the fixed probe batch", minimum=1)


@dataclass
class ParallelConfig:
    """How one step is laid out over devices. It decides speed, never the network."""

    strategy: str = setting("pmap", "pmap, or jit with a sharded batch", ("pmap", "jit"))
    devices: int | None = setting(None, "devices; null: the most there are that divide the batch", minimum=1)


@dataclass
class TrackerConfig:
    """The mirror of the records. Nothing depends on it."""

    name: str = setting("wandb", "tracker", ("none", "wandb"))
    mode: str = setting("offline", "wandb's mode", ("offline", "online"))
    project: str = setting("resjax", "wandb's project")
    entity: str | None = setting(None, "wandb's entity; null: the account's default")


@dataclass
class CheckpointConfig:
    """When the state is saved."""

    every: int = setting(0, "steps between two checkpoints; 0: the last step only", minimum=0)


@dataclass
class Config:
    """One run: one network, one data set, one training, N seeds."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    probes: ProbesConfig = field(default_factory=ProbesConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    seed: int = setting(0, "the first seed", minimum=0)
    seeds: int = setting(1, "seeds, from `seed` on, trained side by side in one program", minimum=1)
    sweep: str = setting("default", "folder of the sweep, inside `runs`")
    runs: str = setting("runs", "folder of all sweeps")
    rerun: str = setting("failed", "which recorded runs to run again", ("failed", "none", "all"))


def statistics_group(config: Config) -> int | None:
    """Examples that share batch statistics, where the device count has no say in it (else None)."""
    model, batch = config.model, config.train.batch_size
    if model.norm != "batch" or model.norm_scope == "per_device":
        return None
    return min(model.norm_group, batch) if model.norm_scope == "ghost" else batch


def nearest(word: str, words: tuple[str, ...]) -> str:
    """The word most like `word`."""
    return (difflib.get_close_matches(word, words, n=1, cutoff=0.0) or list(words))[0]


def keys(section: Any = None, prefix: str = "") -> dict[str, Any]:
    """Every setting's dotted name, with its dataclass field."""
    found: dict[str, Any] = {}
    for item in fields(section or Config):
        if hasattr(item.type, "__dataclass_fields__"):
            found |= keys(item.type, f"{prefix}{item.name}.")
        else:
            found[prefix + item.name] = item
    return found
