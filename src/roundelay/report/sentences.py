"""What a run says, in sentences: the answer first, never a claim without its size."""

from collections.abc import Mapping, Sequence
from typing import Any

from roundelay.evaluation.comparison import Comparison, signed
from roundelay.evaluation.fairness import Gap
from roundelay.evaluation.judgement import MethodResult
from roundelay.records.contents import FULL_NAMES, Run
from roundelay.records.going_on import counted_rounds, run_before
from roundelay.report.comparisons import reasons, seeds_awaited
from roundelay.study.sections import Recipe


def computed_on(record: Mapping[str, Any]) -> str:
    """The machine that run.json names, as far as it does."""
    machine, threads = record.get("machine", {}), record.get("threads", "?")
    numbers = "bfloat16" if machine.get("bfloat16") else "float32"
    return f"{machine.get('device', '?')}, {numbers}, {threads} thread{'s' * (threads != 1)}"


def median_of(result: MethodResult) -> str:
    """The median over patients, or a dash where hospitals gave no scores by patient."""
    found = result.summary.dice_median
    return "–" if found is None else f"{found:.3f}"


def worst_of(found: Gap | None) -> str:
    """The worst hospital and its mean, or a dash where no two have more than one patient."""
    return "–" if found is None else f"{found.worst.name} {found.worst.mean:.3f}"


def size_of(found: Gap | None) -> str:
    return "–" if found is None else f"{found.size:.3f}"


def full_name(run: Run, method: str) -> str:
    """What an abbreviation stands for."""
    return FULL_NAMES[run.arms_of(method)[0].name]


def answer(run: Run) -> list[str]:
    """The answer in a few sentences."""
    rows, found = run.judgement.methods, run.judgement.comparisons
    if not rows:
        return ["No arm is finished yet."] if not run.finished else [NO_PATIENT]
    first = rows[0]
    name = full_name(run, first.method)
    sentences = [
        f"{name[0].upper()}{name[1:]} ({first.method}) reaches a mean patient"
        f" Dice of {first.summary.dice_mean:.2f}{_around(first)} on {_patients(run, first)}."
    ]
    bare = [c for c in found if c.no_verdict]
    clear = [c for c in found if c.beyond_noise]
    open_ = [c for c in found if not c.no_verdict and not c.beyond_noise]
    if clear:
        sentences.append(f"That is {_list([_apart(c) for c in clear])}, more than chance explains.")
    if open_:
        parts = [f"{c.second} ({signed(c.difference, 2)})" for c in open_]
        sentences.append(f"Its distance from {_list(parts)} may be chance.")
    if bare:
        sentences.append(f"On these patients that is {_list([_apart(c) for c in bare])}.")
    return [*sentences, *reasons(found, awaited=seeds_awaited(run))]


NO_PATIENT = (
    "This page gives no scores: no patient was kept for them, or the hospitals keep them. Score the"
    " model on other patients: roundelay evaluate RUN DATA."
)


def _around(result: MethodResult) -> str:
    found = result.interval
    return (
        f" (95 % interval {found.low:.2f} to {found.high:.2f} over {found.over})" if found else ""
    )


def _apart(comparison: Comparison) -> str:
    if not comparison.difference:
        return f"as much as {comparison.second}"
    side = "above" if comparison.difference > 0 else "below"
    size = f"{abs(comparison.difference):.2f}"
    return f"{size if float(size) else 'less than 0.01'} {side} {comparison.second}"


def _patients(run: Run, row: MethodResult) -> str:
    sites = len(row.summary.by_site)
    kind = "synthetic " if run.synthetic else ""
    return (
        f"{row.summary.patients} {kind}{run.split} patients of {sites} hospital{'s' * (sites > 1)}"
    )


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def told_of_run_before(run: Run) -> list[str]:
    """What a run goes on from, where it goes on from another one."""
    before = run_before(run.record)
    if before is None:
        return []
    visits = {label: arm.slice_visits for label, arm in before.arms.items()}
    label, most = max(visits.items(), key=lambda item: item[1])
    return [
        f"Every model goes on from that of the run {before.folder} (head {before.head[:12]}) after"
        f" its {counted_rounds(before.rounds)}, with {counted_rounds(run.study.recipe.rounds)} of a"
        " schedule of their own. Slice-visits, bytes and time are those of these rounds alone;"
        f" before them {label} had {most:,} slice-visits."
    ]


def told_by_importance(recipe: Recipe) -> list[str]:
    """What the importance that travels tells of a hospital, where it does."""
    told = {
        "si": "how far each weight's moves lowered its loss",
        "ewc": "the mean square of its patients' gradients, slice by slice, for each weight",
    }
    if not recipe.importance_travels:
        return []
    return [
        f'Importance travels with the model in cwt and swt (remember = "{recipe.remember}"): who'
        " holds it from before and from after a visit has, of that hospital alone,"
        f" {told[recipe.remember]}. After the last visit it goes no further."
    ]


def told_by_sums(recipe: Recipe, seal: str) -> list[str]:
    """What the sums of a BatchNorm recalibration tell of a hospital where they travel in turn."""
    if seal == "none" or not recipe.recalibrate_batchnorm:
        return []
    owner = " The coordinator of this run can open them all." * (seal == "owner")
    return [
        "In the BatchNorm recalibration, sums of each layer's inputs and of their squares travel on"
        " from hospital to hospital. Each sees those of all before it together: the second one has"
        " the first one's alone, and who hands on to the last one can subtract what it handed on"
        f" from those that the final model shows.{owner}"
    ]
