"""What stands at the end of an arm, model, choice, scores, held against its ledger and plan."""

import hashlib
from collections.abc import Sequence
from math import isclose

import numpy as np
import safetensors

from roundelay.data.survey import TEST, VALIDATION
from roundelay.errors import LedgerError
from roundelay.evaluation.choosing import best_leg
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.summary import site_means
from roundelay.files.arrays import Arrays
from roundelay.learning.model_header import model_metadata
from roundelay.plan.legs import followed, round_ends
from roundelay.records.arm import CURVE, curve_text
from roundelay.records.arm_checks import legs_run
from roundelay.records.claims import CantBeChecked
from roundelay.records.closing import arm_files, refuse_other_files, refuse_strangers
from roundelay.records.evidence import OLDER, ArmEvidence
from roundelay.records.layout import LEDGER, MODEL, SCORES, SEALED_MODEL
from roundelay.records.threshold_checks import SAME, given_means
from roundelay.relay.aggregation import final_model
from roundelay.relay.baton import digest_of_parts
from roundelay.relay.ledger import baton_file, read_baton, sealed_as
from roundelay.relay.receipt import Receipt


def check_closing(arm: ArmEvidence) -> None:
    """The ledger's last line names every file of the arm's end, and each is as it says."""
    chain = arm.known_chain
    if chain.closing is not None:
        refuse_other_files(arm.place, chain.closing, arm_files(arm.place))
        refuse_strangers(arm.place, {*chain.closing, LEDGER, "itinerary.json", "batons"})
        return
    arm.must_be_done()
    if arm.run.older:
        raise CantBeChecked(OLDER)
    if not arm.run.finished:
        raise CantBeChecked("the arm isn't finished: its last line is still to come")
    raise LedgerError(f"{arm.place / 'ledger.jsonl'} has no last line: it was cut.")


def check_no_leg_is_missing(arm: ArmEvidence) -> None:
    chain, legs = arm.finished_chain, arm.known_legs
    if len(chain.legs) < len(legs):
        raise LedgerError(
            f"{arm.place / 'ledger.jsonl'} ends after {len(chain.legs)} of {len(legs)} legs, but"
            " the arm is finished: lines were cut."
        )


def check_choice(arm: ArmEvidence) -> None:
    """The hand-over whose model is taken is the one that the study's rule chooses."""
    chosen, legs = arm.chosen_leg, arm.known_legs
    rule = arm.run.known_study.evaluation.choose
    wanted = len(legs) - 1
    if rule != "last":
        wanted = best_leg(arm.validations, round_ends(legs), rule)
    if chosen != wanted:
        raise LedgerError(
            f"{arm.place / SCORES} names hand-over {chosen + 1}, but choose = {rule!r} takes"
            f" {wanted + 1}."
        )


def check_model(arm: ArmEvidence) -> None:
    """The model is what the chosen hand-over's baton predicts with, and its header the study's."""
    line = arm.finished_chain.legs[arm.known_choice]
    sealed = arm.place / SEALED_MODEL
    if sealed.exists():
        if hashlib.sha256(sealed.read_bytes()).hexdigest() != sealed_as(line):
            raise LedgerError(f"{sealed} is not the chosen hand-over's baton.")
        return
    study = arm.run.known_study
    with safetensors.safe_open(arm.place / MODEL, framework="numpy") as file:
        metadata = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if digest_of_parts(study.recipe.wire, model=arrays) != line["baton"]:
        _compare_with_baton(arm, line["leg"], sealed_as(line), line["baton"], arrays)
    choice = arm.known_thresholds
    weights = arm.run.record.get("weights")
    thresholds, synthetic = choice.by_region if choice else (), arm.run.record["synthetic"]
    if metadata != model_metadata(study, thresholds, weights, synthetic=synthetic):
        if arm.run.older:
            raise CantBeChecked("an older version wrote the model's header otherwise")
        raise LedgerError(f"The header of {arm.place / MODEL} is not what the study says.")


def _compare_with_baton(
    arm: ArmEvidence, leg: int, sealed: str, digest: str, arrays: Arrays
) -> None:
    """A baton of more than the weights: its model is compared where it is kept open."""
    recipe = arm.run.known_study.recipe
    alone = recipe.optimiser_state != "travel" and recipe.average == "none"
    alone = alone and not recipe.importance_travels
    kept = (arm.place / "batons" / baton_file(digest, sealed=False)).exists()
    if not alone and not kept:
        why = "is sealed" if sealed else "isn't kept"
        raise CantBeChecked(f"the baton of leg {leg + 1}, which it was taken from, {why}")
    if kept:
        wanted = final_model(read_baton(arm.place / "batons", {"baton": digest}))
        if wanted.keys() == arrays.keys() and all(
            wanted[n].dtype == arrays[n].dtype and np.array_equal(wanted[n], arrays[n])
            for n in wanted
        ):
            return
    raise LedgerError(f"{arm.place / MODEL} holds other weights than the chosen hand-over's.")


def check_validations(arm: ArmEvidence) -> None:
    """There is a row for each hand-over that the study follows, of all who have such patients."""
    surveys, evaluation = arm.run.surveys, arm.run.known_study.evaluation
    legs = arm.known_legs
    chain = arm.known_chain
    with_patients = {s: n for s, one in surveys.items() if (n := one.patients[VALIDATION])}
    wanted = followed(legs, evaluation) if with_patients else frozenset()
    run = legs_run(arm.place / "ledger.jsonl", chain, legs)
    rows = {row.leg: row for row in arm.validations}
    due = {number for number in wanted if number < len(chain.legs)}
    if not arm.done:
        due -= {len(chain.legs) - 1} - set(rows)  # its row comes after its line
    if set(rows) != due or len(rows) != len(arm.validations):
        raise LedgerError(f"{arm.place / 'validation.json'} has not a row for each that is due.")
    for number, row in rows.items():
        stops = run[number].stops
        gave = {site: n for site, n in with_patients.items() if site in row.patients}
        if (row.round, row.patients, row.dice.keys()) != (stops[0].round, gave, gave.keys()) or (
            gave != with_patients and arm.run.network is None
        ):
            raise LedgerError(f"{arm.place / 'validation.json'}, hand-over {number + 1}: the"
                              " patients are not those of the sites.")  # fmt: skip
        if not all(0 <= dice <= 1 for dice in row.dice.values()):
            raise LedgerError(f"{arm.place / 'validation.json'} holds a Dice that is none.")
    if not rows:
        why = "no row is due yet" if wanted else "the study follows no validation patients"
        raise CantBeChecked(f"{why}: there is no such file")


def check_chosen_row(arm: ArmEvidence) -> None:
    """What validation.json says of the hand-over that was taken is what the scores say."""
    rows = {row.leg: row for row in arm.validations}
    if (row := rows.get(arm.known_choice)) is None:
        raise CantBeChecked("the study follows no hand-over that was taken")
    choice = arm.known_thresholds
    own = [s for s in arm.known_scores if s.split == VALIDATION]
    # Rounds are validated at the given threshold, scores stand at the chosen one.
    means = given_means(choice) if choice else site_means(own)
    for site, dice in row.dice.items():
        if site not in means or not isclose(means[site][1], dice, abs_tol=SAME):
            raise LedgerError(
                f"{arm.place / 'validation.json'} says {dice:.3f} of {site} after hand-over"
                f" {row.leg + 1}, whose patients' scores in {SCORES} say otherwise."
            )


def check_scores(arm: ArmEvidence) -> None:
    """All patients of every site are scored, and each Dice is that of its counts."""
    scores, surveys = arm.scores, arm.run.surveys
    for score in scores:
        _check_score(arm, score)
    missing = []
    for site, survey in surveys.items():
        for split in (VALIDATION, TEST):
            own = [s for s in scores if (s.site, s.split) == (site, split)]
            found = (sum(s.patients for s in own), sum(s.slices for s in own))
            wanted = (survey.patients[split], survey.slices[split])
            if not own and wanted[0] and arm.run.network is not None:
                missing.append(f"{wanted[0]} {split} patients of {site} have no scores")
            elif found != wanted:
                raise LedgerError(
                    f"{arm.place / SCORES}: {found[0]} {split} patients ({found[1]} slices) of"
                    f" {site} are scored; it has {wanted[0]} ({wanted[1]})."
                )
    if any(s.site not in surveys or s.split not in (VALIDATION, TEST) for s in scores):
        raise LedgerError(f"{arm.place / SCORES} scores a patient of no site or split.")
    _say_what_is_missing(scores, missing)


def _say_what_is_missing(scores: Sequence[PatientScore], missing: Sequence[str]) -> None:
    if missing:
        raise CantBeChecked(
            f"{'; '.join(missing)}: whether it gave none, or they were taken out, shows in no"
            " signature"
        )
    if not scores:
        raise CantBeChecked("no patient is scored: none was kept for it")


def _check_score(arm: ArmEvidence, score: PatientScore) -> None:
    if (named := tuple(score.regions)) != (wanted := tuple(arm.run.study.data.regions)[1:]):
        raise LedgerError(
            f"{arm.place / SCORES}: a patient of {score.site} is scored by the regions"
            f" {', '.join(named) or 'of one alone'}; the study has {', '.join(wanted) or 'one'}."
        )
    for one in (score, *(score.of_region(name) for name in score.regions)):
        _check_region(arm, one)


def _check_region(arm: ArmEvidence, score: PatientScore) -> None:
    overlap = score.overlap
    if score.patients != 1 and arm.run.network is None:
        raise LedgerError(f"{arm.place / SCORES}: a row stands for several patients.")
    if score.patients == 1 and (
        not isclose(score.dice, overlap.dice, rel_tol=1e-12)
        or bool(score.hd95_missing) != bool(overlap.one_empty)
    ):
        raise LedgerError(
            f"{arm.place / SCORES}: the Dice of a patient of {score.site} is not that of its"
            " counted pixels."
        )
    counted = (overlap.tp + overlap.fn, overlap.tp + overlap.fp)
    if score.patients == 1 and score.unit == "pixels" and counted != (
        score.reference_volume, score.predicted_volume
    ):  # fmt: skip
        raise LedgerError(
            f"{arm.place / SCORES}: the volumes of a patient of {score.site} are not those of its"
            " counted pixels."
        )


def check_curve(arm: ArmEvidence) -> None:
    """curve.csv holds what the receipts state."""
    chain = arm.finished_chain
    receipts = [Receipt(**receipt) for line in chain.legs for receipt in line["receipts"]]
    found = (arm.place / CURVE).read_bytes()
    if found != curve_text(receipts).encode():
        if arm.run.older:
            raise CantBeChecked("an older version wrote curve.csv otherwise")
        raise LedgerError(f"{arm.place / CURVE} does not hold what the receipts state.")
