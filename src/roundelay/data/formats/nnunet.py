"""The raw layout of nnU-Net version 2, and that of the Medical Segmentation Decathlon (MSD).

``dataset.json`` beside ``imagesTr/<case>_0000.nii.gz`` and ``labelsTr/<case>.nii.gz``, or with a
list of its cases; MSD's has all channels of an exam in one file of four dimensions.
"""

from collections.abc import Iterator
from pathlib import Path

from roundelay.data.formats import folds
from roundelay.data.formats.channel_choice import numbers_of
from roundelay.data.formats.dataset_cases import Cases, find_cases
from roundelay.data.formats.dataset_json import NAME, DatasetJson, is_set, read_dataset_json
from roundelay.data.formats.dataset_labels import compare_labels
from roundelay.data.formats.described import Described, as_channels, as_regions
from roundelay.data.formats.listed_exam import left_out, patients_of
from roundelay.data.formats.listing import list_folder
from roundelay.data.formats.nifti_exam import mask_files, mask_names, read_exam
from roundelay.data.formats.nifti_names import person_of
from roundelay.data.image_settings import LGG_SETTINGS, ImageSettings
from roundelay.data.left_out import Found, counted, names_of, refuse, together
from roundelay.data.tables import read_attributes
from roundelay.errors import DataError

__all__ = [
    "ATTRIBUTES", "FOLDER_EACH", "channels_and_labels", "find_patients", "looks_like", "mask_files",
    "mask_names", "read_volume",
]  # fmt: skip

ATTRIBUTES = "data.csv"

FOLDER_EACH = False

read_volume = read_exam

COUNT = "numTraining in dataset.json is not the number of cases that are there"
UNUSED = "Channels of dataset.json that the study does not name, not read"


def find_patients(
    root: Path, settings: ImageSettings = LGG_SETTINGS, *, masks: bool = True
) -> Found:
    """All cases; headers alone are opened. With `masks` those of the training set, each with its
    mask and all labels known to the study. Raises DataError naming every fault."""
    place = _place(root)
    dataset = read_dataset_json(place / NAME)
    cases = find_cases(dataset, masks)
    wanted = dict.fromkeys(exam.settings(settings) for exam in cases.exams) or {settings.at(): None}
    numbers = {own: numbers_of(dataset.channels, own, str(dataset.path)) for own in wanted}
    met = list(compare_labels(dataset, list(wanted))) if masks and settings.channels else []
    bad = left_out(cases.bad, settings) if cases.exams else []
    refuse([*cases.faults, *([] if bad else cases.bad)])
    if settings.channels:
        met += _unused(dataset, {number for own in numbers.values() for number in own.values()})
    met += [*cases.met, *_miscounted(dataset, cases)]
    lists = place / folds.NAME
    placed, left = folds.place_by_fold(cases.exams, lists, settings.fold, bad=len(bad))
    attributes = read_attributes(place / ATTRIBUTES)
    found = patients_of(placed, numbers, settings, "nnunet", attributes)
    if not found.patients:
        raise DataError(f"{dataset.path} and the folders beside it name no case.")
    unlisted = {exam.name for exam in cases.exams} - {exam.name for exam in placed}
    unused = names_of((name, person_of(name)) for name in {*cases.unused, *unlisted})
    left_out_before = counted([*met, *left, *bad])
    return Found(
        found.patients, together((*left_out_before, *found.left_out)), unused | found.unused
    )


def looks_like(root: Path) -> bool:
    """Whether `root` is such a set, or a folder of some; faults in it are not looked for. A list of
    MONAI's that is called ``dataset.json`` too is none."""
    try:
        return any(is_set(place / NAME) for place in _places(root))
    except (DataError, OSError, ValueError):
        return False


def channels_and_labels(root: Path) -> Described:
    """What its ``dataset.json`` says of channels and labels. Raises DataError."""
    dataset = read_dataset_json(_place(root) / NAME)
    ignored = () if dataset.ignored is None else (dataset.ignored,)
    channels = as_channels(dataset.channels)
    marked = {
        name: tuple(value for value in own if value not in ignored)
        for name, own in dataset.labels.items()
    }
    regions = as_regions({name: own for name, own in marked.items() if own})
    return Described(len(channels), channels, regions, ignored)


def _place(root: Path) -> Path:
    """The folder with ``dataset.json``: `root`, or the only one in it. Raises DataError."""
    if not root.exists():
        raise DataError(f"There is no {root}. Give the folder DatasetXXX_NAME.")
    places = _places(root)
    if len(places) > 1:
        raise DataError(
            f"{root} holds {len(places)} sets: {', '.join(path.name for path in places[:5])}. Give"
            " the folder of one."
        )
    if not places:
        raise DataError(f"{root} holds no {NAME}, and no folder in it does.")
    return places[0]


def _places(root: Path) -> list[Path]:
    if root.is_file():
        return [root.parent] if root.name == NAME else []
    if (root / NAME).is_file():
        return [root]
    return [folder for folder in list_folder(root).folders if (folder / NAME).is_file()]


def _miscounted(dataset: DatasetJson, cases: Cases) -> Iterator[tuple[str, str]]:
    if dataset.count not in (None, cases.trained):
        yield COUNT, f"{dataset.count} named, {cases.trained} there"


def _unused(dataset: DatasetJson, used: set[int]) -> Iterator[tuple[str, str]]:
    for number, name in enumerate(dataset.channels):
        if number not in used:
            yield UNUSED, name
