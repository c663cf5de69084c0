"""This hospital's own patients, and their numbers for a study; works without torch."""

from dataclasses import replace
from pathlib import Path

from roundelay.data.formats.known import known_format
from roundelay.data.image_settings import settings_of
from roundelay.data.opening import open_patients, survey_patients, test_at_left_out
from roundelay.data.patients import Patient
from roundelay.data.survey import SiteSurvey
from roundelay.errors import NetworkError, RefusedError
from roundelay.network.hospital.store import Settings
from roundelay.study.names import SiteName
from roundelay.study.study import Study


def own_patients(settings: Settings, study: Study) -> tuple[Patient, ...]:
    """Found by names and headers. Raises RefusedError where the study is of another kind, DataError
    where the folder can't be read."""
    if study.data.is_lgg != (settings.format == "lgg"):
        raise RefusedError(
            f"The study reads the format {study.data.format}; this hospital has {settings.format}."
        )
    layout = known_format(settings.format, NetworkError)
    wanted = settings_of(study.data, settings.images)
    found = layout.find_patients(Path(settings.root), wanted).patients
    return tuple(replace(patient, site=SiteName(settings.name)) for patient in found)


def own_survey(settings: Settings, study: Study) -> SiteSurvey:
    """Counts of a study's patients and slices here, every file opened once. Raises DataError."""
    found = open_patients(own_patients(settings, study), study.data)
    found = test_at_left_out(found, study.evaluation.leave_out)
    return survey_patients(settings.name, found, study.data)
