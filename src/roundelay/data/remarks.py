"""What is to be noticed of patients whose files were opened, and stops nothing."""

from collections.abc import Iterator, Sequence

from roundelay.data.left_out import BAD, LeftOut, counted
from roundelay.data.opening import tumour_share
from roundelay.data.patients import Patient

LARGE = 0.25
"""A tumour that is more of the head than this is said; the public set's have a third of that."""

NO_TUMOUR = "Patients without tumour in any mask"
MUCH = f"Patients whose masks cover more than {LARGE:.0%} of the head"
CUT_OFF = "Patients with tumour outside the square that the network sees"
UNMET = "Label values that the study names and no mask holds"
REPEATED = "Patients in whom one picture is several slices"


def remarks_of(patients: Sequence[Patient]) -> tuple[LeftOut, ...]:
    """What their masks and pictures show, counted by reason."""
    own = (one for patient in patients for one in _remarks(patient))
    return counted((*own, *_unmet(patients)))


def _unmet(patients: Sequence[Patient]) -> Iterator[tuple[str, str]]:
    """Values of the study that no mask of a volume holds: a slip, or another set's numbers."""
    masked = [patient for patient in patients if patient.masks and patient.values]
    met = {value for patient in masked for value in patient.values}
    for name, values in masked[0].settings.regions if masked else ():
        for value in values:
            if value not in met:
                met.add(value)
                yield UNMET, f"{value}, of the region {name}"


def _remarks(patient: Patient) -> Iterator[tuple[str, str]]:
    if patient.fault:
        yield BAD, patient.fault.rstrip(".")
        return
    yield from patient.noticed
    if patient.masks and not patient.tumour_size:
        yield NO_TUMOUR, patient.folder
    if (share := tumour_share(patient)) > LARGE:
        yield MUCH, f"{patient.folder}, {share:.0%}"
    if patient.cut_off:
        share = patient.cut_off / patient.tumour_size
        count = f"{patient.cut_off} of {patient.tumour_size} pixels of the tumour"
        yield CUT_OFF, f"{patient.folder}, {count} ({share:.1%})"
    pictures = [picture for picture in patient.pictures if picture]
    if len(set(pictures)) < len(pictures):
        twice = next(p for i, p in enumerate(pictures) if p in pictures[:i])
        names = [
            patient.slice_name(number)
            for number, picture in enumerate(patient.pictures)
            if picture == twice
        ]
        yield REPEATED, f"{names[0]} and {names[1]}"
