"""Which channels and label values a site's exams have: names, values and counts, of nobody."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from roundelay.data.formats.known import Format
from roundelay.data.formats.nifti_names import FAMILIES
from roundelay.data.image_settings import ANY, ImageSettings
from roundelay.data.missing import missing_by_file
from roundelay.data.patients import Patient
from roundelay.data.regions import BACKGROUND
from roundelay.errors import DataError
from roundelay.study.data_section import MOST_VALUE

MOST_VALUES = 64
"""Values of masks that are told; what has more is no mask."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """`channels` are those of the study, or else known by name, that some exam has; `missing` says
    how many exams lack one of the study's (None: some, and how many isn't told). `labels` are the
    values in masks as the study numbers them; None: too many for masks."""

    exams: int
    channels: tuple[str, ...]
    missing: Mapping[str, int | None]
    labels: tuple[int, ...] | None


def inventory_of(patients: Sequence[Patient]) -> Inventory:
    """Of a site's exams that were opened for a study; there is at least one."""
    usable = [patient for patient in patients if not patient.fault]
    lacking = Counter(name for patient in usable for name in missing_by_file(patient))
    channels = patients[0].settings.channels if _are_named(patients) else ()
    return Inventory(
        len(usable),
        tuple(name for name in channels if lacking[name] < len(usable)),
        {name: lacking[name] for name in channels if lacking[name]},
        _told({value for patient in usable for value in patient.values}),
    )


def inventory_in(layout: Format, root: Path, settings: ImageSettings) -> Inventory | None:
    """Of a folder whose exams can't be used for a study; None where no exam is found at all.

    Names, headers and masks are read; exams without a header that can be read don't count.
    """
    found = _found(layout, root, replace(ANY, on_bad_exam="leave-out"))
    exams = [exam for exam in found if exam.masks] or list(found)
    if not exams:
        return None
    names = {exam.id for exam in exams}
    wanted = (*settings.channels, *FAMILIES) if _are_named(exams) else ()
    having = {
        name: names & {exam.id for exam in _found(layout, root, _only(name, settings))}
        for name in dict.fromkeys(wanted)
    }
    return Inventory(
        len(exams),
        tuple(name for name, own in having.items() if own),
        {
            name: len(exams) - len(having[name])
            for name in settings.channels
            if name in having and having[name] < names
        },
        _told(set(_labels(exams, settings))),
    )


def _are_named(exams: Sequence[Patient]) -> bool:
    """Lists of files say of no channel which one it is."""
    return exams[0].format != "datalist"


def _found(layout: Format, root: Path, settings: ImageSettings) -> tuple[Patient, ...]:
    try:
        return layout.find_patients(root, settings, masks=False).patients
    except DataError:
        return ()


def _only(channel: str, settings: ImageSettings) -> ImageSettings:
    """Exams that have this channel, and no others."""
    return replace(settings, channels=(channel,), missing="refuse", on_bad_exam="leave-out")


def _labels(exams: Sequence[Patient], settings: ImageSettings) -> Iterator[int]:
    from roundelay.data.formats.dicom_labels import values_in  # reads NIfTI and DICOM: a second

    renumbered = dict(settings.renumbered)
    for mask in (path for exam in exams for path in exam.masks):
        try:
            yield from (renumbered.get(value, value) for value in values_in(mask))
        except DataError:
            continue


def _told(values: set[int]) -> tuple[int, ...] | None:
    found = tuple(sorted(values - {BACKGROUND}))
    plain = all(0 < value <= MOST_VALUE for value in found)
    return found if plain and len(found) <= MOST_VALUES else None
