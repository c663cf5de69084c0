"""A site opens its own patients: read, checked, split, counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roundelay.data.opening import open_patients, survey_patients, test_at_left_out
from roundelay.data.patients import Patient
from roundelay.data.slice_cache import SliceCache
from roundelay.data.split import refuse_leak
from roundelay.data.survey import POOLED, SiteSurvey
from roundelay.learning.machine import Machine
from roundelay.study.names import file_name
from roundelay.study.study import Study


@dataclass(frozen=True, slots=True)
class LocalSite:
    """One site's own patients, opened and split, with what its computer needs to work on them."""

    name: str
    study: Study
    patients: tuple[Patient, ...]
    cache: SliceCache
    machine: Machine
    home: Path


def open_local_site(
    site: str,
    study: Study,
    sites: Mapping[str, tuple[Patient, ...]],
    *,
    cache: SliceCache,
    machine: Machine,
    home: Path,
) -> LocalSite:
    """Open the files of this site's patients and of no other's. Raises DataError naming every
    faulty one, unless such exams are left out: they may be all of a site's.

    The site ``pooled``, for the comparator of that name, is all sites together. At the site that
    the study leaves out of training, all patients test.
    """
    names = list(sites) if site == POOLED else [site]
    patients = tuple(
        p for name in names for p in open_patients(sites[name], study.data, alone=False)
    )
    patients = test_at_left_out(patients, study.evaluation.leave_out)
    refuse_leak(patients)
    return at_hand(site, study, patients, cache=cache, machine=machine, home=home)


def at_hand(
    site: str,
    study: Study,
    patients: tuple[Patient, ...],
    *,
    cache: SliceCache,
    machine: Machine,
    home: Path,
) -> LocalSite:
    """A site whose patients `open_local_site` opened before; no file is opened."""
    return LocalSite(site, study, patients, cache, machine, home / file_name(site))


def survey(site: LocalSite) -> SiteSurvey:
    """The site's numbers."""
    return survey_patients(site.name, site.patients, site.study.data)
