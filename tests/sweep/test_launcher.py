from collections.abc import Sequence

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from resjax.cli.overrides import launch
from resjax.cli.words import check_word, choices
from resjax.config import Config
from resjax.errors import InputError
from resjax.sweep import sweeping
from resjax.sweep.launcher import Launcher, from_settings

SWEEP = ["-m", "model.depth=20,26"]


def test_the_default_is_a_child_process_a_job() -> None:
    assert launch(SWEEP).launcher == Launcher(where="processes", jobs=1)


def test_settings_by_hydras_grammar() -> None:
    gpus = launch([*SWEEP, "hydra.launcher.gpus=[0,2]"]).launcher
    assert (gpus.slots, gpus.gpus) == (2, (0, 2))
    slurm = launch([*SWEEP, "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"]).launcher
    assert (slurm.where, slurm.partition, slurm.tasks_per_node) == ("slurm", "gpu", 1)
    assert launch([*SWEEP, "hydra/launcher=submitit_local"]).launcher.where == "local"
    assert launch([*SWEEP, "hydra/launcher=in_process"]).launcher.where == "in_process"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra/launcher=slurm"], "Type: hydra/launcher=submitit_slurm"),
        (["hydra.launcher.jbos=2"], "Did you mean: hydra.launcher.jobs=2"),
        (["hydra.launcher.jobs=0"], "no number above 0"),
        (["hydra.launcher.jobs=many"], "no number above 0"),
        (["hydra/launcher=joblib"], "is not known"),
    ],
)
def test_what_is_no_launcher_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said.replace("[", r"\[")):
        launch([*SWEEP, *words])


def test_a_setting_of_another_launcher_is_refused() -> None:
    with pytest.raises(InputError):
        launch([*SWEEP, "hydra.launcher.partition=gpu"])


def test_a_launcher_of_somebody_else_is_refused() -> None:
    with pytest.raises(InputError, match="none of ours"):
        from_settings({"_target_": "os.system"})


def test_words_are_checked_one_by_one() -> None:
    word = OverridesParser.create().parse_override("hydra.launcher.gpu=[0]")
    with pytest.raises(InputError, match=r"hydra\.launcher\.gpus=\[0\]"):
        check_word(word, choices())


def test_one_process_has_one_number_of_threads() -> None:
    def asked(words: list[str]) -> Sequence[Config]:
        return launch([*SWEEP, "hydra/launcher=in_process", *words]).jobs

    assert sweeping.wanted(asked(["parallel.threads=1", "parallel.devices=2"]))[1] == [1, 1]
    assert sweeping.wanted(asked(["parallel.devices=1,2"]))[0] == [1, 2, 1, 2]
    together = ["parallel=jit", "parallel.processes=2", "parallel.devices=4"]
    assert sweeping.wanted(asked(together))[0] == [None, None]
    for words in (
        ["parallel.threads=1,2"],
        ["parallel.threads=1,null"],
        ["parallel.threads=1", "parallel.devices=1,2"],
    ):
        with pytest.raises(InputError, match=r"(?s)parallel.threads=1.*Type: hydra/launcher=basic"):
            sweeping.wanted(asked(words))


def test_a_secret_in_a_setting_of_the_launcher_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    words = [*SWEEP, "hydra/launcher=submitit_slurm"]
    for word in (
        'hydra.launcher.setup=["export WANDB_API_KEY=0123456789abcdef"]',
        "hydra.launcher.account=0123456789abcdef",
        "hydra.launcher.additional_parameters={comment:a-0123456789abcdef}",
    ):
        with pytest.raises(InputError, match=r"holds the value of \$WANDB_API_KEY"):
            launch([*words, word])
