"""What a hospital does for a study that it takes part in: survey, train, evaluate."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from roundelay.data.slice_cache import SliceCache, slices_folder
from roundelay.data.survey import TEST, VALIDATION
from roundelay.errors import DataError, RefusedError
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.summary import site_means
from roundelay.evaluation.whole_site import as_one
from roundelay.files.mapped import mapped
from roundelay.learning.machine import find_machine
from roundelay.learning.model_file import inference_settings_of, write_model
from roundelay.learning.model_header import model_metadata
from roundelay.learning.unet import ENCODERS
from roundelay.learning.weights_source import packaged_source
from roundelay.network.hospital.acceptance import check_incoming, is_start
from roundelay.network.hospital.admission import (
    Admitted,
    AdmittedModel,
    AdmittedScores,
    AdmittedVisit,
)
from roundelay.network.hospital.arm_store import arm_store
from roundelay.network.hospital.inventory import said_of, unfit
from roundelay.network.hospital.opened import opened_site
from roundelay.network.hospital.patients import own_patients
from roundelay.network.hospital.policy_checks import check_patients
from roundelay.network.hospital.store import RUNS, pin_start
from roundelay.network.wire.handover import holder, recipients, scored_holder
from roundelay.network.wire.messages import Answer
from roundelay.network.wire.sealed_baton import Opener, hand_over_in_pieces, opened
from roundelay.network.wire.statements import sign_survey
from roundelay.plan.itinerary import IN_TURN, Leg
from roundelay.plan.progress import Step
from roundelay.relay.aggregation import final_model
from roundelay.relay.baton import MODEL, Baton, join
from roundelay.relay.courier import Visit
from roundelay.site.evaluation import evaluate as score_here
from roundelay.site.opening import LocalSite
from roundelay.site.opening import survey as survey_here
from roundelay.site.visit import train as train_here

OnProgress = Callable[[dict[str, Any]], None]


def survey(asked: Admitted) -> Answer:
    """Counts by split, and one digest over all images, signed for this run; and which channels and
    label values there are. Raises DataError where the exams can't be used for the study."""
    try:
        site = _local_site(asked)
    except DataError as error:
        raise unfit(asked, error) from error
    found = survey_here(site)
    check_patients(asked.hospital.policy, asked.proposal, found)
    signed = sign_survey(found, asked.run, asked.proposal.digest, asked.hospital.keys)
    return Answer({**signed, **said_of(asked, site.patients)})


def train(asked: AdmittedVisit, on_progress: OnProgress) -> Answer:
    """One visit; the same request again gets the same answer, without another visit."""
    leg, stop = asked.leg, asked.stop
    store, key = arm_store(asked.hospital.home, asked.run, asked.arm), asked.key(f"leg {leg.index}")
    visited = store.visited()
    if visited.get(leg.index) == key and (kept := store.answer(key)) is not None:
        return Answer(*kept, file=store.body(key))
    if any(leg.index <= done for done in visited):
        raise RefusedError(f"{stop} was made before: a baton is not taken twice.")
    if store.ended:
        raise RefusedError(
            f"{asked.arm.label} ended here when another arm began: arms come one after the other."
        )
    before = asked.proof.statement.leg
    signer = holder(asked.proposal, asked.arm.legs, leg.index, before)
    plain, local_site = _opened(asked, before, signer), _surveyed_site(asked)
    sums = stop.task == IN_TURN and stop.weight_before > 0
    _check_model(asked, store.last(), plain, local_site, sums=sums)
    visit = train_here(local_site, stop, plain, lambda step: on_progress(_progress(step)))
    proof, digest, opener = _hand_on(
        asked, leg, visit, lambda pieces: store.keep_body(key, pieces, len(visit.baton.data))
    )
    head = {"proof": proof}
    store.keep(leg.index, key, head, opener)
    return Answer(head, mapped(store.body(key)), digest, store.body(key))


def evaluate(asked: AdmittedScores) -> Answer:
    """Scores of this hospital's patients of one split, as its policy lets them go; each is given
    once, and the same again where it is asked for again."""
    number, split = asked.number, asked.split
    store = arm_store(asked.hospital.home, asked.run, asked.arm)
    scored, key = store.scored(split), asked.key(f"{split} after leg {number}")
    if number in scored and scored[number].key == key:
        return Answer({"scores": _still_released(asked, scored[number].rows)})
    if number in scored or (split == TEST and scored):
        raise RefusedError(
            f"Scores of the {split} patients were given for another model of {asked.arm.label}."
        )
    before = asked.proof.statement.leg
    signer = scored_holder(asked.proposal, asked.arm.legs, number, before)
    plain, local_site = _opened(asked, before, signer), _surveyed_site(asked)
    _check_model(asked, None, plain, local_site)
    plain = join(asked.proposal.study.recipe.wire, model=final_model(plain))
    rows = [score.as_json() for score in _released(asked, score_here(local_site, plain, split))]
    if split == TEST:  # the end of an arm: the model that the hospitals trained is theirs
        _keep_model(asked, plain)
    store.keep_scores(split, number, key, rows)
    return Answer({"scores": rows})


def _check_model(
    asked: AdmittedModel, last: bytes | None, plain: Baton, local_site: LocalSite,
    *, sums: bool = False,
) -> None:  # fmt: skip
    """`last` is what this hospital handed over before, where there is something to compare; with
    `sums` those of the hospitals before must come with the model."""
    if asked.proof.statement.leg == -1:
        _check_start(asked, plain)
    check_incoming(
        plain,
        None if last is None else Baton(last),
        asked.proposal.study,
        asked.hospital.policy.acceptance,
        lambda baton: _validated(local_site, baton),
        asked.hospital.home / "quarantine",
        sums=sums,
    )


def _check_start(asked: AdmittedModel, plain: Baton) -> None:
    """Raise RefusedError for a model that is said to be the start and isn't what it was before, or
    what follows from the study: else whoever coordinates could slip in a model of its own."""
    study, seed = asked.proposal.study, asked.arm.seed
    drawn = study.model.weights == "none" and study.model.encoder in ENCODERS
    fits = is_start(plain, study, seed) if drawn else True
    if not fits or not pin_start(asked.hospital.home, asked.run, seed, plain.digest):
        raise RefusedError(
            f"The model that came as the start of seed {seed} isn't the one that the study begins"
            " with. Nothing was done with it."
        )


def _released(asked: Admitted, scores: list[PatientScore]) -> list[PatientScore]:
    release = asked.hospital.policy.release
    if release.scores == "none" or len(scores) < release.least_scored:
        return []
    if release.scores == "site":
        return as_one(scores)
    # The patient's name stays at home; the number is the same in every arm.
    return [
        replace(score, patient=f"{asked.hospital.name} {number}", attributes={})
        for number, score in enumerate(scores, start=1)
    ]


def _still_released(asked: Admitted, rows: list[PatientScore]) -> list[dict[str, Any]]:
    """Rows that left before, as the policy is today: it may have become narrower since."""
    release = asked.hospital.policy.release
    if release.scores == "none" or sum(row.patients for row in rows) < release.least_scored:
        return []
    if release.scores == "site" and len(rows) > 1:
        rows = as_one(rows)
    return [row.as_json() for row in rows]


def _keep_model(asked: Admitted, plain: Baton) -> None:
    name = f"{asked.proposal.study.digest[:12]}-{plain.digest[:12]}.safetensors"
    study = asked.proposal.study
    source = packaged_source(study.model)  # what comes as a path is another machine's
    metadata = model_metadata(study, weights=source.as_json() if source else None)
    write_model(asked.hospital.home / "models" / name, plain.part(MODEL), metadata)


def _opened(asked: AdmittedModel, before: int, signer: str) -> Baton:
    """What the payload holds, opened: `signer` handed it over as leg `before`'s."""
    return opened(
        asked.payload, asked.proof, asked.place(before), asked.proposal, signer,
        asked.hospital.name, asked.hospital.keys, asked.payload_digest,
    )  # fmt: skip


def _hand_on(
    asked: AdmittedModel, leg: Leg, visit: Visit, write: Callable[[Iterable[bytes]], None]
) -> tuple[dict[str, Any], str, Opener]:
    to = recipients(asked.proposal, asked.arm.legs, leg.index)
    return hand_over_in_pieces(
        visit.baton, asked.place(leg.index), asked.proposal, to, asked.hospital.name,
        asked.hospital.keys, write, visit.receipt,
    )  # fmt: skip


def _surveyed_site(asked: AdmittedModel) -> LocalSite:
    """Raises RefusedError where the images are no longer those whose numbers the site signed."""
    local_site = _local_site(asked)
    if survey_here(local_site) != asked.laid.surveys[local_site.name]:
        raise RefusedError("This hospital's images changed since it signed its numbers.")
    return local_site


def _local_site(asked: Admitted) -> LocalSite:
    hospital, study = asked.hospital, asked.proposal.study
    data = study.data.model_copy(update={"root": hospital.settings.root})
    machine = find_machine(
        study.recipe.precision,
        deterministic=study.recipe.deterministic,
        device=hospital.settings.device,
    )
    return opened_site(
        hospital.name,
        study.model_copy(update={"data": data}),
        own_patients(hospital.settings, study),
        cache=SliceCache(inference_settings_of(study).preprocessing, slices_folder(hospital.home)),
        machine=machine,
        home=hospital.home / RUNS / asked.run / "state",
    )


def _validated(local_site: LocalSite, baton: Baton) -> float | None:
    means = site_means(score_here(local_site, join(model=final_model(baton)), VALIDATION))
    return means[local_site.name][1] if local_site.name in means else None


def _progress(step: Step) -> dict[str, Any]:
    return {
        "step": step.step,
        "loss": float(step.loss),
        "slices_per_second": float(step.slices_per_second),
    }
