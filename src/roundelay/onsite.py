"""What happens inside one hospital: survey, train, evaluate."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from roundelay.atomic import write_bytes
from roundelay.baton import AVERAGE, MODEL, OPTIMISER, Arrays, Baton, digest_of_parts, join
from roundelay.cohort.opening import open_patients, survey_patients, training_slices
from roundelay.cohort.patients import Patient
from roundelay.cohort.split import refuse_leak
from roundelay.evaluation.scores import PatientScore, score_patient
from roundelay.itinerary import Stop
from roundelay.learning.augment import Augmentation
from roundelay.learning.average import Average
from roundelay.learning.draws import batches, choose_slices, seed_of
from roundelay.learning.fit import Batch, OnStep, fit, prepared
from roundelay.learning.model_file import reading_of
from roundelay.learning.precision import Machine
from roundelay.learning.predict import predict
from roundelay.learning.proximal import pull_of
from roundelay.learning.slices import SliceCache, read_images, read_masks
from roundelay.learning.state import (
    load_model,
    load_optimiser,
    make_optimiser,
    model_arrays,
    optimiser_arrays,
)
from roundelay.learning.statistics import statistics_sums
from roundelay.ledger import Receipt
from roundelay.relay import Visit
from roundelay.study import Study
from roundelay.survey import POOLED, TEST, TRAIN, SiteSurvey


@dataclass(frozen=True, slots=True)
class Ward:
    """One site's own patients, opened and split, with what its computer needs to work on them."""

    site: str
    study: Study
    patients: tuple[Patient, ...]
    cache: SliceCache
    machine: Machine
    home: Path


def open_ward(
    site: str,
    study: Study,
    sites: Mapping[str, tuple[Patient, ...]],
    *,
    cache: SliceCache,
    machine: Machine,
    home: Path,
) -> Ward:
    """Open the files of this site's patients and of no other's. Raises DataError.

    The site ``pooled``, for the comparator of that name, is all sites together. At the site that
    the study leaves out of training, all patients test.
    """
    names = list(sites) if site == POOLED else [site]
    patients = tuple(p for name in names for p in open_patients(sites[name], study.data))
    left_out = study.evaluation.leave_out
    patients = tuple(replace(p, split=TEST) if p.site == left_out else p for p in patients)
    refuse_leak(patients)
    return Ward(site, study, patients, cache, machine, home / site)


def survey(ward: Ward) -> SiteSurvey:
    """The site's numbers."""
    return survey_patients(ward.site, ward.patients, ward.study.data)


def train(ward: Ward, stop: Stop, baton: Baton, on_step: OnStep) -> Visit:
    """One visit: load, digest what was *loaded*, work, pack, sign with a receipt."""
    begin = time.perf_counter()
    if stop.task == "calibrate":
        received, returned = _calibrate(ward, stop, baton)
        return _visit(ward, stop, baton, received, returned, None, begin)
    received, returned, loss = _train(ward, stop, baton, on_step)
    return _visit(ward, stop, baton, received, returned, loss, begin)


def _calibrate(ward: Ward, stop: Stop, baton: Baton) -> tuple[str, Baton]:
    parts = baton.arrays()
    model = ward.machine.place(load_model(ward.study.model.encoder, _part(parts, MODEL)))
    received = Baton.of(parts).digest
    model.load_state_dict(_tensors({**_part(parts, MODEL), **_part(parts, AVERAGE)}))
    return received, join(sums=statistics_sums(model, _batches(ward, stop), ward.machine))


def _train(ward: Ward, stop: Stop, baton: Baton, on_step: OnStep) -> tuple[str, Baton, float]:
    recipe, travels = ward.study.recipe, ward.study.recipe.optimiser_state == "travel"
    parts = baton.arrays()
    model = ward.machine.place(load_model(ward.study.model.encoder, _part(parts, MODEL)))
    optimiser = make_optimiser(recipe, model)
    stayed = _stayed(ward, stop)
    load_optimiser(model, optimiser, stayed or _part(parts, OPTIMISER))
    average = Average(recipe, stop, model, _part(parts, AVERAGE))
    del parts, stayed  # as large as all that was loaded from them
    # From the loaded model, not the wire: a site that keeps its own weights must not pass.
    received = digest_of_parts(
        model=model_arrays(model),
        optimiser=optimiser_arrays(model, optimiser) if travels else {},
        average=average.arrays(),
    )
    loss = fit(
        model,
        optimiser,
        _batches(ward, stop),
        stop=stop,
        recipe=recipe,
        machine=ward.machine,
        after_backward=pull_of(stop.arm, model, recipe.proximal),
        after_step=average.after_step,
        on_step=on_step,
    )
    average.after_visit()
    model.zero_grad(set_to_none=True)
    state = {} if recipe.optimiser_state == "reset" else optimiser_arrays(model, optimiser)
    if recipe.optimiser_state == "stay":
        _stay(ward, stop, state)
    returned = join(
        model=model_arrays(model), optimiser=state if travels else {}, average=average.arrays()
    )
    return received, returned, loss


def evaluate(ward: Ward, baton: Baton, split: str) -> list[PatientScore]:
    """Score this site's patients of one split."""
    machine = ward.machine
    model = load_model(ward.study.model.encoder, _part(baton.arrays(), MODEL))
    model = machine.place(model)
    reading = reading_of(ward.study)
    scores = []
    for patient in ward.patients:
        if patient.split == split:
            images = read_images(patient)
            marked = predict(model, images, reading, machine)
            reference = read_masks(patient, images.shape[1:3])
            score = score_patient(patient.id, patient.site, split, marked, reference)
            scores.append(replace(score, attributes=patient.attributes))
    return scores


def _batches(ward: Ward, stop: Stop) -> Iterable[Batch]:
    study, seed = ward.study, seed_of(stop.seed, stop.arm, stop.site, stop.index)
    available = training_slices(ward.patients, study.data)
    slices = [
        pair
        for site, count in stop.slices
        for pair in choose_slices(
            [(i, j) for i, j in available if ward.patients[i].site == site],
            count,
            site,
            study.data.split_seed,
        )
    ]
    share = study.recipe.positive_share
    draws = batches(
        slices,
        [ward.patients[i].tumour[j] for i, j in slices],
        visits=stop.slice_visits,
        steps=stop.steps,
        positive_share=None if share == "natural" else share,
        seed=seed,
    )
    settings = Augmentation(stand_in=study.recipe.stand_in) if study.recipe.augment else None
    generator = torch.Generator().manual_seed(seed)
    return prepared(draws, ward.patients, ward.cache, settings, generator)


def _visit(
    ward: Ward,
    stop: Stop,
    sent: Baton,
    received: str,
    returned: Baton,
    loss: float | None,
    begin: float,
) -> Visit:
    receipt = Receipt(
        stop=stop.index,
        site=stop.site,
        round=stop.round,
        task=stop.task,
        received=received,
        returned=returned.digest,
        patients=sum(p.split == TRAIN for p in ward.patients),
        slices=stop.slice_count,
        slice_visits=stop.slice_visits,
        steps=stop.steps,
        loss=loss,
        seconds=round(time.perf_counter() - begin, 3),
        sent_bytes=len(sent.data),
        returned_bytes=len(returned.data),
        machine=str(ward.machine),
    )
    return Visit(receipt, returned)


def _part(arrays: Arrays, prefix: str) -> Arrays:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _state_file(ward: Ward, stop: Stop, index: int) -> Path:
    return ward.home / f"{stop.arm}-{stop.seed}" / f"optimiser-{index}.safetensors"


def _stayed(ward: Ward, stop: Stop) -> Arrays:
    if ward.study.recipe.optimiser_state != "stay" or stop.previous_here is None:
        return {}
    return Baton(_state_file(ward, stop, stop.previous_here).read_bytes()).arrays()


def _stay(ward: Ward, stop: Stop, state: Arrays) -> None:
    """Keep the optimiser's memory of this visit and of the one before, for a resume."""
    own = _state_file(ward, stop, stop.index)
    write_bytes(own, Baton.of(state).data)
    keep = {own, _state_file(ward, stop, -1 if stop.previous_here is None else stop.previous_here)}
    for old in own.parent.glob("optimiser-*.safetensors"):
        if old not in keep:
            old.unlink()
