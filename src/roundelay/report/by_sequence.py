"""The table of patients by the sequences that their exams lack, of every method."""

from statistics import fmean

from roundelay.evaluation.fairness import SEQUENCES, SMALL, sequences_of
from roundelay.records.contents import Run
from roundelay.report.blocks import Block, Cell, Table, Text


def sequences_blocks(run: Run) -> list[Block]:
    """Mean Dice of each group by method; nothing where no exam lacks a sequence."""
    methods, named = run.judgement.methods, [g for g in run.judgement.groups if g.kind == SEQUENCES]
    if not named:
        return []
    dices: dict[tuple[str, str], list[float]] = {}
    for one in methods:
        for score in one.scores:
            dices.setdefault((one.method, sequences_of(score)), []).append(score.dice)
    rows = [
        [
            Cell(group.name, prose=True),
            Cell(f"{group.patients}{' (few)' if group.patients < SMALL else ''}"),
            *(_mean(dices.get((one.method, group.name))) for one in methods),
        ]
        for group in named
    ]
    columns = ["sequences", "patients", *(one.method for one in methods)]
    text = (
        "An exam lacks a sequence where nothing stands in its place, or another sequence does (in"
        " slices of the LGG set's layout FLAIR, to the last pixel). Means over seeds."
    )
    return [Table("Mean Dice by missing sequence", columns, rows), Text(text, soft=True)]


def _mean(dices: list[float] | None) -> Cell:
    return Cell(f"{fmean(dices):.3f}" if dices else "–")
