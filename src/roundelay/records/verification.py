"""What `roundelay ledger verify` says of a run folder: every claim, checked or not, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from roundelay.errors import LedgerError, RunFolderError
from roundelay.records.arm_claims import claims_on_end, claims_on_ledger
from roundelay.records.claims import CantBeChecked, Claim, tried
from roundelay.records.closing import head_of_run
from roundelay.records.evidence import OLDER, ArmEvidence, RunEvidence
from roundelay.records.folds_claims import (
    check_folds,
    check_folds_alike,
    check_folds_end,
    check_who_tests,
    fold_number,
)
from roundelay.records.going_on import GOES_ON
from roundelay.records.going_on_checks import check_run_before
from roundelay.records.layout import ARMS, LEDGER, SAMPLES, read_record
from roundelay.records.left_out_claims import (
    check_left_out_sites,
    check_left_out_summary,
    runs_below,
)
from roundelay.records.result_checks import ComputedAgain, check_patients_file, check_summary
from roundelay.records.run_checks import (
    check_arms,
    check_closing_record,
    check_cohort,
    check_plan,
    check_same_patients,
    check_samples,
    check_software,
    check_starts,
    check_study,
)
from roundelay.records.signatures import check_signatures, check_survey_signatures

BEFORE = "its first weights are the models of the run that it goes on from"

DRAWN = (
    "the first weights are those that the study's seed gives",
    "that needs PyTorch, and the file of weights where the study names one",
)

NEVER_CHECKED = (
    ("the pictures in samples show the patients that they name", "that needs the images"),
    ("report.html and figures show these figures",
     "they are drawn anew from the run folder: roundelay report RUN"),
    ("the run was not rewritten as a whole, nor cut before it was finished",
     "no chain shows that by itself: compare the heads with those that somebody else noted down"),
)  # fmt: skip

NEVER_BETWEEN_HOSPITALS = (
    ("each key is its hospital's own",
     "a key names nobody: compare the fingerprints with what the hospital says itself"),
    ("the scores are those that the hospitals gave, and all of them",
     "hospitals sign their numbers and receipts, not scores: compare them with those that each"
     " keeps in its kit (roundelay/runs)"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at: every claim with its outcome, in the order in which they are told.

    `heads` has the digest of every ledger's last line by arm, `head` that of the whole run, where
    it is finished: compare them with copies held elsewhere. `signed_receipts` are those that the
    hospitals themselves signed.
    """

    heads: dict[str, str]
    signed_receipts: int
    claims: tuple[Claim, ...]
    head: str | None = None

    @property
    def failed(self) -> tuple[Claim, ...]:
        """The claims that do not hold."""
        return tuple(claim for claim in self.claims if claim.outcome == "failed")

    @property
    def fails_by_predecessor(self) -> bool:
        """Whether all holds but that the run goes on from the one that was named as its
        predecessor: then that may be the wrong one."""
        return {claim.text for claim in self.failed} == {BEFORE}


def verify_run(out: Path | str, *, before: Path | str | None = None) -> Verification:
    """Look at all claims of a run folder, all of its arms, and between hospitals the signatures.

    `before` is the run that it goes on from, where it goes on from one: looked at too.

    Raises LedgerError naming every claim that failed, RunFolderError where one of them is no run.
    """
    found = check_run(Path(out), before=None if before is None else Path(before))
    if found.failed:
        raise LedgerError("\n".join(str(claim) for claim in found.failed))
    return found


def check_run(out: Path, *, before: Path | None = None) -> Verification:
    """As `verify_run`, with what failed among the claims."""
    for path in out.rglob("*"):
        if not (path.is_file() or path.is_dir()):
            raise LedgerError(f"{path} is neither a file nor a folder: nothing there was read.")
    if (runs := runs_below(out)) and before is None:
        several = any(fold_number(run) is not None for run in runs)
        return (_check_folds if several else _check_left_out)(out, runs)
    for run in (out, before):
        if run is not None:
            read_record(run)  # else it is no run
    if not (out / ARMS).is_dir():
        raise LedgerError(f"{out} holds no ledger ({ARMS}/*/{LEDGER}). Give a run folder.")
    return _check_one(RunEvidence(out), before)


def _check_left_out(out: Path, runs: Sequence[RunEvidence]) -> Verification:
    """All runs of a folder in which every hospital was left out, each named in front."""
    return _with_runs(
        runs,
        tried("", "every site is left out once", lambda: check_left_out_sites(runs)),
        tried("", "summary.json is what the runs come to",
              lambda: check_left_out_summary(out, runs)),
    )  # fmt: skip


def _check_folds(out: Path, runs: Sequence[RunEvidence]) -> Verification:
    """As `_check_left_out`, of a folder of folds."""
    return _with_runs(
        runs,
        tried("", "the runs are all folds of one study", lambda: check_folds(out, runs)),
        tried("", "every patient tests in one fold, and in one alone",
              lambda: check_who_tests(runs)),
        tried("", "one software on one machine computed all folds",
              lambda: check_folds_alike(runs)),
        tried("", "summary.json and patients.csv are what the folds come to",
              lambda: check_folds_end(out, runs)),
    )  # fmt: skip


def _with_runs(runs: Sequence[RunEvidence], *claims_on_all: Claim) -> Verification:
    """The claims on all runs together, then those on each, named in front."""
    found = {run.out.name: _check_one(run) for run in runs}
    claims = [*claims_on_all]
    for name, one in found.items():
        claims += [replace(c, about=f"{name}/{c.about}".rstrip("/")) for c in one.claims]
    heads = {f"{n}/{label}": head for n, one in found.items() for label, head in one.heads.items()}
    heads |= {name: one.head for name, one in found.items() if one.head}
    return Verification(heads, sum(one.signed_receipts for one in found.values()), tuple(claims))


def _check_one(run: RunEvidence, before: Path | None = None) -> Verification:
    claims, heads, signed = _claims_on_run(run), {}, 0
    if before is not None or GOES_ON in run.record:
        claims.append(_claim_on_before(run, before))
    for label in run.record["arms"]:
        arm = run.arm(label)
        if not arm.there:
            claims.append(tried(label, "it has begun", lambda: _not_yet(run)))
            continue
        claims += [*claims_on_ledger(arm), *claims_on_end(arm)]
        if (head := _head_of(arm)) is not None:
            heads[label] = head
        if run.network is not None:
            claim, count = _signatures(run, arm)
            claims, signed = [*claims, claim], signed + count
    never = NEVER_CHECKED if GOES_ON in run.record else (DRAWN, *NEVER_CHECKED)
    claims += [Claim("", text, "unchecked", why) for text, why in never]
    if run.network is not None:
        claims += [Claim("", text, "unchecked", why) for text, why in NEVER_BETWEEN_HOSPITALS]
    return Verification(heads, signed, tuple(claims), head_of_run(run.out))


def _claim_on_before(run: RunEvidence, folder: Path | None) -> Claim:
    """Of the run that it goes on from, all claims are looked at; that one's own predecessor is for
    another look."""

    def check() -> None:
        try:
            failed = check_run(folder).failed if folder is not None else ()
            check_run_before(run, folder, [str(claim) for claim in failed])
        except RunFolderError as error:
            raise LedgerError(f"{run.out} can't go on from {folder}: {error}") from error

    return tried("", BEFORE, check)


def _claims_on_run(run: RunEvidence) -> list[Claim]:
    """Those on its own files; each check is of this run, or of what its arms come to."""
    again = ComputedAgain(run)
    checks: list[tuple[str, Callable[[RunEvidence], None]]] = [
        ("study.toml is the study of run.json", check_study),
        ("the sites' numbers in run.json are those of the cohort", check_cohort),
        ("run.json names every arm of the study, and no other is there", check_arms),
        ("every itinerary is the one that study and sites give", check_plan),
        ("all arms of a seed began with the same weights", check_starts),
        ("one software on one machine computed all of it", check_software),
        ("all arms scored the same patients", check_same_patients),
        ("closing.json names every head and file, and none was altered", check_closing_record),
    ]
    if run.network is not None:
        checks.append(("every site's numbers in run.json are signed by it", _check_numbers))
    if (run.out / SAMPLES).exists():
        checks.append(("the list of pictures shows what was scored", check_samples))
    return [
        *(tried("", text, partial(check, run)) for text, check in checks),
        tried("", "summary.json is what scores and ledgers come to", partial(check_summary, again)),
        tried("", "patients.csv is what the scores come to", partial(check_patients_file, again)),
    ]


def _check_numbers(run: RunEvidence) -> None:
    if "survey_signatures" not in (run.network or {}):
        raise CantBeChecked(OLDER)
    check_survey_signatures(run.record)


def _not_yet(run: RunEvidence) -> None:
    if run.finished:
        raise LedgerError("its ledger is missing, but the run is finished.")
    raise CantBeChecked("not yet: its ledger isn't there")


def _signatures(run: RunEvidence, arm: ArmEvidence) -> tuple[Claim, int]:
    counted = []

    def check() -> None:
        lines = arm.known_chain.lines
        counted.append(check_signatures(run.record, arm.label, lines))

    text = "every receipt is signed by the hospital that it names, a skipped one by the coordinator"
    claim = tried(arm.label, text, check)
    return claim, sum(counted)


def _head_of(arm: ArmEvidence) -> str | None:
    try:
        return arm.chain.head
    except LedgerError:
        return None
