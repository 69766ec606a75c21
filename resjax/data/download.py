"""Fetch official files with tensorflow-datasets' download manager, or say within seconds that it cannot be."""

import socket
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from resjax.data import prepared
from resjax.data.published import Archive
from resjax.errors import InputError

CONNECT_SECONDS = 3.0


def folder(name: str, root: Path) -> Path:
    """Where the archive is downloaded to, until the data are prepared."""
    return root / "downloads" / name


def fetch(official: Archive, root: Path, say: Callable[[str], None]) -> tuple[Path, ...]:
    """The official files, downloaded, their checksums compared on the way.

    Raises InputError where the download breaks off, or is not what it ought to be.
    """
    tfds = prepared.tensorflow_datasets()
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    info, size = tfds.download.checksums.UrlInfo, tfds.core.utils.Size
    known = {file.url: info(size(file.bytes), file.sha256, file.name) for file in official.files}
    manager = tfds.download.DownloadManager(
        download_dir=folder(official.dataset, root), url_infos=known, force_checksums_validation=True
    )
    say(f"downloading {official.address} ({sum(file.bytes for file in official.files) / 1e6:.0f} MB)")
    try:
        return tuple(Path(manager.download(file.url)) for file in official.files)
    except (OSError, tfds.download.DownloadError, NonMatchingChecksumError) as error:
        raise refusal(official, root, f"the download failed: {error}".splitlines()[0]) from error


def require_network(official: Archive, root: Path) -> None:
    """Raises InputError within CONNECT_SECONDS where the archive's host, or the proxy to it, takes no connection.

    Left alone, tensorflow-datasets tries for minutes.
    """
    if problem := no_connection(official.address):
        raise refusal(official, root, problem)


def no_connection(url: str) -> str | None:
    """Why nothing can be fetched from there, found within CONNECT_SECONDS; None where there is a connection."""
    address, problem = host_and_port(url), ["no answer"]

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=CONNECT_SECONDS).close()
            problem.clear()
        except OSError as error:
            problem[:] = [str(error)]

    # In a thread of its own, as looking up the name has no time limit.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return f"no network: {address[0]} port {address[1]}: {problem[0]}" if problem else None


def host_and_port(url: str) -> tuple[str, int]:
    """What has to be reached to fetch `url`: its host, or the proxy that the environment names."""
    host, proxies = urlsplit(url).hostname or "", urllib.request.getproxies()
    proxy = proxies.get(urlsplit(url).scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(host):
        url = proxy if "//" in proxy else f"//{proxy}"
    parts = urlsplit(url)
    return parts.hostname or host, parts.port or (443 if parts.scheme == "https" else 80)


def refusal(official: Archive, root: Path, problem: str) -> InputError:
    """The refusal that says how to go on without network."""
    several = len(official.files) > 1
    expected = f"{official.names}, from {official.address}" if several else official.address
    argument = official.argument if several else official.names
    return InputError(
        f"{official.dataset} cannot be downloaded. {problem}\nExpected {expected}\n"
        f"With the archive at hand, type: {prepared.command(official.dataset, root)} --archive {argument}\n"
        "data=digits and data=synthetic need no download."
    )
