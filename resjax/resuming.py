"""Where a run that was cut off goes on: its last checkpoint that is whole, of the same settings, data and records."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resjax import records
from resjax.config import Config
from resjax.errors import InputError
from resjax.facts import identity
from resjax.rows import Snapshot

Say = Callable[[str], None]
# Packages and settings of which the last bits depend.
SAME_BITS = ("jax", "jaxlib", "numpy", "flax", "optax")
LAYOUT = ("strategy", "threads", "seeds_axis")


@dataclass(frozen=True)
class Resume:
    """The state to go on from, how far the records were, what run.json keeps; run.json before, and as it will be."""

    snapshot: Snapshot
    mark: records.Mark
    facts: dict[str, Any]
    before: dict[str, Any]
    wanted: dict[str, Any]

    def say_what_differs(self, devices: dict[str, Any], say: Say) -> None:
        """Other devices, packages or code than the attempt before had: that numbers may differ in their last bits."""
        now = self.facts["resumed"][-1]
        pairs: dict[str, Any] = {"devices": (self.before.get("devices"), devices)}
        was_laid_out, is_laid_out = (run.get("config", {}).get("parallel", {}) for run in (self.before, self.wanted))
        for name in LAYOUT:
            pairs[f"parallel.{name}"] = (was_laid_out.get(name), is_laid_out.get(name))
        for name in SAME_BITS:
            pairs[name] = (self.before.get("versions", {}).get(name), now["versions"][name])
        for name, (was, is_now) in pairs.items():
            if was != is_now and (was is not None or name.startswith("parallel.")):
                say(f"  {name} {told(was)} before, {told(is_now)} now: the same but for rounding, not bit for bit")
        was, is_now = self.before.get("code") or {}, now["code"]
        if was.get("sha256") not in (None, is_now["sha256"]):
            say(f"  WARNING: the code changed since the run began: {short(was)} then, {short(is_now)} now")


def told(value: Any) -> str:
    """A version, or devices, in words."""
    return f"{value['count']} x {value['kind']}" if isinstance(value, dict) else str(value)


def short(code: dict[str, Any]) -> str:
    """The code in a word."""
    return f"{str(code['revision'])[:12]}{' with changes' if code['changed'] else ''} (sha256 {code['sha256'][:12]})"


def place_to_go_on(folder: Path, facts: dict[str, Any], rerun: str, say: Say) -> Resume | None:
    """The place, or None where the run begins anew: nothing is saved, nothing is whole, or rerun=all.

    InputError where a checkpoint is of other settings or other data, with the difference. What is not used is told.
    """
    from resjax.training.checkpoints import Checkpoint, Checkpoints

    before = records.facts_if_readable(folder)
    if before.get("status") == "done" or not any((folder / records.CHECKPOINTS).glob("*")):  # rerun=all, or nothing
        begins_anew(folder, before, say)
        return None

    def wrong(found: Checkpoint) -> str | None:
        refuse_another(folder, found.identity, identity(facts))
        return records.problem(folder, found.mark)

    found = Checkpoints(folder / records.CHECKPOINTS).newest_good(say, wrong) if rerun != "all" else None
    if found is None:
        begins_anew(folder, before, say)
        return None
    step = found.snapshot.step
    say(f"  {said(before)} before: it goes on from step {step}")
    started = {"step": step, "attempt": before.get("attempt", 0) + 1}
    resumed = [*before.get("resumed", []), started | {name: facts[name] for name in ("code", "versions")}]
    kept = {
        "resumed": resumed,
        "code": before.get("code") or facts["code"],
        "spent": spent(before, found.snapshot),
    }
    return Resume(found.snapshot, found.mark, kept, before, facts)


def said(before: dict[str, Any]) -> str:
    """How it stands with an attempt, whose lock is held by us: one that says that it runs does not any more."""
    status = str(before.get("status", "damaged"))
    return "cut off" if status == "running" else status


def spent(before: dict[str, Any], snapshot: Snapshot) -> float:
    """Seconds of the attempts before; of one that was cut off, what it had told when it was last saved."""
    told = before.get("times", {}).get("total")
    return float(max(before.get("spent", 0), sum(snapshot.seconds.values())) if told is None else told)


def begins_anew(folder: Path, before: dict[str, Any], say: Say) -> None:
    """Say so, where there was an attempt."""
    if before.get("status", "pending") != "pending":
        aside = folder.parent / records.ATTEMPTS
        say(f"  {said(before)} before: it starts anew from step 0; what there was goes to {aside}")


def refuse_another(folder: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """InputError where a checkpoint was not made by these settings and data."""
    was, now = records.flat(saved["settings"]), records.flat(wanted["settings"])
    lines = [
        f"  {name}: {was.get(name, 'not there')} in the checkpoint, {now.get(name, 'not there')} now"
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]
    if saved["data"] != wanted["data"]:
        lines.append(f"  the data: digest {saved['data'][:12]} in the checkpoint, {wanted['data'][:12]} now")
    if saved["id"] != wanted["id"] and not lines:
        lines.append(f"  id: {saved['id'][:12]} in the checkpoint, {wanted['id'][:12]} now")
    if lines:
        differences = "\n".join(lines)
        raise InputError(
            f"{folder} holds a checkpoint of another run:\n{differences}\n"
            "Expected the settings and data that made it: others are another run, in a folder of its own.\n"
            "To begin this one anew (what there is goes to attempts/), type the command with rerun=all"
        )


def refuse_another_folder(config: Config, folder: Path) -> None:
    """InputError where a folder of images is not the one that the recorded run of this name was trained on."""
    facts = records.facts_if_readable(folder)
    if config.data.kind != "folder" or facts.get("status") != "done" or config.rerun == "all":
        return
    from resjax.data import source

    now, then = source.load(config.data).provenance["digest"], facts.get("data", {}).get("digest")
    if now != then:
        raise InputError(
            f"data.name={config.data.name} in {config.data.root} is not the set of {folder}: its digest is "
            f"{str(now)[:12]}, then {str(then)[:12]}.\nExpected another name for another set.\n"
            "Type: data.name=NAME, or rerun=all"
        )
