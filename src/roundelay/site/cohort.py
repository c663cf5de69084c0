"""The patients of a study by site: found by name alone, the synthetic ones made first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.data.formats.known import FORMATS
from roundelay.data.left_out import LeftOut, counted
from roundelay.data.patients import Patient
from roundelay.data.sites import Sites, assign_sites, refuse_strangers, settings_at_sites, unplaced
from roundelay.data.tables import read_attributes, unlike
from roundelay.phantom.cohort import PREFIX, is_synthetic, make_phantom, phantom_root
from roundelay.study.data_section import Data
from roundelay.study.sections import is_table
from roundelay.study.study import Study


@dataclass(frozen=True, slots=True)
class Cohort:
    """Every site's patients, and what was left out of their folder; whether all are synthetic."""

    sites: Sites
    left_out: tuple[LeftOut, ...]
    synthetic: bool

    def facts(self, left_out: Sequence[LeftOut]) -> dict[str, Any]:
        """What run.json records of it, with all that was `left_out` once its files were opened."""
        return {"left_out": [one.as_json() for one in left_out], "synthetic": self.synthetic}


def open_cohort(study: Study) -> Cohort:
    """Find and place the patients; headers alone are opened. Raises DataError."""
    data = study.data
    layout = FORMATS["lgg" if data.format == "phantom" else data.format]
    found = layout.find_patients(data_root(data), settings_at_sites(study))
    table = found.patients[0].images[0].parents[1] / layout.ATTRIBUTES
    met = [*unplaced(found.patients, data)]
    if table.exists():
        rows = set(read_attributes(table))
        named = {p.person if p.person in rows else p.id for p in found.patients}
        met += unlike(rows - (found.unused - named), named, table.name)
    sites = assign_sites(found.patients, data, found.unused)
    if not is_table(data.sites):  # that of a table was looked at whole, with sites left out
        refuse_strangers(study, sites)
    synthetic = data.format == "phantom" or (not data.is_lgg and _are_made(found.patients))
    return Cohort(sites, (*found.left_out, *counted(met)), synthetic)


def _are_made(patients: Sequence[Patient]) -> bool:
    """Whether all are of cohorts that were made here: by their names, and by the sign beside them.
    Volumes alone are asked: runs on such slices keep the bytes that they always had."""
    if not all(patient.id.startswith(PREFIX) for patient in patients):
        return False
    return all(map(is_synthetic, {patient.images[0].parent.parent for patient in patients}))


def open_sites(study: Study) -> Sites:
    """Every site's patients; no image is opened. Raises DataError."""
    return open_cohort(study).sites


def data_root(data: Data) -> Path:
    """The folder of the data; the phantom is made first where it isn't there yet."""
    if data.format == "phantom":
        return make_phantom(Path(data.root) if data.root else phantom_root(0))
    return Path(data.root)
