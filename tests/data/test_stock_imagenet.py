"""tensorflow-datasets' own imagenet2012 builder on archives laid out like the official ones. It needs TensorFlow, so
`make tfds-prepare` runs it; `make slow` skips it where there is none.
"""

import importlib.util
import io
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resjax.cli import main
from resjax.data import imagenet

HAS_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_TENSORFLOW, reason="needs TensorFlow: make tfds-prepare"),
]
SYNSETS, EACH, VALIDATION = ("n01440764", "n02105855", "n15075141"), 4, 5  # the first, one between, the last
FIRST_LABELS = (65, 970, 230, 809, 516)  # of the official validation images: sea snake, alp, Shetland sheepdog, ...
LOADED = """
import sys
from pathlib import Path
import numpy as np
from resjax.data.decode import decode
from resjax.data.source import load
from resjax.dataconfig import DataConfig
found = load(DataConfig(kind="tfds", name="imagenet2012", root=sys.argv[1], streamed=True, test_split="validation"))
for index in range(len(found.train)):
    encoded = found.train[index]
    print(found.train.name(index).split()[1], encoded.label, *decode(encoded.image).shape)
for index in range(len(found.test)):
    print(found.test.name(index).split()[1], found.test[index].label)
assert found.classes == 1000 and "tensorflow" not in sys.modules
"""


def jpeg(random: np.random.Generator) -> bytes:
    height, width = random.integers(40, 90, size=2)
    file = io.BytesIO()
    Image.fromarray(random.integers(256, size=(height, width, 3), dtype=np.uint8)).save(file, "JPEG")
    return file.getvalue()


def packed(contents: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both archives: of tars by class, and of images side by side. One more lies there that must not be read."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("archives")
    by_class = {
        f"{synset}.tar": packed({f"{synset}_{index}.JPEG": jpeg(random) for index in range(1, EACH + 1)})
        for synset in SYNSETS
    }
    flat = {f"ILSVRC2012_val_{index:08d}.JPEG": jpeg(random) for index in range(1, VALIDATION + 1)}
    for name, contents in zip(imagenet.TARS, (by_class, flat), strict=True):
        (folder / name).write_bytes(packed(contents))
    (folder / "ILSVRC2012_img_test.tar").write_bytes(packed({"ILSVRC2012_test_00000001.JPEG": b"no image"}))
    return folder


def words(root: Path, archives: Path) -> list[str]:
    return ["data", "prepare", "imagenet2012", "--root", str(root), "--archive", str(archives), "--unverified"]


@pytest.fixture(scope="module")
def prepared(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The root, and what the command said."""
    root = tmp_path_factory.mktemp("prepared")
    program = f"import sys; from resjax.cli import main; sys.exit(main({words(root, archives)!r}))"
    return root, subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_the_builder_is_quiet_and_says_how_far_it_is(
    prepared: tuple[Path, subprocess.CompletedProcess[str]], archives: Path
) -> None:
    root, done = prepared
    assert (done.returncode, done.stderr) == (0, "")
    warnings, lines = done.stdout.splitlines()[:2], done.stdout.splitlines()[2:]
    assert all(line.startswith("WARNING: UNVERIFIED ARCHIVE") and str(archives) in line for line in warnings)
    assert lines == [
        "imagenet2012: generating train examples",
        "imagenet2012: writing imagenet2012-train.array_record",
        "imagenet2012: generating validation examples",
        "imagenet2012: writing imagenet2012-validation.array_record",
        "imagenet2012: 12 train, 5 validation",
        f"imagenet2012 is prepared in {root}/imagenet2012/5.1.0",
    ]
    assert [path.name for path in root.iterdir()] == ["imagenet2012"]


def test_it_is_read_without_tensorflow(prepared: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    root, _ = prepared
    done = subprocess.run([sys.executable, "-c", LOADED, str(root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    train, validation = rows[:-VALIDATION], rows[-VALIDATION:]
    numbers = {"n01440764": "0", "n02105855": "230", "n15075141": "999"}  # of the sorted synsets
    assert sorted(row[0] for row in train) == sorted(f"{s}_{i}.JPEG" for s in SYNSETS for i in range(1, EACH + 1))
    assert all(row[1] == numbers[row[0].split("_")[0]] and row[4] == "3" for row in train)
    assert sorted(validation) == [
        [f"ILSVRC2012_val_{index:08d}.JPEG", str(label)] for index, label in enumerate(FIRST_LABELS, 1)
    ]


def test_it_is_whole_and_listed(
    prepared: tuple[Path, subprocess.CompletedProcess[str]], archives: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = prepared
    assert main(["data", "check", "imagenet2012", "--root", str(root), "--all"]) == 0
    assert "17 records counted, 17 images decoded" in capsys.readouterr().out
    assert main(words(root, archives)) == 0
    assert "already prepared" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing(number: int, code: int, archives: Path, tmp_path: Path) -> None:
    program = (
        "import os, sys; from resjax.cli import main\n"
        "from tensorflow_datasets.datasets.imagenet2012 import imagenet2012_dataset_builder as module\n"
        "fix = module.Builder._fix_image\n"
        "def signalled(self, name, image):\n"
        f"    if name.endswith('_2.JPEG'): os.kill(os.getpid(), {int(number)})\n"
        "    return fix(self, name, image)\n"
        "module.Builder._fix_image = signalled\n"
        f"sys.exit(main({words(tmp_path, archives)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[-1].startswith("imagenet2012 is not prepared: it was interrupted")
    assert list(tmp_path.iterdir()) == []


def test_a_cut_archive_is_refused_and_leaves_nothing(
    archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut"
    cut.mkdir()
    for name in imagenet.TARS:
        content = (archives / name).read_bytes()
        (cut / name).write_bytes(content[: len(content) // 2])
    assert main(words(tmp_path / "root", cut)) == 2
    said = capsys.readouterr().err
    assert "imagenet2012 could not be prepared, and nothing is left of it" in said
    assert list((tmp_path / "root").iterdir()) == []
