"""What a shortcut computes, as text: it is called with symbols in place of arrays."""

from dataclasses import dataclass
from typing import Any

from resjax.shortcuts import Shortcut

SHORT = {"shortcut_scale": "a", "branch_scale": "b", "scale": "alpha"}
SUM, PRODUCT, ATOM = range(3)


@dataclass(frozen=True)
class Symbol:
    """An expression. binds: how tightly; uses: the atoms in it."""

    text: str
    uses: frozenset[str] = frozenset()
    binds: int = ATOM

    def __add__(self, other: Any) -> "Symbol":
        return _joined(self, " + ", _symbol(other), SUM)

    def __radd__(self, other: Any) -> "Symbol":
        return _symbol(other) + self

    def __sub__(self, other: Any) -> "Symbol":
        return _joined(self, " - ", _inside(_symbol(other), PRODUCT), SUM)

    def __rsub__(self, other: Any) -> "Symbol":
        return _symbol(other) - self

    def __mul__(self, other: Any) -> "Symbol":
        return _joined(_inside(self, PRODUCT), " ", _inside(_symbol(other), PRODUCT), PRODUCT)

    def __rmul__(self, other: Any) -> "Symbol":
        return _symbol(other) * self

    def __truediv__(self, other: Any) -> "Symbol":
        return _joined(_inside(self, PRODUCT), " / ", _inside(_symbol(other), ATOM), PRODUCT)


def _symbol(value: Any) -> Symbol:
    return value if isinstance(value, Symbol) else Symbol(f"{value:g}")


def _inside(symbol: Symbol, binds: int) -> Symbol:
    """In brackets where it binds less."""
    return symbol if symbol.binds >= binds else Symbol(f"({symbol.text})", symbol.uses)


def _joined(one: Symbol, sign: str, other: Symbol, binds: int) -> Symbol:
    return Symbol(one.text + sign + other.text, one.uses | other.uses, binds)


def _atom(text: str) -> Symbol:
    return Symbol(text, frozenset([text]))


@dataclass(frozen=True)
class At:
    """What models/junction.py gives a shortcut, as symbols. normalised: whether the projection is."""

    normalised: bool

    @property
    def settings(self) -> "At":
        """The settings are attributes of it, as the scale is."""
        return self

    def __getattr__(self, name: str) -> Symbol:
        return _atom(SHORT.get(name, name))

    def projection(self) -> Symbol:
        """The 1x1 convolution of the unit's input."""
        return Symbol("norm(W x)" if self.normalised else "W x", frozenset(["W"]))

    def gate(self) -> Symbol:
        """The gate."""
        return _atom("g")

    def survives(self) -> Symbol:
        """Whether the branch stays."""
        return _atom("b")

    def drop(self, x: Symbol) -> Symbol:
        """Dropout."""
        return Symbol(f"dropout({x.text})", x.uses | {"dropout"})

    def append(self, x: Symbol, f: Symbol) -> Symbol:
        """Concatenation."""
        return Symbol(f"[{x.text}, {f.text}]", x.uses | f.uses)


def traced(row: Shortcut, changes: bool = True) -> Symbol:
    """h of the row, in a unit that changes its shape or not."""
    join = row.join if row.elsewhere is None or changes else row.elsewhere
    return _symbol(join(_atom("x"), _atom("f"), At("projection" in row.needs)))
