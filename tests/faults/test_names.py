"""A sweep's name is whatever people type; its folder is a safe one, inside the runs folder."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import untrained
from broken import SMALL

from resjax import job, records
from resjax.cli import main
from resjax.config import Config
from resjax.errors import InputError
from resjax.facts import sweep_folder
from resjax.legal import check, slug

READS_THE_ENVIRONMENT = "${oc.env:HOME}"
# A name, and the folder that it makes; None: it is refused.
NAMES = {
    "../x": None,
    "../../etc/passwd": None,
    "/tmp/x": None,
    "/": None,
    "a/b": None,
    "a/../../b": None,
    "x/": None,
    "./x": None,
    "..": None,
    ".": None,
    ".hidden": None,
    "...": None,
    "": None,
    " ": None,
    "..\\x": None,
    "C:\\x": None,
    "\\\\server\\share": None,
    "a\0b": None,
    "a\nb": None,
    "a\r": None,
    "a\tb": None,
    "\x1b[31mred": None,
    "\x7f": None,
    "a\x85b": None,
    "a\udcffb": None,
    "~": None,
    "🎉": None,
    "-": None,
    "\u200b": None,
    READS_THE_ENVIRONMENT: None,
    "~root": "root",
    "$HOME": "HOME",
    "$(touch made)": "touch-made",
    "`touch made`": "touch-made",
    "a;touch made": "a-touch-made",
    "a|b>made&": "a-b-made",
    "*": None,
    "a*?[b]": "a-b",
    "%2e%2e%2fx": "2e-2e-2fx",
    "\uff0e\uff0e\uff0fx": "x",  # full width
    "a‥b": "a..b",
    "\u202etxt.exe": "txt.exe",
    "a\u2028b": "a-b",
    "end. ": "end",
    "end...": "end",
    "-rf": "rf",
    "--help": "help",
    "CON": "CON",
    "nul.txt": "nul.txt",
    "attempts": "attempts",
    "launches": "launches",
    "run.json": "run.json",
    "a,b": "a-b",
    "{a}=[b]": "a-b",
    'it\'s "so"': "it-s-so",
    "null": "null",
    "tiefe Netze": "tiefe-Netze",
    "glub\u0308cklich": "glub\u0308cklich",
    "глубина": "глубина",
    "अनुभव": "अनुभव",
    "n" * 300: f"{'n' * 91}-{slug('n' * 300)[-8:]}",
    "ü" * 300: f"{'ü' * 45}-{slug('ü' * 300)[-8:]}",
}

TYPED = ("../x", "", "a\0b", "a\udcffb", READS_THE_ENVIRONMENT, "$(touch made)", "-rf", 'it\'s "so"', "ü" * 300)


@pytest.fixture
def recorded(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are recorded without being trained, but in full."""

    if not full:
        monkeypatch.setattr(job, "train", untrained.train)


def quoted(name: str) -> str:
    """As Hydra's grammar takes any text."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def tree(folder: Path) -> dict[str, int]:
    """Everything in it that is not in runs/, and when it was changed."""
    return {
        str(path): path.lstat().st_mtime_ns
        for path in [folder, *folder.rglob("*")]
        if path.relative_to(folder).parts[:2] != ("here", "runs")
    }


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that lies in another, which names may try to reach."""
    for name in ("x", "b", "here", "here/runs"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_makes_a_safe_folder_or_is_refused(name: str) -> None:
    config = Config(sweep=name)
    folder = NAMES[name]
    if name == READS_THE_ENVIRONMENT:  # as a text; typed, it is /root or the like, and refused below
        folder = "oc.env-HOME"
    if folder is None:
        with pytest.raises(InputError, match=r"^sweep=(.|\n)*Type: sweep="):
            check(config)
    else:
        assert sweep_folder(check(config)) == Path("runs") / folder
        assert slug(folder) == folder
        assert len(folder.encode()) <= 100


def test_nothing_outside_the_runs_folder_is_touched(
    inside: Path, recorded: None, capfd: pytest.CaptureFixture[str], full: bool, tally
) -> None:
    for name in NAMES if full else TYPED:
        shutil.rmtree("runs")
        Path("runs").mkdir()
        before, folder = tree(inside), NAMES[name]
        for spelled in (quoted(name), name) if full else (quoted(name),):
            code = main(["train", *SMALL, "train.steps=4", f"sweep={spelled}"])
            said = capfd.readouterr().err
            assert "Traceback" not in said
            assert code in ((0, 2) if spelled == name else (0,) if folder else (2,)), (name, said)
            assert code == 0 or "Type" in said
            assert tree(inside) == before, name
            if folder and spelled != name:
                found_by_both(name, folder, said, capfd, full or name == "-rf")
        sweeps = [path.name for path in Path("runs").glob("*") if records.run_folders(path)]
        assert sweeps == ([folder] if folder else []), name
        assert tree(inside) == before, name
    refused = sum(folder is None for folder in NAMES.values())
    tally(
        "a hostile name for a sweep: paths, control characters, shell, right to left, devices, 300 letters",
        f"{len(NAMES)} names: {refused} refused, {len(NAMES) - refused} a folder in runs/; nothing outside touched",
    )


def found_by_both(name: str, folder: str, said: str, capfd: pytest.CaptureFixture[str], everything: bool) -> None:
    """status finds the sweep by the name typed and by the folder's; so do report and export."""
    assert f"Type: resjax report {shlex.quote(folder)}\n" in said
    for known in (name, folder):
        assert records.find(known) == Path("runs") / folder
        assert main(["status", "--json", "--", known]) == 0
        assert json.loads(capfd.readouterr().out)
    if everything:
        assert main(["report", "--json", "--no-theory", "--", name]) == 0
        assert main(["export", "--", name, f"runs/{folder}/out.parquet"]) == 0
    capfd.readouterr()
    (run,) = (Path("runs") / folder).glob("*/run.json")
    assert json.loads(run.read_text())["sweep"] == name


def test_no_command_breaks_on_a_sweep_that_cannot_be(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(inside)
    for name in NAMES:
        for command in (["status", "--", name], ["report", "--", name], ["export", "--", name, "out.parquet"]):
            assert main(command) == 2
            assert "is no sweep with runs" in capsys.readouterr().err
    assert tree(inside) == before


def test_long_names_that_begin_alike_are_told_apart() -> None:
    assert slug("n" * 200 + "1") != slug("n" * 200 + "2")


@pytest.mark.parametrize("runs", ["läufe 'und' \"mehr\" $HOME *?[x] глубина 深さ", "-rf"])
def test_the_runs_folder_is_anybodys(
    runs: str, inside: Path, recorded: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *SMALL, "train.steps=4", "sweep=s", f"runs={quoted(f'{runs}/sub')}"]) == 0
    said = capsys.readouterr().err
    (run,) = (inside / "here" / runs / "sub" / "s").glob("*/run.json")
    assert json.loads(run.read_text())["status"] == "done"
    typed = shlex.split(said[said.index("Type: resjax ") :].splitlines()[0])[2:]
    assert typed[0] == "report"
    assert main(["report", "--no-theory", "--json", *typed[1:]]) == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("key", ["runs", "data.root"])
def test_a_folder_that_cannot_be_is_refused(key: str) -> None:
    for path in ("", "a\0b", "a\nb", "\udcff", "~", "~/runs", "~nobody/runs"):  # polars would read ~ as the home folder
        config = Config()
        config.runs, config.data.root = (path, None) if key == "runs" else ("runs", path)
        with pytest.raises(InputError, match=rf"^{key}=(.|\n)*Type: {key}=/"):
            check(config)
