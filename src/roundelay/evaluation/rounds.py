"""What validation after each round shows: whether more rounds would help, and what each rule of
choosing a round gives whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from roundelay.evaluation.choosing import best_leg
from roundelay.evaluation.forgetting import Validation


@dataclass(frozen=True, slots=True)
class Progress:
    """Mean Dice over sites: the best of all rounds, in `best_round`, and the last one's; `gain` is
    the last one less the best before it: above 0 more rounds may help."""

    rounds: int
    best_round: int
    best: float
    last: float
    gain: float


def ends_of_rounds(validations: Sequence[Validation]) -> list[Validation]:
    """The last row of each round, in order, of those in which a site gave scores."""
    return list({row.round: row for row in validations if row.dice}.values())


def progress(validations: Sequence[Validation]) -> Progress | None:
    """How far an arm has come by its rounds; None below two of them."""
    rows = ends_of_rounds(validations)
    if len(rows) < 2:
        return None
    means = [fmean(row.dice.values()) for row in rows]
    best = max(range(len(rows)), key=lambda number: (means[number], -number))
    return Progress(
        len(rows), rows[best].round, means[best], means[-1], means[-1] - max(means[:-1])
    )


def by_rule(validations: Sequence[Validation]) -> dict[str, Validation]:
    """The round that each value of ``choose`` takes; empty below two rounds."""
    rows = ends_of_rounds(validations)
    if len(rows) < 2:
        return {}
    ends = [row.leg for row in rows]
    found = {row.leg: row for row in rows}
    chosen = {rule: found[best_leg(rows, ends, rule)] for rule in ("best", "worst-site")}
    return {"last": rows[-1], **chosen}


def worst_site(row: Validation) -> tuple[str, float]:
    """The site with the lowest Dice; of equals the first by name."""
    return min(row.dice.items(), key=lambda item: (item[1], item[0]))


def changes(taken: Validation, other: Validation) -> Mapping[str, float]:
    """By site, how much better the one round is than the other, where it gave scores of both."""
    return {s: value - other.dice[s] for s, value in taken.dice.items() if s in other.dice}
