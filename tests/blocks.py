"""The pages' blocks of code: each page becomes one script, run by bash, whose programs the caller answers."""

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

LANGUAGES = {"sh": "shell", "bash": "shell", "python": "python", "yaml": "yaml", "text": "text"}
SHELL = ("until", "for", "export", "cd", "eval", "source", "$")
# Programs that no page calls yet; where one does, bash finds none of this name, and the test says so.
FOREIGN = ("apt-get", "brew", "conda", "curl", "docker", "git", "jupyter", "jupytext", "mkdocs", "mkdir", "module")
FOREIGN += ("pip3", "python3", "sbatch", "scp", "ssh", "sudo", "uv", "wget")
NAMED = re.compile(r"# ([\w./-]+\.(?:py|yaml))\b")
OWN = ("_", "SHLVL", "PWD", "OLDPWD", "PATH")  # what bash sets by itself
CLIENT = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    line.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode())
    line.shutdown(socket.SHUT_WR)
    code, said = json.loads(line.makefile().read())
sys.stdout.write(said)
sys.exit(code)
"""


@dataclass(frozen=True)
class Block:
    """A block of code: the line of the page that it begins at, its language, and the text."""

    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        """Its first line that is not empty."""
        return self.text.strip().splitlines()[0]

    @property
    def file(self) -> str | None:
        """The file that its first line, a comment, says it is."""
        named = NAMED.match(self.first)
        return named[1] if named else None


@dataclass(frozen=True)
class Call:
    """A program that the page calls: its words as bash makes them, what was set before, and where."""

    words: tuple[str, ...]
    environment: dict[str, str]
    folder: Path

    def __str__(self) -> str:
        return " ".join(self.words)


Answer = Callable[[Call], tuple[int, str]]


def blocks(page: str, programs: tuple[str, ...]) -> list[Block]:
    """Every fenced or indented block."""
    tokens = [token for token in MarkdownIt().parse(page) if token.type in ("fence", "code_block")]
    return [
        Block(token.map[0] + 1, language(token.info, token.content, programs), token.content)
        for token in tokens
        if token.map
    ]


def language(info: str, text: str, programs: tuple[str, ...]) -> str:
    """What a fence says; where it says nothing: shell where a line begins with a program, else text that is shown."""
    if info.strip():
        return LANGUAGES.get(info.split()[0], info)
    firsts = [line.split()[0] for line in text.splitlines() if line.strip()]
    if firsts[0] in ("import", "from"):
        return "python"
    typed = [word for word in firsts if word in (*programs, *SHELL, *FOREIGN) or re.match(r"\w+=|\.venv/bin/", word)]
    return "shell" if typed else "text"


def spoken(page: str) -> list[list[str]]:
    """The words of every `resjax ...` inside a paragraph or a table."""
    pieces = [piece for token in MarkdownIt().enable("table").parse(page) for piece in token.children or []]
    texts = [piece.content for piece in pieces if piece.type == "code_inline"]
    return [shlex.split(text)[1:] for text in texts if text.startswith("resjax ")]


def script(found: Sequence[Block], folder: Path, page: str) -> Path:
    """One script of them all, in order. Python is a file, called with the page's name where it has none itself."""
    lines = ["set -eu -o pipefail"]
    for block in found:
        if block.language == "shell":
            lines.append(block.text)
        elif block.language in ("python", "yaml"):
            path = folder / (block.file or f"line{block.line}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
            lines += [] if block.file else [f"python {path.name} {shlex.quote(page)}"]
    path = folder / "page.sh"
    path.write_text("\n".join(lines))
    return path


def run(path: Path, programs: tuple[str, ...], answer: Answer) -> int:
    """Bash's exit code; `answer` says the exit code of every program that the script calls, and what it prints."""
    with listening(path.parent, programs) as (server, places):
        environment = os.environ | {"PATH": str(places)}
        command = [str(shutil.which("bash")), "--noprofile", "--norc", str(path)]
        with subprocess.Popen(command, cwd=path.parent, env=environment) as process:
            try:
                while process.poll() is None:
                    with suppress(TimeoutError):
                        serve(server, environment, answer)
            finally:
                process.kill()
        return process.returncode


@contextlib.contextmanager
def listening(folder: Path, programs: tuple[str, ...]) -> Iterator[tuple[socket.socket, Path]]:
    """A socket, and a folder with a program of each name that asks it; it is the page's .venv/bin, too."""
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as server:
        client, places = Path(name, "client.py"), Path(name, "bin")
        client.write_text(CLIENT.format(address=f"{name}/line"))
        places.mkdir()
        for program in programs:
            path = places / program
            path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {client} "$0" "$@"\n')
            path.chmod(0o755)
        (places / "activate").touch()  # what `source .venv/bin/activate` does has been done
        (folder / ".venv").mkdir()
        (folder / ".venv" / "bin").symlink_to(places)
        server.bind(f"{name}/line")
        server.listen()
        server.settimeout(0.1)
        yield server, places


def serve(server: socket.socket, before: dict[str, str], answer: Answer) -> None:
    """Answer one program."""
    line, _ = server.accept()
    with line:
        line.settimeout(None)
        words, environment, folder = json.loads(line.makefile().read())
        changed = {k: v for k, v in environment.items() if k not in OWN and before.get(k) != v}
        said = answer(Call((Path(words[0]).name, *words[1:]), changed, Path(folder)))
        line.sendall(json.dumps(said).encode())
