"""A paper's figure or table as plain data: rows, published numbers, statements, and sizes to run it at."""

from dataclasses import dataclass, field

PRESETS = ("smoke", "laptop", "quarter", "paper")
# How sure a published number is, and how that is said.
SURE = {
    "read": "read in the paper",
    "code": "from the authors' code",
    "read_off": "read off a figure",
    "second_hand": "second-hand",
    "recalled": "recalled, unchecked",
    "exact": "exact arithmetic",
}
STATISTICS = ("single", "best", "median", "mean")
# What is compared, by name; @STEP or @end behind it where it is of a moment. resjax/report/measures.py computes them.
# test_error is of one view of an image, whole or its centre; what ten crops gave is a quantity of its own.
QUANTITIES = (
    *("train_error", "test_error", "test_error_10crop", "gap", "best_test_error", "selected_test_error", "train_loss"),
    *("iterations_to_loss", "gradient_unsteadiness", "response_std", "parameters", "multiply_adds"),
)
CEILING = 100.0  # percent: a band up to here is a lower bound
TESTS = ("lower", "grows_more", "rises", "level", "trains", "fails", "untested")


@dataclass(frozen=True)
class Reference:
    """A published number of one row: a value, or the ends of a band; std and n where they were printed.

    value: in the unit that is printed, errors in percent. None with `fails`: only that the error is above 20 %.
    statistic: single run, best, median or mean of `n`. places: decimals that were printed.
    """

    row: str
    quantity: str
    sure: str
    value: float | None = None
    band: tuple[float, float] | None = None
    std: float | None = None
    n: int = 1
    statistic: str = "single"
    fails: bool = False
    places: int | None = None


@dataclass(frozen=True)
class Claim:
    """A statement and the test that decides it.

    lower: `quantity` is lower in `of` than in `beside`. grows_more: it rises more from the first row of `of` to the
    last than from the first of `beside` to the last. rises: it has a positive slope against depth over the rows `of`;
    level: it has none. trains, fails: `of` ends at an error up to, or above, the size's `fails`, or this one's `above`.
    untested: `why` not.
    """

    says: str
    source: str
    test: str
    quantity: str = "test_error"
    of: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    why: str = ""
    above: float | None = None


@dataclass(frozen=True)
class Preset:
    """A size to run an item at: settings after all others, and the rows (all where none are named).

    loss: the training loss, in nats, to which iterations are counted; fails: the error in percent above which a net has
    failed; depths: those among which a search looks; keep: settings that the rows decide at this size, too;
    parts: a part's rows, where they are not those of `rows` that it has; refused: why nothing is run at this size.
    """

    words: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    loss: float | None = None
    fails: float = 20.0
    depths: tuple[int, ...] = ()
    keep: tuple[str, ...] = ()
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class Search:
    """Of which rows the largest depth that trains is looked for, by bisection among the size's `depths`."""

    rows: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """One figure, table or question. rows: by name, the settings of one network and recipe; parts: names of rows.

    elsewhere: of what data or recipe the paper's numbers are, where no size here is the paper's.
    """

    name: str
    title: str
    question: str
    paper: str
    source: str
    section: str
    protocol: str
    recipe: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]
    presets: dict[str, Preset]
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    claims: tuple[Claim, ...] = ()
    search: Search | None = None
    note: str = ""
    elsewhere: str = ""

    @property
    def of_a_paper(self) -> bool:
        """Whether a paper printed it; else it is a question that is asked here."""
        return self.source != "asked here"

    def words_of(self, row: str, preset: str) -> list[str]:
        """The settings of a row at a size; of a setting said twice the later stands."""
        own, size = [*self.recipe, *self.rows[row]], self.presets[preset]
        said = [*own, *(word for word in size.words if key_of(word) not in size.keep)]
        return list({key_of(word): word for word in said}.values())

    def rows_of(self, preset: str, part: str | None = None) -> list[str]:
        """The rows of a size, or those of a part that it has; none where the size is refused."""
        size = self.presets[preset]
        if size.refused:
            return []
        if part in size.parts:
            return list(size.parts[part])
        return [row for row in size.rows or tuple(self.rows) if part is None or row in self.parts[part]]


def key_of(word: str) -> str:
    """The setting that a word sets."""
    return word.partition("=")[0]


def published(reference: Reference) -> str:
    """The number as it is printed."""
    if reference.fails:
        return "fails (> 20)"
    if reference.band is not None:
        low, high = reference.band
        return f"above {low:g}" if high == CEILING else f"{low:g} to {high:g}"
    whole = reference.value is not None and reference.value >= 1000
    digits = ",.0f" if whole else "g" if reference.places is None else f".{reference.places}f"
    value = format(reference.value, digits)
    return f"{value} ± {reference.std:g} ({reference.n})" if reference.std is not None else str(value)
