"""Every setting, typed, with its unit and its range.

Of the package it knows the tables of names alone, and it imports neither JAX nor Hydra, so that a mistyped
setting is refused within a second.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from resjax.catalog import ACTIVATIONS, INITS, NORMS
from resjax.dataconfig import DataConfig
from resjax.orders import ORDERS
from resjax.settings import setting
from resjax.shortcuts import SHORTCUTS
from resjax.variants import BRANCHES, FAMILIES, branch_of, order_of

PRECISIONS = ("float32", "bfloat16", "float64")
PLATFORMS = ("cpu", "gpu", "tpu")
SEEDS_AXES = ("auto", "map", "vmap", "product")
NORM_SCOPES = ("ghost", "per_device", "global")


@dataclass
class ModelConfig:
    """The network. `model=plain` is `model=resnet model.shortcut=none`. Order and branch: null, the family's."""

    name: str = setting("resnet", "family of networks", tuple(FAMILIES))
    depth: int = setting(20, "weight layers, as the family counts them")
    width: int = setting(16, "channels of the first stage; of every hidden layer (mlp)", minimum=1)
    layout: str = setting(
        "cifar", "stages: those of the papers' nets for CIFAR, or for ImageNet", ("cifar", "imagenet")
    )
    stem: str = setting("3x3", "first layer; 7x7 has stride 2 and pooling (imagenet)", ("3x3", "7x7"))
    head: str = setting("pool", "pool and classify, or two layers of 4096 before (vgg)", ("pool", "fc"))
    branch: str | None = setting(None, "weight layers of a unit; null: the family's, or the depth's", tuple(BRANCHES))
    bottleneck: str = setting("v1", "stride in the first 1x1 (v1, the paper's) or in the 3x3 (v1.5)", ("v1", "v1.5"))
    order: str | None = setting(None, "where norm and activation stand in a unit; null: the family's", tuple(ORDERS))
    shortcut: str = setting("identity", "the treatment: how x joins f", tuple(SHORTCUTS))
    shortcut_scale: float = setting(1.0, "factor of x (shortcut=scaled)")
    branch_scale: float = setting(1.0, "factor of f (shortcut=scaled)")
    gate_bias: float = setting(0.0, "bias of the gate at step 0 (exclusive_gate, shortcut_gate, highway)")
    shortcut_dropout: float = setting(0.5, "rate of dropout on the shortcut (shortcut=dropout)", minimum=0, below=1)
    survival: float = setting(
        0.5, "probability that the last branch stays (shortcut=stochastic_depth)", minimum=0, maximum=1
    )
    pad_channels: str = setting(
        "end", "where option A puts its zero channels: end, or split on both sides", ("end", "split")
    )
    norm: str = setting("batch", "normalisation after each weight layer", tuple(NORMS))
    norm_scope: str = setting("ghost", "the examples that share batch statistics", NORM_SCOPES)
    norm_group: int = setting(64, "examples a group, for norm_scope=ghost", minimum=1)
    norm_channel_groups: int = setting(8, "groups that the channels are cut into, for norm=group", minimum=1)
    activation: str = setting("relu", "the non-linear function", tuple(ACTIVATIONS))
    init: str = setting("he", "law of the initial weights", tuple(INITS))
    init_gain: float = setting(1.0, "factor of the initial weights", minimum=0)
    dropout: float = setting(
        0.0,
        "rate: after each conv (densenet), between units (article), in the head (vgg, googlenet)",
        minimum=0,
        below=1,
    )
    growth: int = setting(12, "channels that a layer adds, k (densenet)", minimum=1)
    compression: float = setting(
        1.0, "share of the channels that a transition keeps (densenet; 0.5 for BC)", minimum=0.01, maximum=1
    )
    auxiliary_weight: float = setting(
        0.3, "weight of each auxiliary head's loss; 0: no such heads (googlenet)", minimum=0
    )
    vgg_c: bool = setting(False, "VGG C: the last convolution of stages 3 to 5 is 1x1 (depth 16)")
    unroll: bool | None = setting(
        None, "compile every unit by itself instead of scanning the equal ones; null: on a GPU, up to 110 layers"
    )
    remat: bool = setting(False, "keep only the units' outputs for the backward pass, and compute the rest again")


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
    precision: str = setting(
        "float32", "type of the arithmetic; bfloat16: of the passes, not of what is kept", PRECISIONS
    )
    tf32: bool = setting(
        True, "leave float32's products to the device: a GPU rounds their inputs to TF32, a TPU to bfloat16; false: not"
    )
    precise_statistics: int = setting(
        0, "batches over which batch norm's statistics are averaged before every test; 0: the running ones", minimum=0
    )
    max_minutes: float | None = setting(
        None,
        "minutes after which the command stops, with what runs saved; the same one goes on; null: no end",
        minimum=0.01,
    )
    log_every: int = setting(1, "steps between two rows of metrics", minimum=1)
    evaluate_every: int = setting(0, "steps between two passes over the test set; 0: at the last step only", minimum=0)


@dataclass
class ProbesConfig:
    """When to look at every layer, and on how many examples."""

    at: list[int] = setting([0, 1, 10, 100, 1000], "steps at which the probes run, before that step's update")
    every: int = setting(0, "also every so many steps; 0: never", minimum=0)
    last: bool = setting(True, "also after the last update")
    batch_size: int = setting(128, "examples of the fixed probe batch", minimum=1)
    parts: int = setting(4, "parts of the probe batch, between which gradient noise is seen; 0: not", minimum=0)
    per_example: bool = setting(False, "also every example's own gradient, a backward pass each: costly")
    train_grad_norm: bool = setting(False, "also the training gradient's norm of every layer, at every logged step")


@dataclass
class ParallelConfig:
    """How steps and seeds are laid out over devices and dispatches. It decides speed, never the network."""

    strategy: str = setting("pmap", "pmap, or jit with a sharded batch", ("pmap", "jit"))
    devices: int | None = setting(None, "devices; null: the most there are that divide the batch", minimum=1)
    platform: str | None = setting(None, "where to compute; null: the first that JAX finds of tpu, gpu, cpu", PLATFORMS)
    device_ids: list[int] | None = setting(
        None, "which devices, by the numbers that the machine gives them; null: as many as `devices` says"
    )
    memory_fraction: float | None = setting(
        None,
        "share of a GPU's memory that a process takes; null: JAX's, 0.75, or a part of 0.9 where runs share one",
        minimum=0.01,
        maximum=1,
    )
    processes: int | None = setting(
        None, "processes that make one run together, with jit; null: as many as a SLURM step or TPU pod has", minimum=1
    )
    chunk: int = setting(
        64, "most steps of one dispatch; fewer where they take longer than a second", minimum=1, maximum=1024
    )
    seeds_axis: str = setting("auto", "in turn (map) or side by side (vmap, product); auto: the faster", SEEDS_AXES)
    threads: int | None = setting(None, "threads of the CPU's arithmetic; its last bits depend on it", minimum=1)

    @property
    def process_count(self) -> int:
        """The processes; one where nobody has counted them."""
        return self.processes or 1


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

    every: int = setting(
        0, "steps between two checkpoints; 0: at the last step, and when a signal asks to stop", minimum=0
    )
    every_minutes: float = setting(
        5.0, "minutes after which one is due, too, so that a kill costs no more; 0: none by the clock", minimum=0
    )


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
    seeds: int = setting(1, "seeds, from `seed` on, trained in one program", minimum=1)
    sweep: str = setting("default", "folder of the sweep, inside `runs`")
    runs: str = setting("runs", "folder of all sweeps")
    rerun: str = setting(
        "failed",
        "recorded runs to make again: failed ones, none of them, or all; what was interrupted always goes on",
        ("failed", "none", "all"),
    )


def completed(model: ModelConfig) -> ModelConfig:
    """`model` with the family's order and kind of unit where these are null."""
    branch = branch_of(model.name, model.layout, model.depth, model.branch)
    return replace(model, order=order_of(model.name, model.order), branch=branch)


def statistics_group(config: Config) -> int | None:
    """Examples that share batch statistics, where the device count has no say in it (else None)."""
    model, batch = config.model, config.train.batch_size
    if model.norm != "batch" or model.norm_scope == "per_device":
        return None
    return min(model.norm_group, batch) if model.norm_scope == "ghost" else batch


def keys(section: Any = None, prefix: str = "") -> dict[str, Any]:
    """Every setting's dotted name, with its dataclass field."""
    found: dict[str, Any] = {}
    for item in fields(section or Config):
        if hasattr(item.type, "__dataclass_fields__"):
            found |= keys(item.type, f"{prefix}{item.name}.")
        else:
            found[prefix + item.name] = item
    return found
