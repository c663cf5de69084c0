"""Which of the rounds' models is taken: by validation patients, never by test patients."""

from collections.abc import Collection, Sequence

from roundelay.evaluation.forgetting import Validation


def best_leg(rows: Sequence[Validation], ends: Collection[int], choose: str) -> int:
    """The end of a round whose model is best: by the mean over sites (``best``), or by the worst of
    them (``worst-site``); of equals the earliest. Raises ValueError where no end was validated.
    """

    def value(row: Validation) -> float:
        dices = row.dice.values()
        return min(dices) if choose == "worst-site" else sum(dices) / len(dices)

    found = [row for row in rows if row.leg in ends]
    return max(found, key=lambda row: (value(row), -row.leg)).leg
