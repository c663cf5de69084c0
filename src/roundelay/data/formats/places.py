"""Which folder holds the patients' folders: the one given, or one in it; never one of several."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from roundelay.data.formats.listing import list_folder, walk
from roundelay.data.formats.nifti_names import NIFTI
from roundelay.data.formats.slices import FOLDER, holds_slices
from roundelay.errors import DataError

PREDICTION = "prediction.json"
"""What ``roundelay predict`` leaves beside its masks: they are no patients."""

DEEP, MANY = 3, 5000
"""How far below the root patients are looked for, and in how many folders at most."""

OTHERS = {".img", ".hdr", ".mgz", ".mgh", ".mnc", ".npy", ".npz", ".h5", ".hdf5"}
"""Ends of names of volumes that nothing here reads."""

LOOKED = 100
"""Folders in which another format's files are looked for."""


OTHER_FORMATS = (
    " Other formats are nifti (folders such as BraTS2021_00006 with BraTS2021_00006_t1.nii.gz in"
    " them), nnunet (dataset.json, of MSD too), datalist (JSON lists of MONAI) and dicom: see"
    " docs/how-to/use-your-data.md."
)


def say_format(name: str) -> str:
    """How a command is told that a folder has this format, as a sentence without its end."""
    return (
        f'Say format = "{name}" in [data] of the study, or --set data.format={name} (to evaluate,'
        f" predict or start a site: --format {name})"
    )


def find_place(
    root: Path,
    is_patient: Callable[[Path], bool] | None = None,
    nothing: Callable[[Path], str] | None = None,
) -> Path:
    """The folder, `root` or one in it, that holds the patients' folders.

    `is_patient` tells those from others, and `nothing` says what was expected; of the LGG layout
    where they aren't given. Raises DataError where there are none, or several such folders, or
    where it lies deeper.
    """
    refuse_no_folder(root)
    places = list(_places(root, is_patient or _is_patient))
    if not places:
        raise DataError((nothing or _nothing)(root))
    if len(places) > 1:
        raise DataError(_several(root, places))
    if len(places[0].relative_to(root).parts) > 1:
        raise DataError(
            f"{root} holds no patients' folders; {places[0]} does, further below. Give that folder."
        )
    return places[0]


def refuse_no_folder(root: Path) -> None:
    """Raise DataError where there is no such folder."""
    try:
        if root.is_file():
            raise DataError(
                f"{root} is a file. Give the folder that holds the patients' folders; a list of"
                ' exams as JSON is of the format "datalist".'
            )
        if not root.is_dir():
            raise DataError(
                f"There is no folder {root}. Give the folder that holds the patients' folders."
            )
    except OSError as error:
        raise DataError(f"{root} can't be reached: {error.strerror or error}.") from error


def _places(root: Path, is_patient: Callable[[Path], bool]) -> Iterator[Path]:
    """All folders that hold patients' folders, from the root on, a patient's own left out."""
    queue, looked_into = [(root, 0)], 0
    while queue:
        folder, depth = queue.pop(0)
        inner = [path for path in list_folder(folder).folders if not holds_predictions(path)]
        others = [path for path in inner if not is_patient(path)]
        if len(others) < len(inner):
            yield folder
        looked_into += len(others)
        if looked_into > MANY:
            raise DataError(
                f"{root} holds more than {MANY} folders that are no patients'. Give the folder that"
                " holds the patients' folders and nothing else."
            )
        if depth < DEEP:
            queue += [(path, depth + 1) for path in others]


def holds_lgg(root: Path) -> bool:
    """Whether a folder, or one in it, holds patients' folders of the LGG layout."""
    places = (root, *list_folder(root).folders)
    return any(_is_patient(path) for place in places for path in list_folder(place).folders)


def holds_predictions(folder: Path) -> bool:
    """Whether ``roundelay predict`` wrote what a folder holds."""
    return any(path.name == PREDICTION for path in list_folder(folder).files)


def _is_patient(folder: Path) -> bool:
    return bool(FOLDER.fullmatch(folder.name)) and holds_slices(folder)


def _several(root: Path, places: Sequence[Path]) -> str:
    named = ", ".join("itself" if p == root else str(p.relative_to(root)) for p in places[:5])
    named += f" and {len(places) - 5} more" if len(places) > 5 else ""
    other = next(path for path in places if path != root)
    return (
        f"{root} holds patients in {len(places)} folders: {named}. Who trains and who tests is not"
        " read from folders, and one of them may be a copy. Put all patients' folders side by side"
        ' in one folder, with sites = "table:FILE.csv" (patient, site, split) where the split is'
        f" given; or give one of them, such as {other}, and move what is not meant away."
    )


def empty(root: Path) -> str:
    """What is said of a folder without anything; empty of another one."""
    found = list_folder(root)
    if found.folders or found.files:
        return ""
    return f"{root} is empty. Give the folder that holds the patients' folders."


def _below(root: Path) -> Iterator[Path]:
    return (path for listing in walk(root, DEEP, LOOKED) for path in listing.files)


def _nothing(root: Path) -> str:
    if said := empty(root):
        return said
    if any(NIFTI.fullmatch(path.name) for path in _below(root)):
        return (
            f"{root} holds NIfTI files, and was opened as slices of TIFF (lgg)."
            f" {say_format('nifti')}; nnunet, where a dataset.json is beside them."
        )
    if other := next((path.name for path in _below(root) if path.suffix.lower() in OTHERS), ""):
        return (
            f"{root} holds files such as {other}, which are not read here. Convert them to NIfTI"
            " (.nii.gz) first."
        )
    if holds_slices(root):
        if FOLDER.fullmatch(root.resolve().name):
            return f"{root} is one patient's folder. Give the folder above it."
        return (
            f"{root} holds slices itself, but no patient's folder. Each patient needs one, such as"
            " TCGA_CS_4941_19960909 with TCGA_CS_4941_19960909_1.tif in it."
        )
    unfit = [path.name for path in list_folder(root).folders if holds_slices(path)]
    met = f" {unfit[0]} has slices, but not such a name." if unfit else ""
    return (
        f"{root} holds no patient: expected folders such as TCGA_CS_4941_19960909 with"
        f" TCGA_CS_4941_19960909_1.tif in them (lgg).{met or OTHER_FORMATS}"
    )
