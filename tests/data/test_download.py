import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resjax.data import archives, download, prepared
from resjax.data.prepare import prepare

Refused = Callable[..., AbstractContextManager[None]]
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def serve(small, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Serve these bytes on this machine as the official archive (or as `made`'s files), announcing so many more."""
    servers: list[http.server.HTTPServer] = []

    def start(content: bytes | dict[str, bytes], status: int = 200, missing: int = 0, made: Any = small) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = content[self.path.removeprefix("/")] if isinstance(content, dict) else content
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) + missing))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        servers.append(http.server.HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[0].serve_forever, args=(0.01,), daemon=True).start()
        at(made, monkeypatch, servers[0].server_port)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def at(made, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Move the official files to a port of this machine."""
    official = made.official
    files = tuple(replace(file, url=f"http://127.0.0.1:{port}/{file.name}") for file in official.files)
    monkeypatch.setitem(archives.ARCHIVES, official.dataset, replace(official, files=files))


def test_the_official_archive_is_downloaded_verified_and_deleted(small, tmp_path: Path, serve) -> None:
    serve(small.path.read_bytes())
    said: list[str] = []
    prepare("cifar10", tmp_path / "root", None, False, said.append)
    splits, record = prepared.load("cifar10", tmp_path / "root")
    assert record["verified"] is True
    assert prepared.content_sha256(splits) == prepared.content_sha256(archives.read((small.path,), small.official))
    assert said[0].startswith("downloading http://127.0.0.1")
    assert not (tmp_path / "root" / "downloads" / "cifar10").exists()


def test_every_file_of_a_set_is_downloaded_verified_and_deleted(small_mnist, tmp_path: Path, serve) -> None:
    serve({path.name: path.read_bytes() for path in small_mnist.paths()}, made=small_mnist)
    said: list[str] = []
    prepare("mnist", tmp_path / "root", None, False, said.append)
    splits, record = prepared.load("mnist", tmp_path / "root")
    assert [(facts["verified"], facts["url"]) for facts in record["archives"]] == [
        (True, f"{record['url']}{path.name}") for path in small_mnist.paths()
    ]
    expected = archives.read(small_mnist.paths(), small_mnist.official)
    assert prepared.content_sha256(splits) == prepared.content_sha256(expected)
    assert said[0].startswith(f"downloading {record['url']} (")
    assert not (tmp_path / "root" / "downloads" / "mnist").exists()


def test_one_wrong_file_of_a_set_is_refused(small_mnist, tmp_path: Path, serve, refused: Refused) -> None:
    contents = {path.name: path.read_bytes() for path in small_mnist.paths()}
    serve(contents | {"t10k-labels-idx1-ubyte.gz": b"something else"}, made=small_mnist)
    with refused("wrong checksum", "train-labels-idx1-ubyte.gz, t10k", "resjax data prepare mnist --archive FOLDER"):
        prepare("mnist", tmp_path / "root", None, False, str)
    assert not prepared.folder("mnist", tmp_path / "root").exists()


def test_a_download_of_something_else_is_refused_even_where_unverified_is_allowed(
    small, tmp_path: Path, serve, refused: Refused
) -> None:
    serve(small.path.read_bytes() + b"\0")
    with refused("wrong checksum", "--archive cifar-10-binary.tar.gz"):
        prepare("cifar10", tmp_path / "root", None, True, str)
    assert not prepared.folder("cifar10", tmp_path / "root").exists()


def test_a_download_that_breaks_off_is_refused(small, tmp_path: Path, serve, refused: Refused) -> None:
    serve(small.path.read_bytes()[:20_000], missing=1000)
    with refused("the download failed", "--archive"):
        prepare("cifar10", tmp_path / "root", None, False, str)
    assert not prepared.folder("cifar10", tmp_path / "root").exists()


def test_an_archive_that_has_moved_away_is_refused(tmp_path: Path, serve, refused: Refused) -> None:
    serve(b"gone", status=404)
    with refused("the download failed", "404", "--archive"):
        prepare("cifar10", tmp_path / "root", None, False, str)


def no_network_is_said(root: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Within five seconds, before the slow import, with nothing left on disk."""
    monkeypatch.setattr(prepared, "tensorflow_datasets", lambda: pytest.fail("imported before the network was tried"))
    start = time.perf_counter()
    with refused("no network", "--archive cifar-10-binary.tar.gz", "data=digits", *words):
        prepare("cifar10", root, None, False, str)
    assert time.perf_counter() - start < 5
    assert not root.exists()


def test_a_host_that_refuses_is_said(small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    at(small, monkeypatch, port)  # nobody listens there any more
    no_network_is_said(tmp_path / "root", refused, monkeypatch, f"127.0.0.1 port {port}", "refused")


def test_a_host_that_never_answers_is_said(small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused) -> None:
    over = threading.Event()

    def black_hole(*_: Any, **__: Any) -> socket.socket:
        over.wait(60)
        raise OSError("the test is over")

    monkeypatch.setattr(socket, "create_connection", black_hole)
    no_network_is_said(tmp_path / "root", refused, monkeypatch, "www.cs.toronto.edu port 443", "no answer")
    over.set()


def test_a_name_that_is_not_found_is_said(small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused) -> None:
    def unknown(*_: Any, **__: Any) -> socket.socket:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    no_network_is_said(tmp_path / "root", refused, monkeypatch, "Name or service not known")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("www.example.org", 443)),
        ({"https_proxy": "http://proxy.example:3128"}, ("proxy.example", 3128)),
        ({"https_proxy": "proxy.example:3128"}, ("proxy.example", 3128)),
        ({"all_proxy": "http://proxy.example"}, ("proxy.example", 80)),
        ({"http_proxy": "http://proxy.example:3128"}, ("www.example.org", 443)),
        ({"https_proxy": "http://proxy.example:3128", "no_proxy": "example.org"}, ("www.example.org", 443)),
    ],
)
def test_the_proxy_is_what_has_to_be_reached(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple[str, int]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert download.host_and_port("https://www.example.org/file.tar.gz") == expected
    assert download.host_and_port("http://127.0.0.1:8080/x")[1] in (8080, 3128, 80)
