"""What a run says, in sentences: the answer first, never a claim without its size."""

from collections.abc import Sequence
from dataclasses import dataclass

from roundelay.evaluation.comparison import Comparison, compare
from roundelay.evaluation.summary import Summary, summarize
from roundelay.records.contents import FULL_NAMES, Run


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One method, over all its seeds. `spread` are the mean Dices of the single seeds."""

    method: str
    full_name: str
    summary: Summary
    spread: tuple[float, ...]
    worst: tuple[str, float]
    gap: float
    bytes_passed: int | None
    models_passed: float | None
    seconds: float


def method_rows(run: Run) -> list[MethodRow]:
    """The table of the answer, in the order of the study."""
    rows = []
    for method in run.methods:
        scores = run.scores_of(method)
        if not scores:
            continue
        arms = [arm for arm in run.arms if arm.method == method and arm.scores]
        summary = summarize(scores)
        sites = sorted((site.mean, name) for name, site in summary.by_site.items())
        seeds = [list(seed.values()) for seed in run.seeds_of(method)]
        passed, first = arms[0].bytes_passed, arms[0].receipts[0].sent_bytes
        rows.append(
            MethodRow(
                method=method,
                full_name=FULL_NAMES[arms[0].name],
                summary=summary,
                spread=tuple(summarize(seed).dice_mean for seed in seeds),
                worst=(sites[0][1], sites[0][0]),
                gap=sites[-1][0] - sites[0][0],
                bytes_passed=passed,
                models_passed=None if passed is None else passed / first,
                seconds=sum(arm.seconds for arm in arms) / len(seeds),
            )
        )
    return rows


def median_of(row: MethodRow) -> str:
    """The median over patients, or a dash where hospitals gave no scores by patient."""
    found = row.summary.dice_median
    return "–" if found is None else f"{found:.3f}"


def comparisons(run: Run) -> list[Comparison]:
    """The first method of the study against each other one, over the patients both scored.

    None where hospitals gave no scores by patient.
    """
    if not run.by_patient:
        return []
    dices = {method: run.dice_of(method) for method in run.methods}
    dices = {method: dice for method, dice in dices.items() if dice}
    return compare(dices) if len(dices) > 1 else []


def answer(run: Run, rows: Sequence[MethodRow], found: Sequence[Comparison]) -> list[str]:
    """The answer in one to three sentences."""
    if not rows:
        return ["No arm is finished yet."] if not run.finished else [NO_PATIENT]
    first = rows[0]
    interval = first.summary.dice_mean_interval
    around = f" (95 % interval {interval.low:.2f} to {interval.high:.2f})" if interval else ""
    sentences = [
        f"{first.full_name[0].upper()}{first.full_name[1:]} ({first.method}) reaches a mean patient"
        f" Dice of {first.summary.dice_mean:.2f}{around} on {_patients(run, first)}."
    ]
    clear = [c for c in found if c.beyond_noise]
    open_ = [c for c in found if not c.beyond_noise]
    if clear:
        parts = [
            f"{abs(c.difference):.2f} {'above' if c.difference > 0 else 'below'} {c.second}"
            for c in clear
        ]
        sentences.append(f"That is {_list(parts)}, more than chance explains.")
    if open_:
        # + 0.0 turns -0.0 into 0.0
        parts = [f"{c.second} ({round(c.difference, 2) + 0.0:+.2f})" for c in open_]
        sentences.append(f"Its distance from {_list(parts)} may be chance.")
    return sentences


NO_PATIENT = (
    "No patient was kept for test or validation, so this page gives no scores. Score the model on"
    " other patients: roundelay evaluate RUN DATA."
)


def _patients(run: Run, row: MethodRow) -> str:
    sites = len(row.summary.by_site)
    kind = "synthetic " if run.synthetic else ""
    return (
        f"{row.summary.patients} {kind}{run.split} patients of {sites} hospital{'s' * (sites > 1)}"
    )


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
