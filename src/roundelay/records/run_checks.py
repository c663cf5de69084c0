"""What a run's own files say, held against study, numbers and arms; each raises LedgerError."""

from roundelay.data.survey import cohort_digest
from roundelay.errors import LedgerError
from roundelay.evaluation.scores import PatientScore, RegionScore
from roundelay.plan.itinerary import as_json
from roundelay.records.claims import CantBeChecked
from roundelay.records.closing import (
    read_closing,
    refuse_other_files,
    refuse_strangers_in_run,
    run_files,
)
from roundelay.records.evidence import OLDER, RunEvidence
from roundelay.records.going_on_checks import check_first_weights
from roundelay.records.layout import CLOSING, SAMPLES, STUDY
from roundelay.records.resuming import RESUMED, told_of
from roundelay.records.samples import is_picture, read_samples


def check_study(run: RunEvidence) -> None:
    """study.toml is the study of run.json."""
    stated, text = run.record.get("study"), (run.out / STUDY).read_text(encoding="utf-8")
    if not text.startswith(f"# digest {stated}\n"):
        raise LedgerError(f"{run.out / STUDY} is not the study whose digest run.json notes.")
    if "format" not in run.record and not run.older:
        raise LedgerError(f"{run.out / 'run.json'} lost its format: it was changed.")
    data, synthetic = run.study.data, run.record.get("synthetic")
    told = data.is_lgg or run.network is not None  # of volumes the sign in their folder says it
    if synthetic is not (data.format == "phantom") and (told or synthetic is not True):
        raise LedgerError(
            f"{run.out / 'run.json'} and {STUDY} don't agree on whether patients are synthetic."
        )
    if run.study.digest != stated:
        if run.older:
            raise CantBeChecked("an older version took the study's digest otherwise")
        raise LedgerError(f"{run.out / STUDY} was changed: it has another digest than run.json.")


def check_cohort(run: RunEvidence) -> None:
    """The numbers of the sites in run.json give the digest of the cohort."""
    if cohort_digest(run.surveys) != run.record.get("cohort"):
        raise LedgerError(f"The numbers of the sites in {run.out / 'run.json'} were changed.")


def check_arms(run: RunEvidence) -> None:
    """Every arm of the study is named, begun unless the run goes on, and no other is there."""
    room, named = run.out / "arms", run.record["arms"]
    for label in named:
        if room not in (place := run.arm(label).place).parents or ".." in place.parts:
            raise LedgerError(f"run.json names an arm {label!r}, which is no arm's name.")
        if run.finished and not run.arm(label).there:
            raise LedgerError(f"{place / 'ledger.jsonl'} is missing, but the run is finished.")
    known = [run.arm(label).place for label in named]
    for folder in sorted(room.iterdir()):
        if folder not in known and not any(folder in place.parents for place in known):
            raise LedgerError(f"{folder} is of no arm that run.json names.")
    laid = list(run.known_arms)
    if named != laid:
        raise LedgerError(
            f"run.json names the arms {', '.join(named)}; the study has {', '.join(laid)}."
        )


def check_plan(run: RunEvidence) -> None:
    """The itinerary of every arm is the one that study and numbers give."""
    arms = run.known_arms
    for label, arm in arms.items():
        own = run.arm(label)
        if own.there and as_json(own.known_legs) != as_json(arm.legs):
            if run.older:
                raise CantBeChecked("an older version laid itineraries otherwise")
            raise LedgerError(f"{own.place / 'itinerary.json'} is not the plan of the study.")
    _all_begun(run)


def _all_begun(run: RunEvidence) -> None:
    """Raise CantBeChecked where arms are still to come: of them nothing was looked at."""
    labels = run.record["arms"]
    begun = sum(run.arm(label).there for label in labels)
    if begun < len(labels):
        raise CantBeChecked(f"{begun} of {len(labels)} arms have begun, of which it holds")


def check_starts(run: RunEvidence) -> None:
    """All arms of a seed begin with the same weights; each with its own where a run goes on."""
    check_first_weights(run)
    if run.known_study.model.goes_on_from:
        _all_begun(run)
        return
    starts: dict[int, str] = {}
    for own in (run.arm(label) for label in run.record["arms"]):
        if not own.there:
            continue
        seed = own.known_legs[0].stops[0].seed
        start = own.known_chain.lines[0]["start"]
        if starts.setdefault(seed, start) != start:
            raise LedgerError(f"{own.label} began with other weights than others of its seed.")
    _all_begun(run)
    if len(starts) == len(run.record["arms"]):
        raise CantBeChecked("each seed has one arm, and so none to compare it with")


def check_same_patients(run: RunEvidence) -> None:
    """All arms scored the same patients."""
    found = {}
    for label in run.record["arms"]:
        scores = run.arm(label).known_scores
        found[label] = {_reference(score) for score in scores}
    first, *others = found
    for label in others:
        if found[label] != found[first]:
            raise LedgerError(f"{label} scored other patients than {first}.")
    if not others:
        raise CantBeChecked("there is one arm, and so none to compare it with")
    if not any(found.values()):
        raise CantBeChecked("no patient is scored here")


def _reference(score: PatientScore) -> tuple[object, ...]:
    """Who was scored, and what does not depend on the model."""
    named = (score.patient, score.site, score.split, score.slices)
    if score.patients != 1:
        return named
    counts: list[PatientScore | RegionScore] = [score, *score.regions.values()]
    return *named, *(
        (one.tp + one.fn, one.reference_slices, one.slice_dice_of_empty_prediction)
        for one in counts
    )


def check_closing_record(run: RunEvidence) -> None:
    """closing.json names every arm's head and every file beside the arms, each as it is; nothing
    else lies there."""
    if not run.older:
        refuse_strangers_in_run(run.out)
    if not (run.out / CLOSING).exists():
        if run.older:
            raise CantBeChecked(OLDER)
        if not run.finished:
            raise CantBeChecked("the run isn't finished")
        raise LedgerError(f"{run.out / CLOSING} is missing, but the run is finished.")
    closing = read_closing(run.out)
    labels = run.record["arms"]
    heads = {one: run.arm(one).known_chain.head for one in labels}
    if closing["heads"] != heads:
        raise LedgerError(f"{run.out / CLOSING} notes other heads than the arms' ledgers have.")
    refuse_other_files(run.out, closing["files"], run_files(run.out))


def check_samples(run: RunEvidence) -> None:
    """The list of pictures shows patients with the Dices that they were scored."""
    for row in read_samples(run.out):
        scores = run.arm(row["arm"]).known_scores
        if not any(
            (s.patient, s.site, s.dice) == (row["patient"], row["site"], row["dice"])
            for s in scores
        ) or not is_picture(run.out, row["file"]):
            raise LedgerError(f"{run.out / SAMPLES} shows what was not scored, or isn't there.")


def check_software(run: RunEvidence) -> None:
    """The same software and machines from beginning to end, as run.json and receipts state."""
    if resumed := run.record.get(RESUMED):
        told = "; ".join(told_of(entry) for entry in resumed)
        raise CantBeChecked(f"it was resumed: {told}")
    machines: dict[str, set[str]] = {}
    begun = (own for label in run.record["arms"] if (own := run.arm(label)).there)
    for line in (line for own in begun for line in own.known_chain.legs):
        for receipt in line["receipts"]:
            site = receipt["site"] if run.network is not None else "this machine"
            machines.setdefault(site, set()).update(filter(None, [receipt["machine"]]))
    if not machines:
        raise CantBeChecked("nothing is computed yet")
    for site, found in machines.items():
        if len(found) > 1:
            raise CantBeChecked(f"{site} states {' and '.join(sorted(found))}")
