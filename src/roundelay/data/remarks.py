"""What is to be noticed of patients whose files were opened, and stops nothing."""

from collections.abc import Iterator, Sequence

from roundelay.data.left_out import LeftOut, counted
from roundelay.data.opening import tumour_share
from roundelay.data.patients import Patient

LARGE = 0.25
"""A tumour that is more of the head than this is said; the public set's have a third of that."""

BAD = "Exams that can't be used, left out"
NO_TUMOUR = "Patients without tumour in any mask"
MUCH = f"Patients whose masks cover more than {LARGE:.0%} of the head"
REPEATED = "Patients in whom one picture is several slices"


def remarks_of(patients: Sequence[Patient]) -> tuple[LeftOut, ...]:
    """What their masks and pictures show, counted by reason."""
    return counted(one for patient in patients for one in _remarks(patient))


def _remarks(patient: Patient) -> Iterator[tuple[str, str]]:
    if patient.fault:
        yield BAD, patient.fault.rstrip(".")
        return
    yield from patient.noticed
    if patient.masks and not patient.tumour_size:
        yield NO_TUMOUR, patient.folder
    if (share := tumour_share(patient)) > LARGE:
        yield MUCH, f"{patient.folder}, {share:.0%}"
    pictures = [picture for picture in patient.pictures if picture]
    if len(set(pictures)) < len(pictures):
        twice = next(p for i, p in enumerate(pictures) if p in pictures[:i])
        names = [
            patient.slice_name(number)
            for number, picture in enumerate(patient.pictures)
            if picture == twice
        ]
        yield REPEATED, f"{names[0]} and {names[1]}"
