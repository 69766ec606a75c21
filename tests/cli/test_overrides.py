"""What is typed after `resjax train`: refused with what to type instead, or a list of legal jobs."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from resjax import catalog
from resjax.cli.overrides import launch
from resjax.cli.train import help_text
from resjax.cli.words import choices, wrong_type
from resjax.config import keys
from resjax.errors import InputError

# Every file of conf/model.
MODELS = (
    *("article", "densenet", "densenet_bc", "densenet_imagenet", "googlenet", "googlenet_imagenet", "highway", "mlp"),
    *("plain", "plain_imagenet", "preact", "resnet", "resnet_imagenet", "vgg", "vgg_imagenet"),
)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.dept=3"], "model.depth=3"),
        (["+model.dept=3"], "model.depth=3"),
        (["++train.stps=3"], "train.steps=3"),
        (["+model.depth=56"], "Type: model.depth=56"),
        (["~seeds"], "cannot be taken away"),
        (["train=3"], "train.steps=3"),
        (["model.depth=21"], "model.depth=20 or model.depth=26"),
        (["model.depth=deep"], "Expected a whole number.\nType: model.depth=20"),
        (["train.steps=2.5"], "Expected a whole number"),
        (["data.train_examples=many"], "Expected a whole number, or null"),
        (["data.mean=grey"], "Expected a list of numbers, or null.\nType: data.mean=null"),
        (["model.remat=often"], "Expected true or false.\nType: model.remat=false"),
        (["model.remat=2"], "Expected true or false"),
        (["-m", "probes.train_grad_norm=true,1"], "Expected true or false"),
        (["-m", "model.remat=range(0,2)"], "Expected true or false"),
        (["model.branch=[1]"], "Expected one of: single, basic, bottleneck, or null.\nType: model.branch=single"),
        (["schedule.decay=fast"], "Expected a number.\nType: schedule.decay=0.1"),
        (["probes.at=3"], "probes.at=[0,1,10,100,1000]"),
        (["seeds=0"], "seeds=1"),
        (["seeds=null"], "seeds=1"),
        (["model.shortcut=idntity"], "model.shortcut=identity"),
        (["model=rsnet"], "model=resnet"),
        (["model.depth=20,56"], "resjax train -m model.depth=20,56"),
        (["model.depth"], "Type: model.depth=20"),
        (["model.depth=${nowhere}"], "nowhere"),
        (["-m", "model.depth=20,21"], "model.depth=20 or model.depth=26"),
        (["-m", "model=plain,rsnet"], "model=resnet"),
        (["experiment=quickstart", "model.depth=22"], "model.depth=20 or model.depth=26"),
        (["experiment=quikstart"], "experiment=quickstart"),
        (["model=null"], f"Expected one of: {', '.join(MODELS)}\n"),
        (["--epochs", "3"], "no option --epochs"),
        (["optimizer.learning_rate=0.1"], "schedule.learning_rate=0.1"),
        (["model.depth=1"], "model.depth=8"),
        (["--config-dir", "/no/such/folder"], "not a folder"),
        (["seed=4294967295", "seeds=2"], "seed=0"),
        (["model.order=origina"], "Type: model.order=original"),
        (["model.norm=null"], "Type: model.norm=batch"),
        (["model=vgg", "model.depth=12"], "model.depth=11 or model.depth=13"),
        (["model=densenet", "model.depth=41"], "model.depth=40 or model.depth=43"),
        (["model=resnet_imagenet", "model.depth=51"], "model.depth=50 or model.depth=101"),
        (["model=googlenet", "model.shortcut=identity"], "Type: model.shortcut=none"),
        (["model.growth=24"], "Expected it with: densenet\nType: model.growth=12"),
        (["-m", "model=plain,densenet", "model.shortcut=none,identity"], "Type: model.shortcut=concat"),
    ],
)
def test_what_is_wrong_is_refused_with_what_to_type(words: list[str], says: str) -> None:
    with pytest.raises(InputError) as error:
        launch(words)
    assert says in str(error.value)
    assert len(str(error.value).splitlines()) <= 6


def test_a_plain_net_is_a_resnet_without_shortcuts() -> None:
    (plain,), (spelt,) = (launch(words).jobs for words in (["model=plain"], ["model=resnet", "model.shortcut=none"]))
    assert plain == spelt


def test_every_model_is_told_in_the_catalog_and_has_its_file() -> None:
    assert choices()["model"] == sorted(catalog.MODELS) == list(MODELS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=plain"], {"name": "resnet", "depth": 20, "shortcut": "none", "order": None, "branch": None}),
        (["model=preact"], {"name": "resnet", "depth": 20, "shortcut": "identity", "order": "full_preactivation"}),
        (["model=resnet_imagenet"], {"depth": 50, "width": 64, "stem": "7x7", "shortcut": "projection_b"}),
        (["model=densenet_bc"], {"depth": 100, "branch": "bottleneck", "compression": 0.5, "shortcut": "concat"}),
        (["model=vgg_imagenet"], {"depth": 16, "head": "fc", "norm": "none", "dropout": 0.5}),
        (["model=googlenet_imagenet"], {"depth": 22, "stem": "7x7", "norm": "none", "auxiliary_weight": 0.3}),
        (["model=highway"], {"branch": "single", "shortcut": "highway", "gate_bias": -2.0, "norm": "none"}),
        (["model=article"], {"depth": 39, "width": 64, "dropout": 0.5, "init": "glorot", "shortcut": "identity"}),
    ],
)
def test_a_model_is_the_papers(words: list[str], expected: dict[str, object]) -> None:
    (job,) = launch(words).jobs
    assert {name: getattr(job.model, name) for name in expected} == expected


@pytest.mark.parametrize("group", ["model", "data", "optimizer", "schedule", "parallel", "tracker"])
def test_every_file_of_every_group_composes(group: str) -> None:
    for name in choices()[group]:
        named = ["data.name=own"] if (group, name) in (("data", "tfds"), ("data", "folder")) else []
        assert launch([f"{group}={name}", *named]).count == 1


@pytest.mark.parametrize("kind", ["tfds", "folder"])
def test_a_set_of_ones_own_needs_a_name(kind: str) -> None:
    """The default, digits, is resjax's own."""
    with pytest.raises(
        InputError, match=f"data.kind={kind} with data.name=digits, which is resjax's own and the default"
    ):
        launch([f"data={kind}"])
    with pytest.raises(InputError, match=f"data.kind={kind} with data.name=synthetic, which is resjax's own\\."):
        launch([f"data={kind}", "data.name=synthetic"])


def test_a_sweep_is_every_combination() -> None:
    launched = launch(["-m", "model=plain,resnet", "model.depth=20,32,44", "seeds=2"])
    arms = [(job.model.shortcut, job.model.depth, job.seeds) for job in launched.jobs]
    assert arms == [(shortcut, depth, 2) for shortcut in ("none", "identity") for depth in (20, 32, 44)]


def test_the_quickstart_is_both_arms_at_two_depths_with_and_without_norm() -> None:
    jobs = launch(["experiment=quickstart"]).jobs
    arms = {(job.model.shortcut, job.model.depth, job.model.norm) for job in jobs}
    assert len(jobs) == len(arms) == 8
    assert {job.seeds for job in jobs} == {3}
    assert {job.sweep for job in jobs} == {"quickstart"}
    assert {(job.model.norm, job.train.steps) for job in jobs} == {("batch", 100), ("none", 20)}


def test_the_command_line_replaces_a_sweep_of_the_experiment() -> None:
    jobs = launch(["experiment=quickstart", "model.depth=8", "model.norm=batch", "train.steps=2"]).jobs
    assert [(job.model.depth, job.model.shortcut, job.train.steps) for job in jobs] == [
        (8, "none", 2),
        (8, "identity", 2),
    ]


def test_a_group_on_the_command_line_replaces_what_its_file_sets() -> None:
    jobs = launch(["experiment=quickstart", "model=plain"]).jobs
    assert [(job.model.shortcut, job.model.depth, job.model.norm) for job in jobs] == [
        ("none", depth, norm) for norm in ("batch", "none") for depth in (20, 56)
    ]


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["--cfg=job"]])
def test_showing_the_settings_trains_nothing(flags: list[str]) -> None:
    launched = launch([*flags, "experiment=quickstart"])
    assert not launched.trains
    assert "--multirun" not in launched.words


def test_a_folder_of_ones_own_experiments(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nsweep: mine\nmodel:\n  depth: 32\n")
    (job,) = launch([f"--config-dir={tmp_path}", "experiment=mine"]).jobs
    assert (job.sweep, job.model.depth) == ("mine", 32)


def test_a_refusal_comes_before_jax_within_two_seconds() -> None:
    program = (
        "import sys; from resjax.cli import main; code = main(['train', 'model.depth=21']); "
        "assert 'jax' not in sys.modules; sys.exit(code)"
    )
    seconds = []
    for _ in range(3):  # the fastest: the machine may be busy
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - began)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert 1 <= len(done.stderr.splitlines()) <= 6
    assert min(seconds) < 2, seconds


@pytest.mark.parametrize("key", keys())
def test_what_a_wrong_type_is_told_to_type_is_taken(key: str) -> None:
    launch([str(wrong_type(key, "?")).splitlines()[-1].removeprefix("Type: ")])


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["model.remat=yes"], [True]),
        (["-m", "model.remat=true,false"], [True, False]),
        (["model.remat=${probes.train_grad_norm}"], [False]),
    ],
)
def test_true_and_false_are_taken_however_they_come(words: list[str], values: list[bool]) -> None:
    assert [job.model.remat for job in launch(words).jobs] == values


def test_help_names_what_is_legal() -> None:
    told = " ".join(help_text(["all"]).split())
    for line in (
        "model.remat=false keep only the units' outputs for the backward pass, and compute the rest again model.",
        "in the head (vgg, googlenet) (0 or more, less than 1)",
        "parallel.chunk=64 most steps of one dispatch; fewer where they take longer than a second (1 or more, 1024 or",
        "of the passes, not of what is kept (float32, bfloat16, float64)",
        "probes.at=[0,1,10,100,1000] steps at which",
    ):
        assert line.removesuffix(" model.") in told


def test_help_finds_a_section_a_setting_and_a_word() -> None:
    every = help_text(["all"])
    assert all(f"\n  {key}=" in f"\n{every}" for key in keys())
    assert {line.split("=")[0].strip() for line in help_text(["probes"]).splitlines() if line[2] != " "} == {
        key for key in keys() if key.startswith("probes.")
    }
    assert "norm=group" in help_text(["model.norm"])
    assert "over space and a group of channels of one example (Wu and" in " ".join(help_text(["norm"]).split())
    assert "optimizer.nesterov" in help_text(["NESTEROV"])
    with pytest.raises(InputError, match="resjax train --help optimizer"):
        help_text(["optimiser"])


def test_the_index_of_settings_is_whole() -> None:
    words = set(help_text().split())
    assert {key.rpartition(".")[2] for key in keys()} | {f"{group}=" for group in choices()} <= words
