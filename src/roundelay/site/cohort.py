"""The patients of a study by site: found by name alone, the synthetic ones made first."""

from pathlib import Path

from roundelay.data.formats import lgg
from roundelay.data.sites import Sites, assign_sites, unplaced
from roundelay.data.tables import read_attributes, unlike
from roundelay.phantom.cohort import make_phantom, phantom_root
from roundelay.study.sections import Data

SHOWN = 3
"""Names of those left out that are said."""


def open_sites(data: Data) -> Sites:
    """Every site's patients; no image is opened. Raises DataError."""
    return assign_sites(lgg.find_patients(data_root(data)), data)


def noticed(data: Data) -> list[str]:
    """What a table leaves out, and what stands in one for nobody: a sentence each."""
    patients = lgg.find_patients(data_root(data))
    table = patients[0].images[0].parents[1] / lgg.ATTRIBUTES
    met = [*unplaced(patients, data)]
    if table.exists():
        met += unlike(set(read_attributes(table)), {p.id for p in patients}, table.name)
    by_reason: dict[str, list[str]] = {}
    for reason, name in met:
        by_reason.setdefault(reason, []).append(name)
    return [
        f"{reason}: {len(names)} ({', '.join(names[:SHOWN])}{', ...' * (len(names) > SHOWN)})."
        for reason, names in by_reason.items()
    ]


def data_root(data: Data) -> Path:
    """The folder of the data; the phantom is made first where it isn't there yet."""
    if data.format == "phantom":
        return make_phantom(Path(data.root) if data.root else phantom_root(0))
    return Path(data.root)
