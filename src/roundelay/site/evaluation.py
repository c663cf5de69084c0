"""A site scores a model on its own patients."""

from dataclasses import replace

from torch import nn

from roundelay.data.formats.known import read_volume
from roundelay.evaluation.scores import PatientScore, score_regions
from roundelay.learning.model_file import inference_settings_of
from roundelay.learning.predict import predict
from roundelay.learning.state import load_model
from roundelay.relay.baton import MODEL, Baton, part_of
from roundelay.site.opening import LocalSite
from roundelay.site.soundness import arrived


def evaluate(site: LocalSite, baton: Baton, split: str) -> list[PatientScore]:
    """Score this site's patients of one split."""
    return score_patients(site, opened_model(site, baton), split)


def opened_model(site: LocalSite, baton: Baton) -> nn.Module:
    """The model of a baton where this site computes, ready to predict."""
    parts = arrived(baton, f"{site.name} (scores)")
    model = load_model(site.study.network, part_of(parts, MODEL))
    return site.machine.place_to_predict(model)


def score_patients(site: LocalSite, model: nn.Module, split: str) -> list[PatientScore]:
    """Score this site's patients of one split by a model that was opened already."""
    machine, settings = site.machine, inference_settings_of(site.study)
    scores = []
    for patient in site.patients:
        if patient.split == split:
            volume = read_volume(patient)
            marked = predict(model, volume, settings, machine)
            score = score_regions(
                patient.id,
                patient.site,
                split,
                marked,
                volume.reference,
                patient.settings.region_names,
                volume.spacing,
            )
            scores.append(replace(score, attributes=patient.attributes))
    return scores
