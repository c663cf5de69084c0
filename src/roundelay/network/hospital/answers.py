"""What a hospital does for a study that it takes part in: survey, train, evaluate."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from roundelay.data.formats import lgg
from roundelay.data.slice_cache import SliceCache
from roundelay.data.survey import TEST, TRAIN, VALIDATION
from roundelay.errors import RefusedError
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.summary import site_means
from roundelay.evaluation.whole_site import as_one
from roundelay.files.canonical import digest_of
from roundelay.learning.machine import find_machine
from roundelay.learning.model_file import inference_settings_of, write_model
from roundelay.network.hospital.acceptance import check_incoming
from roundelay.network.hospital.admission import Admitted, key_of, stop_of
from roundelay.network.hospital.policy import check_patients, check_task, check_visits
from roundelay.network.hospital.store import arm_store
from roundelay.network.wire.handover import holder, recipients
from roundelay.network.wire.sealed_baton import Place, hand_over, opened
from roundelay.plan.itinerary import Leg
from roundelay.plan.progress import Step
from roundelay.relay.aggregation import final_model
from roundelay.relay.baton import MODEL, Baton, join
from roundelay.relay.courier import Visit
from roundelay.site.evaluation import evaluate as score_here
from roundelay.site.opening import LocalSite, open_local_site
from roundelay.site.opening import survey as survey_here
from roundelay.site.visit import train as train_here

OnProgress = Callable[[dict[str, Any]], None]

Answer = tuple[dict[str, Any], bytes]


def survey(request: Admitted, on_progress: OnProgress) -> Answer:
    """Counts by split, and one digest over all images."""
    found = survey_here(_local_site(request))
    check_patients(request.policy, found.patients[TRAIN])
    return {"survey": found.as_json()}, b""


def train(request: Admitted, on_progress: OnProgress) -> Answer:
    """One visit; the same question again gets the same answer, without another visit."""
    legs, leg, stop = stop_of(request)
    check_task(request.policy, request.proposal, stop.task)
    check_visits(request.policy, request.site, legs)
    store = arm_store(request.home, str(request.head["run"]), str(request.head["arm"]))
    itinerary, key = digest_of(request.head["legs"]), key_of(request)
    if store.pinned() not in (None, itinerary):
        raise RefusedError("The itinerary of this arm is another one than at the first visit.")
    visited = store.visited()
    if visited.get(leg.index) == key and (kept := store.answer(key)) is not None:
        return kept
    if any(leg.index <= done for done in visited):
        raise RefusedError(f"{stop} was made before: a baton is not taken twice.")

    plain = _opened(request, legs, leg.index)
    local_site, last = _local_site(request), store.last()
    check_incoming(
        plain,
        Baton(last) if last else None,
        request.proposal.study.model.encoder,
        request.policy.acceptance,
        lambda baton: _validated(local_site, baton),
        request.home / "quarantine",
    )
    visit = train_here(local_site, stop, plain, lambda step: on_progress(_progress(step)))
    travels = _hand_on(request, legs, leg, visit)
    head = {"receipt": asdict(visit.receipt), "proof": travels.proof}
    store.keep(itinerary, leg.index, key, head, travels.data, visit.baton.data)
    return head, travels.data


def evaluate(request: Admitted, on_progress: OnProgress) -> Answer:
    """Scores of this hospital's patients of one split, as its policy lets them go."""
    check_task(request.policy, request.proposal, "evaluate")
    split = request.head["split"]
    if split not in (VALIDATION, TEST):
        raise RefusedError(f"The patients of {split!r} are not for scores.")
    signer = str(request.head["signer"])
    place = request.place(int(request.head["leg"]))
    if signer not in request.proposal.roster:
        raise RefusedError(f"{signer!r} is not in the study's roster.")
    plain = _plain(request, place, signer)
    plain = join(model=final_model(plain))
    scores = score_here(_local_site(request), plain, split)
    if split == TEST:  # the end of an arm: the model that the hospitals trained is theirs
        name = f"{request.proposal.study.digest[:12]}-{plain.digest[:12]}.safetensors"
        path = request.home / "models" / name
        write_model(path, plain.part(MODEL), request.proposal.study)
    return {"scores": [score.as_json() for score in _released(request, scores)]}, b""


def _released(request: Admitted, scores: list[PatientScore]) -> list[PatientScore]:
    wanted = request.policy.release.scores
    if wanted == "none" or len(scores) < request.policy.release.least_scored:
        return []
    if wanted == "site":
        return as_one(scores)
    # The patient's name stays at home; the number is the same in every arm.
    return [
        replace(score, patient=f"{request.site} {number}", attributes={})
        for number, score in enumerate(scores, start=1)
    ]


def _opened(request: Admitted, legs: tuple[Leg, ...], leg: int) -> Baton:
    """The plain baton, signed by whoever held it before this stop."""
    before = int(request.head["before"])
    return _plain(request, request.place(before), holder(request.proposal, legs, leg, before))


def _plain(request: Admitted, place: Place, signer: str) -> Baton:
    """What the payload holds, opened: `signer` handed it over from `place`."""
    proof, keys = request.head["proof"], request.keys
    return opened(request.payload, proof, place, request.proposal, signer, request.site, keys)


def _hand_on(request: Admitted, legs: tuple[Leg, ...], leg: Leg, visit: Visit) -> Baton:
    to = recipients(request.proposal, legs, leg.index)
    return hand_over(
        visit.baton, request.place(leg.index), request.proposal, to, request.site, request.keys,
        receipt=json.loads(json.dumps(asdict(visit.receipt))),
    )  # fmt: skip


def _local_site(request: Admitted) -> LocalSite:
    study = request.proposal.study
    if study.data.format != request.settings.format:
        raise RefusedError(
            f"The study reads the format {study.data.format}; this hospital has"
            f" {request.settings.format}."
        )
    data = study.data.model_copy(update={"root": request.settings.root})
    found = lgg.find_patients(Path(request.settings.root)).patients
    own = tuple(replace(patient, site=request.site) for patient in found)
    machine = find_machine(study.recipe.precision, deterministic=study.recipe.deterministic)
    return open_local_site(
        request.site,
        study.model_copy(update={"data": data}),
        {request.site: own},
        cache=SliceCache(inference_settings_of(study).preprocessing),
        machine=machine,
        home=request.home / "runs" / "state" / str(request.head["run"]),
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
