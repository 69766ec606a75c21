"""A job's settings are those that Hydra gives, however they were put together."""

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from resjax.cli import composition
from resjax.cli.composition import checked, composed, of_job
from resjax.cli.overrides import launch
from resjax.cli.words import choices
from resjax.errors import InputError

WORDS = [
    [],
    ["model.depth=56", "model=plain", "seeds=3"],
    ["data.mean=[0.1,0.2]", "probes.at=[]", "data.train_examples=null", "sweep='a b'", "tracker.project='x=y'"],
    ["train.steps=${seeds}", "seeds=3", "seeds=4"],
    ["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=9", "seed=1"],
    ["++model.depth=8", "model.depth=14"],
    ["model.depth=14", "++model.depth=8"],
    *([f"experiment={name}", "model.norm=none", "train.batch_size=32"] for name in choices()["experiment"]),
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_single_settings_behind_the_files_are_hydras_own(words: list[str]) -> None:
    for _ in range(2):  # the second time the files are known
        assert OmegaConf.to_container(of_job(words)) == OmegaConf.to_container(composed(words, False))


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("train.steps=many", "Expected a whole number"),
        ("seeds=1,2", "wrong type"),
        ("seeds=${no}", "'no' not found"),
    ],
)
def test_what_is_wrong_is_told(word: str, says: str) -> None:
    checked([])
    with pytest.raises(InputError, match=says):
        checked([word])


def test_files_that_have_changed_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "experiment" / "own.yaml"
    file.parent.mkdir()
    words, found = ["-m", "--config-dir", str(tmp_path), "experiment=own", "seed=0,1"], []
    (file.parent / ".#own.yaml").symlink_to("what an editor leaves there while a file is open")
    for nanoseconds, depth in enumerate((8, 14)):
        file.write_text(f"# @package _global_\nmodel:\n  depth: {depth}\n")
        os.utime(file, ns=(nanoseconds, nanoseconds))
        found.append([(job.model.depth, job.seed) for job in launch(words).jobs])
    assert found == [[(8, 0), (8, 1)], [(14, 0), (14, 1)]]


def test_jobs_that_differ_in_single_settings_share_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[list[str]] = []

    def counting(overrides: list[str], with_hydra: bool) -> object:
        counted.append(list(overrides))
        return composed(overrides, with_hydra)

    composition.of_files.cache_clear()
    monkeypatch.setattr(composition, "composed", counting)
    assert len(launch(["-m", "model=plain,resnet", "model.depth=20,32,44,56", "seed=0,1"]).jobs) == 16
    assert counted == [["model=plain"], ["model=resnet"]]
