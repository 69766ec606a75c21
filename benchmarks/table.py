"""The tables of docs/performance.md, made from benchmarks/results.  python -m benchmarks.table

A table stands between `<!-- table: DEVICE SECTION -->` and `<!-- end -->`.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"
REGION = re.compile(r"(<!-- table: (\w+) (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
NAMES = {
    "ours": "resjax",
    "ours_scanned": "resjax, model.unroll=false",
    "ours_bfloat16": "resjax, bfloat16",
    "torch": "PyTorch, eager",
    "torch_compile": "PyTorch, torch.compile",
    "torch_bfloat16": "PyTorch, eager, bfloat16",
    "torch_compile_bfloat16": "PyTorch, torch.compile, bfloat16",
    "flax": "Flax, a step a call",
}
AXES = {
    "map": "in turn (map)",
    "vmap": "side by side (vmap)",
    "product": "side by side (product)",
    "processes": "a process each",
}
NOTHING, TO = "\u2013", "\u2013"
Rows = list[dict[str, Any]]
Table = tuple[tuple[str, ...], Iterable[tuple[str, ...]]]


def filled(text: str, results: dict[str, dict[str, Any]]) -> str:
    """The text with its tables as the results (by device, then section) have them."""

    def region(found: re.Match[str]) -> str:
        head, device, name, _, end = found.groups()
        return f"{head}\n{section(results.get(device, {}).get(name), name, device)}\n{end}"

    return REGION.sub(region, text)


def section(held: dict[str, Any] | None, name: str, device: str) -> str:
    """A section's table with its origin, or what to type for one."""
    if held is None:
        return f"Not measured yet. Type: `make {'gpu' if device == 'gpu' else 'bench'}`\n"
    columns, rows = TABLES[name](held["rows"])
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"\n{origin(held)}\n"


def origin(held: dict[str, Any]) -> str:
    """Machine, versions, revision, date and command of a section."""
    machine, code = held["machine"], held["resjax"]
    versions = ", ".join(f"{library} {version}" for library, version in held["versions"].items())
    revision = (code["revision"] or "without a revision")[:10] + (" with changes" if code["changed"] else "")
    others = held["cores_used_by_others"]
    shared = "" if others is None else f", {others:.2f} of them at work for others"
    return (
        f"*{machine['processor']}, {machine['cores']} cores{shared}, {machine['memory_gb']} GB; {versions}; "
        f"resjax {revision}; "
        f"{held['date']}, {held['seconds']:.0f} s of* `{held['command']}`"
    )


def shown(value: dict[str, Any] | None, factor: float = 1.0) -> str:
    """median (smallest to largest; n) of a summary, to three digits; the median alone where it is all there is."""
    if value is None:
        return NOTHING
    middle, least, most = (digits(factor * value[key]) for key in ("median", "min", "max"))
    return middle if value["n"] == 1 else f"{middle} ({least}{TO}{most}; {value['n']})"


def digits(number: float) -> str:
    """Three significant digits, and all those before the point."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:#.3g}".rstrip(".")


def net(row: dict[str, Any]) -> str:
    """The network's name."""
    name = f"{'plain' if row['shortcut'] == 'none' else 'ResNet'}-{row['depth']}"
    return f"{name}, resjax's batch statistics over the whole batch" if row.get("statistics") else name


def speed(rows: Rows) -> Table:
    """Images/s beside the others."""
    return ("net", "implementation", "images/s", "resjax ÷ this, round by round"), (
        (net(row), NAMES[row["contestant"]], shown(row["images_per_s"]), shown(row.get("ours_over_this")))
        for row in rows
    )


def compile_time(rows: Rows) -> Table:
    """Seconds to ready, a column a depth."""
    depths = list(dict.fromkeys(row["depth"] for row in rows))
    found = {(row["contestant"], row["depth"]): shown(row["compile_s"]) for row in rows}
    contestants = dict.fromkeys(row["contestant"] for row in rows)
    return ("seconds to ready", *(f"depth {depth}" for depth in depths)), (
        (NAMES[name], *(found.get((name, depth), NOTHING) for depth in depths)) for name in contestants
    )


def memory(rows: Rows) -> Table:
    """Peaks."""
    peaks = ("resting_mb", "building_mb", "training_mb")
    return ("depth", "implementation", "before, MB", "peak while building, MB", "peak while training, MB"), (
        (str(row["depth"]), NAMES[row["contestant"]], *(shown(row[key]) for key in peaks)) for row in rows
    )


def remat(rows: Rows) -> Table:
    """Time and memory."""
    measured = ("ms_per_step", "time_over_off", "training_mb", "planned_mb")
    return ("depth", "model.remat", "ms a step", "time ÷ without", "peak while training, MB", "XLA's plan, MB"), (
        (str(row["depth"]), row["remat"], *(shown(row[key]) for key in measured)) for row in rows
    )


def probes(rows: Rows) -> Table:
    """Shares."""
    return ("depth", "what is looked at", "ms a look", "% of the training time besides"), (
        (str(row["depth"]), row["what"], shown(row["ms"]), shown(row["share"], 100)) for row in rows
    )


def seeds(rows: Rows) -> Table:
    """Milliseconds a step and seed, a column an axis."""
    found = {(trained(row), row["seeds"], row["axis"]): each_seed(row) for row in rows}
    counts = dict.fromkeys((trained(row), row["seeds"]) for row in rows)
    axes = [axis for axis in AXES if any(row["axis"] == axis for row in rows)]
    return ("net", "seeds", *(f"ms a step and seed, {AXES[axis]}" for axis in axes)), (
        (name, str(count), *(found.get((name, count, axis), NOTHING) for axis in axes)) for name, count in counts
    )


def trained(row: dict[str, Any]) -> str:
    """The network's name, with the type where it is not float32."""
    short = row.get("precision") == "bfloat16"
    return f"{row['net']}-{row['depth']}{', bfloat16' if short else ''}"


def each_seed(row: dict[str, Any]) -> str:
    """Milliseconds, and how many times one seed alone all of them took; or why there is no number."""
    if row["ms_per_seed_step"] is None:
        return row["failed"].replace("|", "\\|")
    over = row.get("over_one_seed")
    return shown(row["ms_per_seed_step"]) + (f", in all {digits(over['median'])} times one" if over else "")


def long(rows: Rows) -> Table:
    """A whole training."""
    measured = ("seconds", "compile_s", "train_s", "images_per_s")
    columns = ("net", "updates", "seconds in all", "of them compiling", "of them training", "images/s")
    return columns, (
        (f"ResNet-{row['depth']}, {row['precision']}", f"{row['steps']:,}", *(shown(row[key]) for key in measured))
        for row in rows
    )


def profile(rows: Rows) -> Table:
    """Milliseconds of a step by part, the longest first."""
    whole = sum(row["ms"] for row in rows)
    return ("part of a step", "operations", "ms", "%"), (
        (row["part"], str(row["calls"] or NOTHING), digits(row["ms"]), digits(100 * row["ms"] / whole)) for row in rows
    )


def devices(rows: Rows) -> Table:
    """Scaling."""
    return ("depth", "devices", "images/s", "÷ one device, round by round"), (
        (str(row["depth"]), str(row["devices"]), shown(row["images_per_s"]), shown(row["over_one_device"]))
        for row in rows
    )


def start(rows: Rows) -> Table:
    """Seconds to the first step."""
    return ("depth", "implementation", "compilation cache", "seconds to the first step", "of them for programs"), (
        (
            str(row["depth"]),
            NAMES[row["contestant"]],
            row["cache"] or NOTHING,
            shown(row["first_step_s"]),
            shown(row["programs_s"]),
        )
        for row in rows
    )


def roofline(rows: Rows) -> Table:
    """Achieved beside the peaks. Shares are of the best peak."""
    peaks = [row for row in rows if "peak" in row]
    best = {key: max(row[key]["median"] for row in peaks) for key in ("gflops_per_s", "gbytes_per_s")}

    def line(row: dict[str, Any]) -> tuple[str, ...]:
        name = f"peak: {NAMES[row['peak']].split(',')[0]}'s" if "peak" in row else NAMES[row["contestant"]]
        parts: list[str] = []
        for key, most in best.items():
            share = NOTHING if row[key] is None else f"{100 * row[key]['median'] / most:.0f}"
            parts += [shown(row[key]), share]
        return (str(row.get("depth", "")), name, *parts)

    return ("depth", "what", "GFLOP/s", "% of peak", "GB/s", "% of peak"), map(line, rows)


TABLES: dict[str, Callable[[Rows], Table]] = {
    "speed": speed,
    "compile": compile_time,
    "memory": memory,
    "remat": remat,
    "probes": probes,
    "seeds": seeds,
    "long": long,
    "devices": devices,
    "start": start,
    "profile": profile,
    "roofline": roofline,
}


def recorded() -> dict[str, dict[str, Any]]:
    """The results by device."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(), recorded()))
