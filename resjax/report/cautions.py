"""What to know before networks are compared: other recipes, few seeds."""

import math

from scipy.special import stdtrit

from resjax.report.groups import Pool, norm_label
from resjax.report.words import capital

ENOUGH = 3  # seeds, from which on an interval is of use


def recipe_sentences(pool: Pool) -> list[str]:
    """Whether networks with different norms were trained differently: then their rows are not comparable."""
    by_norm = {group.norm: [g.settings for g in pool.groups if g.norm == group.norm] for group in pool.groups}
    every = sorted({key for forms in by_norm.values() for form in forms for key in form})
    values = {norm: {key: _values(key, forms) for key in every} for norm, forms in by_norm.items()}
    differing = [key for key in every if len({values[norm][key] for norm in by_norm}) > 1]
    if not differing:
        return []
    told = [f"{norm_label(norm)} {', '.join(f'{key}={values[norm][key]}' for key in differing)}" for norm in by_norm]
    return [f"The norms were trained by different recipes; compare within a norm only: {'; '.join(told)}."]


def seed_sentences(pool: Pool) -> list[str]:
    """Where there are fewer than three seeds: how wide that makes an interval, and how to have more."""
    trained = [group for group in pool.groups if group.seeds and not group.imported]
    least = min((len(group.seeds) for group in trained), default=ENOUGH)
    if least >= ENOUGH:
        return []
    from_ = ENOUGH if least == 1 else least
    told = [f"from {from_} seeds an interval is {width(from_)} standard deviations of them"]
    told += [f"from {n} {width(n)}" for n in (ENOUGH, 5) if n > from_]
    alone = "from 1 seed there is no interval and no test; " if least == 1 else ""
    first = 1 + max(seed.number for group in trained for seed in group.seeds)
    return [f"{capital(alone + ', '.join(told))}. The same command with seed={first} seeds={ENOUGH - least} adds some."]


def width(n: int) -> str:
    """Half of a 95 % interval of a mean of n values, in standard deviations of one: t / sqrt(n)."""
    return f"± {stdtrit(n - 1, 0.975) / math.sqrt(n):.1f}"


def _values(key: str, forms: list[dict[str, object]]) -> str:
    return "|".join(dict.fromkeys(str(form.get(key)) for form in forms))
