"""Which files are one exam's: a folder each, images and masks in two trees (UPENN-GBM), or BIDS."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from roundelay.data.formats.listing import list_folder
from roundelay.data.formats.nifti_names import NIFTI, Named, named
from roundelay.data.formats.places import (
    PREDICTION,
    empty,
    find_place,
    holds_lgg,
    holds_predictions,
    refuse_no_folder,
    say_format,
)
from roundelay.data.formats.slices import INSIDE
from roundelay.data.left_out import HIDDEN, ODD, PREDICTED
from roundelay.errors import DataError

IMAGES, SEGMENTS = "images_structural", "images_segm"
"""The two trees of UPENN-GBM."""

DERIVED = "derivatives"
"""Where BIDS has masks."""

BESIDE = "Files beside the exams' folders, not read"
UNREAD = "Files in exams' folders that are no NIfTI files, not read"
OTHER = "Folders without an exam, left out"
LONE = "Masks without an exam, left out"

Met = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Exam:
    """An exam's name, what its folder is called, and its files."""

    name: str
    folder: str
    files: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Exams:
    """All exams below `place`, and what else was met there: reasons with their things."""

    place: Path
    exams: tuple[Exam, ...]
    met: tuple[tuple[str, str], ...]


def exams_in(root: Path) -> Exams:
    """All exams by names alone. Raises DataError where it isn't plain which they are."""
    refuse_no_folder(root)
    for place in (root, *list_folder(root).folders):
        inner = {path.name for path in list_folder(place).folders}
        if IMAGES in inner:
            return _in_two_trees(place)
        if any(_is_bids(place / name) for name in inner if name.startswith("sub-")):
            return _bids(place)
    place = find_place(root, _is_exam, _nothing)
    return _a_folder_each(root, place)


def _a_folder_each(root: Path, place: Path) -> Exams:
    listing = list_folder(place)
    met, exams = list(_around(root, place)), []
    for folder in listing.folders:
        if not _is_exam(folder):
            met.append((PREDICTED if holds_predictions(folder) else OTHER, folder.name))
            continue
        exams.append(_exam(folder.name.removesuffix("_nifti"), folder.name, [folder], met))
    return Exams(place, tuple(exams), tuple(met))


def _in_two_trees(root: Path) -> Exams:
    """``images_structural/<exam>/<exam>_T1.nii.gz`` and ``images_segm/<exam>_segm.nii.gz``."""
    met = [(OTHER, p.name) for p in list_folder(root).folders if p.name not in (IMAGES, SEGMENTS)]
    place, exams = root / IMAGES, []
    met += _around(place, place)
    lone = list_folder(root / SEGMENTS).files if (root / SEGMENTS).is_dir() else ()
    masks: dict[Path, bool] = dict.fromkeys(lone, False)
    for folder in list_folder(place).folders:
        if not _is_exam(folder):
            met.append((OTHER, folder.name))
            continue
        exam = _exam(folder.name, folder.name, [folder], met)
        own = [one for one in (named(path, exam.name) for path in masks) if one and one.own]
        masks |= {one.path: True for one in own}
        exams.append(Exam(exam.name, exam.folder, (*exam.files, *own)))
    met += ((LONE, path.name) for path, used in masks.items() if not used)
    return Exams(root, tuple(exams), tuple(met))


def _bids(root: Path) -> Exams:
    """``sub-X/[ses-Y/]anat``, and the same below ``derivatives/[<program>/]``."""
    listing = list_folder(root)
    derived = root / DERIVED
    trees = (derived, *list_folder(derived).folders) if derived in listing.folders else ()
    met, exams = list(_beside(root)), []
    for person in listing.folders:
        if not _is_bids(person):
            met += [(OTHER, person.name)] if person != derived else []
            continue
        for parts in _anat(person):
            own = [tree.joinpath(*parts) for tree in trees]
            places = [person.parent.joinpath(*parts), *(path for path in own if path.is_dir())]
            name = "_".join(parts[:-1])
            exams.append(_exam(name, name, places, met))
    return Exams(root, tuple(exams), tuple(met))


def _anat(person: Path) -> Iterator[tuple[str, ...]]:
    """The parts of the paths of a person's folders with anatomy, from the person on."""
    for inner in list_folder(person).folders:
        if inner.name == "anat":
            yield person.name, inner.name
        elif inner.name.startswith("ses-") and (inner / "anat").is_dir():
            yield person.name, inner.name, "anat"


def _is_bids(folder: Path) -> bool:
    return folder.name.startswith("sub-") and any(_anat(folder))


def _exam(name: str, folder: str, places: Iterable[Path], met: list[tuple[str, str]]) -> Exam:
    files: list[Named] = []
    for place in places:
        listing = list_folder(place)
        met += ((HIDDEN, f"{folder}/{path.name}") for path in listing.hidden)
        met += ((ODD, f"{folder}/{path.name}") for path in listing.odd)
        met += ((INSIDE, f"{folder}/{path.name}") for path in listing.folders)
        for path in listing.files:
            if one := named(path, name):
                files.append(one)
            else:
                met.append((UNREAD, f"{folder}/{path.name}"))
    return Exam(name, folder, tuple(files))


def _is_exam(folder: Path) -> bool:
    names = {path.name for path in list_folder(folder).files}
    return PREDICTION not in names and any(map(NIFTI.fullmatch, names))


def _around(root: Path, place: Path) -> Met:
    yield from _beside(place)
    if place != root:
        yield from _beside(root)
        yield from ((OTHER, path.name) for path in list_folder(root).folders if path != place)


def _beside(folder: Path) -> Met:
    listing = list_folder(folder)
    yield from ((HIDDEN, path.name) for path in listing.hidden)
    yield from ((ODD, path.name) for path in listing.odd)
    yield from ((BESIDE, path.name) for path in listing.files if path.suffix != ".md")


def _nothing(root: Path) -> str:
    files = [path for path in list_folder(root).files if NIFTI.fullmatch(path.name)]
    if files:
        return (
            f"{root} holds NIfTI files itself, such as {files[0].name}, but no exam's folder. Each"
            " exam needs one, such as BraTS2021_00006 with BraTS2021_00006_t1.nii.gz in it; of a"
            " single exam give the folder above."
        )
    if said := empty(root):
        return said
    if holds_lgg(root):
        return f"{root} holds slices of TIFF, and was opened as NIfTI. {say_format('lgg')}."
    return (
        f"{root} holds no exam: expected folders such as BraTS2021_00006 with"
        " BraTS2021_00006_t1.nii.gz in them."
    )


def refuse_nnunet(root: Path) -> None:
    """Raise DataError for a folder that another format describes."""
    if (root / "imagesTr").is_dir() and (root / "dataset.json").is_file():
        raise DataError(
            f"{root} is laid out as nnU-Net and the Medical Segmentation Decathlon do."
            f" {say_format('nnunet')}."
        )
