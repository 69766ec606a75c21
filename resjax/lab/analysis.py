"""One instrument asked of one run: from its settings to a finished table, going on where an attempt was cut off."""

import importlib.metadata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax

from resjax import facts, records
from resjax.config import ParallelConfig
from resjax.lab.instrument import Instrument, Looking
from resjax.lab.subject import RefusedError, Subject, opened
from resjax.progress import Watch
from resjax.records.lab import LabRecorder
from resjax.stopping import Poll, StopError

DONE, SKIPPED = "done", "skipped"
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Question:
    """An instrument with its settings. seed: of whatever chance is in it."""

    instrument: Instrument
    settings: Looking
    seed: int

    def about(self, run: dict[str, Any], beside: dict[str, Any] | None) -> dict[str, Any]:
        """What about.json says before anything is looked at. run, beside: their run.json."""
        code = facts.code()
        return {
            "instrument": self.instrument.name,
            "settings": asdict(self.settings),
            "seed": self.seed,
            "beside": beside["id"] if beside else None,
            "checkpoint": [one["digest"] for one in (run, beside) if one],
            "code_sha256": code["sha256"],
            "code": code,
            "versions": facts.versions() | {name: importlib.metadata.version(name) for name in ("scipy", "matfree")},
        }


@dataclass
class Lab:
    """Runs under one question, one after the other; of two that are compared both are open."""

    question: Question
    parallel: ParallelConfig
    root: str | None
    watch: Watch
    stop: Poll
    again: bool = False

    def ask(self, folder: Path, beside: Path | None = None) -> str:
        """Ask a run, or a pair, unless that is recorded; done or skipped. Raises StopError where `stop` says so.

        RefusedError where the run cannot be looked at.
        """
        run, other = finished(folder), finished(beside) if beside else None
        name = f"{self.question.instrument.name} {folder.name}" + (f" beside {beside.name}" if beside else "")
        about = self.question.about(run, other)
        with LabRecorder(folder, about, self.question.instrument.columns) as recorder:
            before = recorder.done_before()
            if before and not self.again:
                other_code = " by other code" * (before["code_sha256"] != about["code_sha256"])
                self.watch.skip(name, f"done before{other_code} (--again does it again)")
                return SKIPPED
            subject, another = (self.open(one) if one else None for one in (folder, beside))
            assert subject is not None
            self.look(subject, another, recorder, name)
            return DONE

    def open(self, folder: Path) -> Subject:
        """The run, on the devices."""
        return opened(folder, self.parallel, self.root)

    def look(self, subject: Subject, another: Subject | None, recorder: LabRecorder, name: str) -> None:
        """Do the pieces that are not there, one by one."""
        key = jax.random.key(self.question.seed)
        pieces = list(self.question.instrument.work(subject, self.question.settings, key, another))
        kept = recorder.begin(self.again)
        recorder.update(devices=subject.devices, examples={name: len(subject.split(name).labels) for name in SPLITS})
        self.watch.start(name, len(pieces), 0, unit="piece")
        if kept:
            there = sum(recorder.has(piece.name) for piece in pieces)
            self.watch.say(f"  cut off before: {there} of {len(pieces)} pieces are there")
        try:
            for number, piece in enumerate(pieces):
                if self.stop():
                    raise StopError
                if not recorder.has(piece.name):
                    recorder.write(piece.name, piece.measure())
                self.watch.advance(number + 1, None)
        except BaseException:
            recorder.pause()
            raise
        recorder.finish(piece.name for piece in pieces)
        self.watch.finish(f"done, {recorder.seconds():.0f} s")


def finished(folder: Path) -> dict[str, Any]:
    """run.json of a run that is done. RefusedError of another."""
    run = records.facts_of(folder)
    if (state := records.state(folder, run)) != "done":
        raise RefusedError(
            f"{folder} is {state}.\nExpected a run that is done.\nType: resjax status {folder.parent.name}"
        )
    return run
