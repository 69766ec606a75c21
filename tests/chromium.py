"""A headless Chromium, spoken to by its DevTools Protocol over two pipes.

With --remote-debugging-pipe it reads JSON that a NUL ends from descriptor 3 and answers on descriptor 4: this takes
neither a port nor a package.
"""

import json
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
MISSING = "no Chromium: apt-get install chromium"
# Its sandbox refuses root, and the rest keeps the browser itself from asking the network for anything.
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--window-size=1280,900"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
]
PIPES = 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null'
PATIENCE = 60.0  # seconds that an answer may take

Message = dict[str, Any]


def program() -> str | None:
    """Where Chromium is; None where there is none."""
    return next((path for path in map(shutil.which, PROGRAMS) if path), None)


class Chromium:
    """A browser with its profile in an empty folder. It ends with the `with` block."""

    def __init__(self, path: str, profile: Path) -> None:
        self.log = profile / "stderr.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", PIPES, path, *FLAGS, f"--user-data-dir={profile}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0,
            )  # fmt: skip
        self.unread = b""
        self.sent = 0
        self.events: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        with self.process:  # closes the pipes
            try:
                self.call("Browser.close")
                self.process.wait(PATIENCE)
            finally:
                self.process.kill()

    def call(self, method: str, session: str | None = None, **params: Any) -> Message:
        """What Chromium answers; the events before it are added to `events`."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self.process.stdin.write(json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.sent:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def receive(self) -> Message:
        """The next message."""
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.unread:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            more = self.process.stdout.read(1 << 16) if ready else b""
            assert more, f"Chromium ended, or said nothing for {PATIENCE:.0f} s: {self.log.read_text()[-2000:]}"
            self.unread += more
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)


class Tab:
    """A tab without a network, and what went wrong in it."""

    def __init__(self, browser: Chromium) -> None:
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        nothing = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.call("Network.emulateNetworkConditions", offline=True, **nothing)

    def call(self, method: str, **params: Any) -> Message:
        """What Chromium answers for this tab."""
        return self.browser.call(method, self.session, **params)

    def open(self, page: Path, watch: str = "") -> None:
        """Begin to load a file, after a script that watches it."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=watch)
        self.call("Page.navigate", url=page.as_uri())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def prefer(self, scheme: str) -> None:
        """Light or dark."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def events(self, method: str) -> list[Message]:
        """What Chromium told of this tab under a name."""
        told = [event for event in self.browser.events if event.get("sessionId") == self.session]
        return [event["params"] for event in told if event["method"] == method]

    def errors(self) -> list[str]:
        """Errors that the console shows, and exceptions that nothing caught."""
        console = [e["args"] for e in self.events("Runtime.consoleAPICalled") if e["type"] in ("error", "assert")]
        logged = [e["entry"] for e in self.events("Log.entryAdded") if e["entry"]["level"] == "error"]
        thrown = [e["exceptionDetails"] for e in self.events("Runtime.exceptionThrown")]
        return [json.dumps(error) for error in (*console, *logged, *thrown)]

    def fetched(self) -> list[str]:
        """Addresses asked for, the page's own among them; what is inside a page has none."""
        asked = [event["request"]["url"] for event in self.events("Network.requestWillBeSent")]
        return [url for url in asked if not url.startswith(("data:", "blob:"))]

    def close(self) -> None:
        """Close the tab."""
        self.browser.call("Target.closeTarget", targetId=self.target)
