"""What is refused before a stock builder starts, and how it is run: none of it needs TensorFlow, or has it."""

import functools
import http.server
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from resjax.cli import main
from resjax.data import mock_imagenet, open_files, stock, stock_needs, tfds_sets
from resjax.data.stock import prepare
from resjax.data.stock_progress import Bars, instead_of_bars
from resjax.stopping import StopError

Refused = Callable[..., AbstractContextManager[None]]
SIZES = {"train": 147_897_477_120, "val": 6_744_924_160}  # datasets/imagenet2012/checksums.tsv of tensorflow-datasets


def sparse(folder: Path, **sizes: int) -> Path:
    """The two archives, as long as the official ones, of nothing: they take no room."""
    folder.mkdir()
    for part, size in (SIZES | sizes).items():
        with (folder / f"ILSVRC2012_img_{part}.tar").open("wb") as file:
            file.truncate(size)
    return folder


@pytest.fixture
def no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    find = stock_needs.importlib.util.find_spec
    monkeypatch.setattr(
        stock_needs.importlib.util, "find_spec", lambda name, *rest: None if name == "tensorflow" else find(name, *rest)
    )


@pytest.fixture
def much_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_needs, "free_bytes", lambda root: 10**12)


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A stock set made of images drawn here: its own builder runs, and TensorFlow counts as there."""

    def build(counts: dict[str, int] | None = None, generate: Any = mock_imagenet.examples) -> None:
        def builder_of(name: str, data_dir: Path, **_: Any) -> Any:
            return mock_imagenet.builder(data_dir, name, "2.0.0", counts or {"train": 6, "validation": 3}, generate)

        monkeypatch.setattr(stock, "builder_of", builder_of)
        monkeypatch.setattr(stock, "import_tensorflow", lambda: None)
        monkeypatch.setattr(stock_needs, "tensorflow", lambda name: None)

    return build


def test_without_tensorflow_it_says_what_needs_it(
    tmp_path: Path, refused: Refused, no_tensorflow: None, much_room: None
) -> None:
    needs = ("that needs TensorFlow", "training reads the result without it", "pip install 'resjax[tfds-prepare]'")
    with refused("imagenet2012", *needs):
        prepare("imagenet2012", tmp_path / "root", sparse(tmp_path / "tars"), False, str)
    with refused("mnist", *needs):
        prepare("mnist", tmp_path / "root", None, False, str)
    assert not (tmp_path / "root").exists()


def test_a_missing_archive_is_named(tmp_path: Path, refused: Refused) -> None:
    page = "https://image-net.org/download-images after registration"
    with refused("ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar", page, "--archive FOLDER"):
        prepare("imagenet2012", tmp_path, None, False, str)
    with refused(f"{tmp_path}/no is not a folder", page):
        prepare("imagenet2012", tmp_path, tmp_path / "no", False, str)
    (tmp_path / "ILSVRC2012_img_train.tar").touch()
    with refused(f"{tmp_path} lacks ILSVRC2012_img_val.tar.", page, "resjax data prepare imagenet2012 --archive"):
        prepare("imagenet2012", tmp_path, tmp_path, False, str)


def test_an_archive_of_another_size_is_refused_or_said(tmp_path: Path, refused: Refused, much_room: None) -> None:
    archive, said = sparse(tmp_path / "tars", val=SIZES["val"] - 1), []
    with refused(f"{archive}/ILSVRC2012_img_val.tar", "6,744,924,159 bytes", "6,744,924,160", "--unverified"):
        prepare("imagenet2012", tmp_path, archive, False, str)
    builder = stock.builder_of("imagenet2012", tmp_path)
    stock_needs.files("imagenet2012", builder, tmp_path, archive, True, said.append)
    (line,) = said
    assert "WARNING: UNVERIFIED ARCHIVE" in line
    assert "6,744,924,159" in line


def test_too_little_room_is_refused(tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_needs, "free_bytes", lambda root: 150 * 10**9)
    with refused("has 150.0 GB free, and imagenet2012 takes 162.4 GB", "RESJAX_DATA=FOLDER"):
        prepare("imagenet2012", tmp_path, sparse(tmp_path / "tars"), False, str)


def test_too_few_open_files_are_refused(
    tmp_path: Path, refused: Refused, much_room: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "hard_limit", lambda: 512)
    with refused("may have 512 files open", "hard limit of 1,200", "ulimit -n 1200"):
        prepare("imagenet2012", tmp_path, sparse(tmp_path / "tars"), False, str)


def test_a_limit_of_open_files_that_cannot_be_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some systems call unlimited what they do not grant."""

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(open_files.resource, "getrlimit", lambda _: (256, open_files.resource.RLIM_INFINITY))
    monkeypatch.setattr(open_files.resource, "setrlimit", refuse)
    open_files.raise_limit()


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path, refused: Refused) -> None:
    with refused("no set oxford_flower102", "oxford_flowers102"):
        prepare("oxford_flower102", tmp_path, None, False, str)
    with refused("no cifar10_corrupted/brightness_9", "cifar10_corrupted/brightness_1"):
        prepare("cifar10_corrupted/brightness_9", tmp_path, None, False, str)
    with refused("no mnist:9.9.9", "mnist:3.0.1"):
        prepare("mnist:9.9.9", tmp_path, None, False, str)


def test_a_name_that_is_not_ours_is_told_of_theirs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("prepare", "check"):
        assert main(["data", what, "beans", "--root", str(tmp_path)]) == 2
        assert "data=beans is not known" in (said := capsys.readouterr().err)
        assert "--stock" in said


def test_a_set_without_an_image_or_a_label_is_refused(tmp_path: Path, refused: Refused) -> None:
    with refused("imdb_reviews has the features text: Text, label: ClassLabel"):
        prepare("imdb_reviews", tmp_path, None, False, str)
    with refused("sentinel2: Tensor(64, 64, 13)"):  # of thirteen bands, and no bytes
        prepare("eurosat/all", tmp_path, None, False, str)


@pytest.mark.parametrize(
    ("image", "supervised", "found"),
    [
        (tfds.features.Image(shape=(None, None, 3)), None, ("image", "label")),
        (tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8), None, ("image", "label")),
        (tfds.features.Tensor(shape=(8, 8, 3), dtype=np.float32), None, None),
        (tfds.features.Tensor(shape=(8, 8, 5), dtype=np.uint8), None, None),
        (tfds.features.Tensor(shape=(None, 8, 3), dtype=np.uint8), None, ("image", "label")),
        (tfds.features.Tensor(shape=(None, None, 3), dtype=np.uint8, encoding="zlib"), None, None),
        (tfds.features.Image(shape=(8, 8, 1), dtype=np.float32), ("image", "label"), None),
    ],
)
def test_an_image_is_of_bytes(image: Any, supervised: Any, found: Any) -> None:
    features = {"image": image, "label": tfds.features.ClassLabel(num_classes=2), "name": tfds.features.Text()}
    assert tfds_sets.image_and_label(SimpleNamespace(features=features, supervised_keys=supervised)) == found


def test_of_several_images_and_labels_the_supervised_ones_count() -> None:
    features = {name: tfds.features.Image(shape=(8, 8, 3)) for name in ("mask", "photo")}
    features |= {name: tfds.features.ClassLabel(num_classes=2) for name in ("species", "breed")}
    for supervised, found in ((("photo", "breed"), ("photo", "breed")), (None, None), (("photo", "mask"), None)):
        info = SimpleNamespace(features=features, supervised_keys=supervised)
        assert tfds_sets.image_and_label(info) == found


def test_what_is_not_downloaded_is_asked_for(tmp_path: Path, refused: Refused) -> None:
    with refused("got nothing as its archive", "from Kaggle", "--stock --archive FOLDER"):
        prepare("diabetic_retinopathy_detection", tmp_path, None, False, str)
    with refused(f"mnist got {tmp_path} as its archive", "no --archive: it is downloaded"):
        prepare("mnist", tmp_path, tmp_path, False, str)


def test_without_network_it_is_said_at_once(tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(stock_needs, "tensorflow", lambda name: None)
    with refused("mnist cannot be downloaded. no network", "Network is unreachable", "storage.googleapis.com"):
        prepare("mnist", tmp_path / "root", None, False, str)
    assert not (tmp_path / "root").exists()


def test_it_is_prepared_quietly_and_in_one_piece(
    mocked: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mocked()
    left, said = tmp_path / "incomplete-drawn-01234567", []
    left.mkdir()
    place = prepare("drawn", tmp_path, None, False, said.append)
    assert said[0] == f"{left} is what an interrupted prepare left: it can be deleted."
    assert said[1:] == [
        "drawn: generating train examples",
        "drawn: writing drawn-train.array_record",
        "drawn: generating validation examples",
        "drawn: writing drawn-validation.array_record",
        "drawn: 6 train, 3 validation",
        f"drawn is prepared in {place}",
    ]
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn", left.name]
    prepare("drawn", tmp_path, None, False, said.append)
    assert said[-1].startswith(f"drawn is already prepared in {place}")


def test_what_it_says_is_heard(mocked: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mocked()
    assert main(["data", "prepare", "drawn", "--stock", "--root", str(tmp_path)]) == 0
    assert "drawn: generating train examples" in capfd.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 143)])
def test_a_signal_leaves_nothing(number: int, code: int, mocked: Callable[..., None], tmp_path: Path) -> None:
    def signalled(split: str, count: int) -> Any:
        for index, example in mock_imagenet.examples(split, count):
            if index == 3:
                os.kill(os.getpid(), number)
            made.append(index)
            yield index, example

    made: list[int] = []
    mocked(generate=signalled)
    said: list[str] = []
    with pytest.raises(StopError) as stopped:
        prepare("drawn", tmp_path, None, False, said.append)
    assert stopped.value.code == code
    assert made == [0, 1, 2, 3]
    assert said[-1] == "drawn is not prepared: it was interrupted, and what was written is deleted."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("power"), OSError(28, "No space left on device")])
def test_a_builder_that_fails_leaves_nothing(
    error: Exception, mocked: Callable[..., None], tmp_path: Path, refused: Refused
) -> None:
    def broken(split: str, count: int) -> Any:
        yield 0, next(mock_imagenet.examples(split, 1))[1]
        raise error

    mocked(generate=broken)
    with refused("drawn could not be prepared, and nothing is left of it", str(error)):
        prepare("drawn", tmp_path, None, False, str)
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_the_builder_lacks_is_named(
    mocked: Callable[..., None], tmp_path: Path, refused: Refused
) -> None:
    def lacking(split: str, count: int) -> Any:
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy")
        yield

    mocked(generate=lacking)
    with refused("drawn cannot be used: No module named 'scipy'", "pip install scipy"):
        prepare("drawn", tmp_path, None, False, str)


def test_imagenet_has_to_be_as_large_as_published(
    mocked: Callable[..., None], tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    mocked()
    monkeypatch.setattr(stock_needs, "files", lambda *_: {})
    with refused("imagenet2012 came out with {'train': 6, 'validation': 3}", "'train': 1281167, 'validation': 50000"):
        prepare("imagenet2012", tmp_path, None, False, str)
    assert list(tmp_path.iterdir()) == []
    prepare("imagenet2012", tmp_path, None, True, str)


def test_records_of_another_form_are_refused(mocked: Callable[..., None], tmp_path: Path, refused: Refused) -> None:
    mocked()
    place = prepare("drawn", tmp_path, None, False, str)
    described = json.loads((place / "dataset_info.json").read_text())
    (place / "dataset_info.json").write_text(json.dumps(described | {"fileFormat": "tfrecord"}))
    with refused("was prepared as tfrecord", "Expected array_record", f"rm -r {place}"):
        stock.already("drawn", place, str)


def test_progress_is_said_by_the_clock() -> None:
    said: list[str] = []
    bars = Bars("drawn", said.append, lambda: None, every=0)
    assert list(bars.over("ab", desc="Generating train examples...", total=2)) == ["a", "b"]
    assert said == [f"drawn: generating train examples{more}" for more in ("", ": 0 of 2", ": 1 of 2")]
    with bars.counted(desc="Dl Size...", unit=" MiB") as bar:
        bar.update_total(7)
        bar.update(3)
    assert said[-1] == "drawn: downloaded 3 of 7 MiB"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a file of three and a half million bytes, on this machine."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "archive.bin").write_bytes(bytes(3_500_000))

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Silent, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/archive.bin"
        server.shutdown()


def test_a_download_is_told_and_can_be_stopped(served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(bars: Bars) -> None:
        with instead_of_bars(bars):
            tfds.download.DownloadManager(download_dir=tmp_path / f"downloads{bars.every}").download(served)

    def stopped() -> None:
        raise StopError

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    said: list[str] = []
    fetched(Bars("drawn", said.append, lambda: None, every=0))
    assert "drawn: downloaded 1 of 3 MiB" in said
    with pytest.raises(StopError):
        fetched(Bars("drawn", said.append, stopped, every=1))


def test_tensorflow_datasets_still_shows_its_progress_so() -> None:
    """Where it calls its bars otherwise one day, nothing is said, and no signal heard."""
    source = Path(tfds.core.split_builder.__file__).read_text() + Path(tfds.core.writer.__file__).read_text()
    assert source.count("utils.tqdm(") == 2
    kept = tfds.core.utils.tqdm
    with instead_of_bars(Bars("drawn", str, lambda: None)):
        assert tfds.core.utils.tqdm is not kept
    assert tfds.core.utils.tqdm is kept
