"""The paper's numbers beside ours. A single published run gives a difference, never a test."""

from dataclasses import dataclass
from statistics import median

from resjax.papers.item import SURE, Reference, published
from resjax.power import beside_published
from resjax.report.measures import Kind, kind_of, measure
from resjax.report.reproduction import Found
from resjax.report.words import minus
from resjax.statistics import Comparison, Estimate, estimate

NOTE = (
    "A test is made only against a published mean with its spread (Welch's t from the summary); a single number, a "
    "best run or a median gives a difference, beside a median that of our median. A band was read off a figure. "
    "Nothing is comparable with the paper that was run on other data or by another recipe: the difference then says "
    "what this size does, and no more."
)
TITLES = ("row", "quantity", "paper", "ours, mean ± std (n)", "difference", "verdict")
OF_NETWORK = ("model.", "data.name", "data.resize")  # the settings that decide a network's counts


@dataclass(frozen=True)
class BesidePaper:
    """One published number with ours. ours: in the printed unit; lost: seeds that diverged."""

    reference: Reference
    ours: Estimate
    lost: int
    difference: Comparison
    verdict: str

    @property
    def kind(self) -> Kind:
        """How the quantity is told."""
        return kind_of(self.reference.quantity)

    def cells(self) -> list[str]:
        """Under TITLES; the paper's with how sure it is."""
        digits, reference = self.kind.digits, self.reference
        ours = self.verdict if self.ours.mean is None and not self.lost else "–"  # noqa: RUF001
        if self.ours.mean is not None:
            spread = "" if self.ours.std is None else f" ± {self.ours.std:,.{digits}f}"
            ours = f"{self.ours.mean:,.{digits}f}{'' if self.kind.exact else f'{spread} ({self.ours.n})'}"
        lost = f", {self.lost} diverged" if self.lost else ""
        told = f"{published(reference)} ({', '.join(filter(None, (statistic(reference), SURE[reference.sure])))})"
        return [reference.row, self.kind.title, told, ours + lost, self.told(), self.verdict]

    def told(self) -> str:
        """The difference, with its interval where there is a test."""
        found = self.difference
        if found.difference is None:
            return ""
        words = [
            minus(f"{value:+,.{self.kind.digits}f}")
            for value in (found.difference, found.low, found.high)
            if value is not None
        ]
        test = f", {found.method}, p = {found.p:.2g}" if found.p is not None else ""
        return words[0] + (f" [{words[1]}, {words[2]}]{test}" if test else "")

    def row(self) -> dict[str, object]:
        """A row of the table behind it."""
        r, c = self.reference, self.difference
        band = "" if r.band is None else "{:g} to {:g}".format(*r.band)
        paper = {
            "paper": r.value,
            "band": band,
            "paper_std": r.std,
            "paper_n": r.n,
            "statistic": r.statistic,
            "sure": r.sure,
        }
        ours = {"ours": self.ours.mean, "std": self.ours.std, "n": self.ours.n, "diverged": self.lost}
        test = {"difference": c.difference, "low": c.low, "high": c.high, "p": c.p, "method": c.method}
        return {"row": r.row, "quantity": r.quantity, **paper, **ours, **test, "verdict": self.verdict}


def statistic(reference: Reference) -> str:
    """Of how many runs it is what."""
    return "" if reference.statistic in ("single", "mean") else f"{reference.statistic} of {reference.n}"


def beside_paper(found: Found) -> list[BesidePaper]:
    """Every published number of the rows that were asked for."""
    asked = {entry.row for entry in found.reproduction.entries}
    return [one(reference, found) for reference in found.reproduction.item.references if reference.row in asked]


def one(reference: Reference, found: Found) -> BesidePaper:
    """A published number."""
    kind = kind_of(reference.quantity)
    group = found.groups.get(reference.row)
    values = measure(found.pool, group, reference.quantity) if group else {}
    printed = [kind.scale * value for value in values.values()]
    ours = estimate(printed)
    lost = 0 if group is None or kind.exact else len(group.diverged)
    # Of other data, or tested otherwise, as VGG's densely: no difference of such a pair means anything.
    apart = found.reproduction.item.elsewhere and not kind.exact
    difference = Comparison(0, "none", None) if apart else against(reference, ours, printed)
    return BesidePaper(reference, ours, lost, difference, verdict(reference, printed, lost, difference, found))


def against(reference: Reference, ours: Estimate, values: list[float]) -> Comparison:
    """Ours less the paper's: of a band, to its nearer end; a test where a mean with its spread was printed.

    Our mean, but beside a median our median.
    """
    if ours.mean is None or (reference.value is None and reference.band is None):
        return Comparison(0, "none", None)
    if reference.statistic == "median" and reference.value is not None:
        return Comparison(ours.n, "none", median(values) - reference.value)
    if reference.band is not None:
        low, high = reference.band
        return Comparison(ours.n, "none", min(ours.mean - low, 0.0) or max(ours.mean - high, 0.0))
    spread = reference.std if reference.statistic == "mean" else None
    return beside_published(values, reference.value or 0.0, spread, reference.n)


def verdict(reference: Reference, ours: list[float], lost: int, difference: Comparison, found: Found) -> str:
    """In words; "not comparable" where the row is not what the paper ran."""
    exact = kind_of(reference.quantity).exact
    changed = [
        word for word in found.reproduction.changed_of(reference.row) if word.startswith(OF_NETWORK) or not exact
    ]
    if not ours and not lost:
        return "not measured" if reference.row in found.groups else "not run"
    if found.reproduction.item.elsewhere:
        return f"not comparable: the paper's is of {found.reproduction.item.elsewhere}"
    if changed:
        return "not comparable at this size"
    if reference.fails:
        return failing(ours, lost, found)
    if exact:
        return "equal" if not difference.difference else "not equal"
    if lost:
        return f"{lost} of {lost + len(ours)} seeds diverged"
    if reference.band is not None:
        return "in the band" if not difference.difference else "outside the band"
    if difference.p is None:
        return "difference only"
    return {1: "higher", -1: "lower", 0: "no difference shown"}[difference.sign]


def failing(ours: list[float], lost: int, found: Found) -> str:
    """The paper says that it fails: how many of our seeds diverged or end above the error that counts as failed."""
    failed = lost + sum(value > found.reproduction.preset.fails for value in ours)
    seeds = len(ours) + lost
    return "fails, too" if failed == seeds else f"{failed} of {seeds} seeds fail" if failed else "does not fail"
