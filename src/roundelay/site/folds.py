"""Every fold's numbers before any of them trains: all files are opened once for all folds."""

from dataclasses import dataclass

from roundelay.data.folds import place_in_fold
from roundelay.data.left_out import LeftOut, all_bad, refuse, sites_all_bad
from roundelay.data.opening import read_for_study, survey_patients
from roundelay.data.patients import Patient
from roundelay.data.remarks import remarks_of
from roundelay.data.split import refuse_leak
from roundelay.data.survey import SiteSurvey
from roundelay.errors import DataError
from roundelay.site.cohort import open_cohort
from roundelay.study.study import Study


@dataclass(frozen=True, slots=True)
class FoldSurveys:
    """Each fold's surveys by site, the first fold first; what was left out of the folder."""

    folds: tuple[dict[str, SiteSurvey], ...]
    left_out: tuple[LeftOut, ...]


def survey_folds(study: Study) -> FoldSurveys:
    """What the sites of each fold's run will say. Raises DataError naming every faulty file."""
    cohort, faults = open_cohort(study), list[str]()
    opened: dict[str, tuple[Patient, ...]] = {}
    for site, own in cohort.sites.items():
        try:
            opened[site] = read_for_study(own, study.data, alone=False)
        except DataError as error:
            faults += error.faults
    refuse(faults)
    away = sites_all_bad(opened)
    patients = [patient for own in opened.values() for patient in own]
    refuse_leak(patients)
    folds = tuple(
        {
            site: survey_patients(site, place_in_fold(own, study.data, fold), study.data)
            for site, own in opened.items()
            if not all_bad(own)
        }
        for fold in range(1, (study.data.folds or 0) + 1)
    )
    return FoldSurveys(folds, (*cohort.left_out, *away, *remarks_of(patients)))
