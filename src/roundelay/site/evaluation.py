"""A site scores a model on its own patients."""

from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from roundelay.data.formats.known import read_volume
from roundelay.data.missing import told_of_missing
from roundelay.data.patients import Patient
from roundelay.data.survey import VALIDATION
from roundelay.data.volumes import Volume
from roundelay.evaluation.scores import PatientScore, score_regions
from roundelay.evaluation.thresholds import PatientDices, dices_at_candidates
from roundelay.learning.model_file import inference_settings_of
from roundelay.learning.predict import predict, predict_probabilities
from roundelay.learning.state import load_model
from roundelay.relay.baton import MODEL, Baton, part_of
from roundelay.site.opening import LocalSite
from roundelay.site.soundness import arrived


def evaluate(
    site: LocalSite, baton: Baton, split: str, thresholds: tuple[float, ...] = ()
) -> list[PatientScore]:
    """Score this site's patients of one split, at the study's threshold or at those by region."""
    return score_patients(site, opened_model(site, baton), split, thresholds)


def opened_model(site: LocalSite, baton: Baton) -> nn.Module:
    """The model of a baton where this site computes, ready to predict."""
    parts = arrived(baton, f"{site.name} (scores)")
    return site.machine.place_to_predict(load_model(site.study.network, part_of(parts, MODEL)))


def score_patients(
    site: LocalSite, model: nn.Module, split: str, thresholds: tuple[float, ...] = ()
) -> list[PatientScore]:
    """As `evaluate`, by a model that was opened already."""
    settings = inference_settings_of(site.study, thresholds)
    scores = []
    for patient, volume in _patients(site, split):
        marked = predict(model, volume, settings, site.machine)
        score = score_regions(
            patient.id,
            patient.site,
            split,
            marked,
            volume.reference,
            patient.settings.region_names,
            volume.spacing,
        )
        scores.append(
            replace(score, attributes={**patient.attributes, **told_of_missing(patient, volume)})
        )
    return scores


def threshold_dices(site: LocalSite, model: nn.Module) -> list[PatientDices]:
    """This site's validation patients' Dice at each threshold that can be chosen, by a model that
    was opened already."""
    settings = inference_settings_of(site.study)
    return [
        PatientDices(
            patient.id,
            patient.site,
            dices_at_candidates(
                predict_probabilities(model, volume, settings, site.machine),
                volume.reference,
                patient.settings.region_names,
            ),
        )
        for patient, volume in _patients(site, VALIDATION)
    ]


def _patients(site: LocalSite, split: str) -> Iterator[tuple[Patient, Volume]]:
    return ((one, read_volume(one)) for one in site.patients if one.split == split)
