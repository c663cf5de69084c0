"""The patients of a study by site: found by name alone, the synthetic ones made first."""

from pathlib import Path

from roundelay.data.formats import lgg
from roundelay.data.sites import Sites, assign_sites
from roundelay.phantom.cohort import make_phantom, phantom_root
from roundelay.study.sections import Data


def open_sites(data: Data) -> Sites:
    """Every site's patients; no image is opened. Raises DataError."""
    return assign_sites(lgg.find_patients(data_root(data)), data)


def data_root(data: Data) -> Path:
    """The folder of the data; the phantom is made first where it isn't there yet."""
    if data.format == "phantom":
        return make_phantom(Path(data.root) if data.root else phantom_root(0))
    return Path(data.root)
