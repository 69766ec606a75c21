"""Numbers as people read them."""

from collections.abc import Iterable

from resjax.statistics import Comparison


def capital(text: str) -> str:
    """The first letter large."""
    return text[:1].upper() + text[1:]


def listing(items: Iterable[object]) -> str:
    """1, 2 and 3."""
    words = [str(item) for item in items]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def factor(value: float | None) -> str:
    """A positive number for people: three digits, powers of ten where they are many."""
    if value is None:
        return "?"
    text = f"{value:.3g}" if 1e-3 <= value < 1e4 else f"{value:.1e}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def amount(found: Comparison, quantity: str) -> str:
    """Such as: +12.3 points [+8.0, +16.6], p = 0.004, n = 3."""
    if found.difference is None:
        return f"n = {found.n}"
    parts = [f"{signed(found.difference, quantity)} {'nats' if quantity.endswith('loss') else 'points'}"]
    if found.low is not None and found.high is not None and found.p is not None:
        parts[0] += f" [{signed(found.low, quantity)}, {signed(found.high, quantity)}]"
        parts.append(f"p {p_value(found.p)}")
    if found.method == "no spread":
        parts.append("equal in every seed: no test")
    if found.p_permutation is not None and found.method != "sign-flip":
        parts.append(f"sign-flip p {p_value(found.p_permutation)}")
    return ", ".join([*parts, f"n = {found.n}"])


def signed(value: float, quantity: str) -> str:
    """A difference: of losses in nats, of errors in percentage points; with its sign, a minus being a minus."""
    digits, scaled = (3, value) if quantity.endswith("loss") else (1, 100 * value)
    text = f"{round(scaled, digits) + 0.0:+.{digits}f}"  # adding zero takes the minus from a zero
    return minus(text)


def minus(text: str) -> str:
    """A number's minus as a minus."""
    return text.replace("-", "\u2212")


def percent(ratio: float) -> str:
    """By how much it is not 1, with its sign, a minus being a minus: +2.9 %."""
    return minus(f"{100 * (ratio - 1):+.1f} %")


def p_value(p: float) -> str:
    """= 0.013, or < 0.001."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
