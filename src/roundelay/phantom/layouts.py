"""The synthetic cohort as files: the LGG set's slices, a folder of NIfTI an exam, nnU-Net's raw."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roundelay.files.writing import write_text
from roundelay.phantom.exam import CHANNELS, Exam

COLUMNS = ("Patient", "gender", "age_at_initial_pathologic", "neoplasm_histologic_grade")

ENDING = ".nii.gz"

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the tables of a cohort say of one exam."""

    row: Row
    hospital: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How one exam is written under a name (the patient's, and with a date behind it), and what
    stands beside all of them."""

    save: Callable[[Path, str, str, Exam], None]
    finish: Callable[[Path, Sequence[Drawn]], None]
    slices: int


def _save_slices(root: Path, patient: str, date: str, exam: Exam) -> None:
    folder = root / f"{patient}_{date}"
    folder.mkdir()
    for number, (image, mask) in enumerate(zip(exam.slices, exam.mask, strict=True), start=1):
        path = folder / f"{folder.name}_{number}"
        Image.fromarray(image).save(f"{path}.tif", compression="tiff_deflate")
        levels = mask.astype(np.uint8) * np.uint8(255)
        Image.fromarray(levels).save(f"{path}_mask.tif", compression="tiff_deflate")


def _save_folder(root: Path, patient: str, _date: str, exam: Exam) -> None:
    folder = root / patient
    folder.mkdir()
    for number, channel in enumerate(CHANNELS):
        _write_nifti(folder / f"{patient}_{channel}{ENDING}", exam.volume(number), exam)
    _write_nifti(folder / f"{patient}_seg{ENDING}", _labels(exam), exam)


def _save_raw(root: Path, patient: str, _date: str, exam: Exam) -> None:
    images, labels = root / "imagesTr", root / "labelsTr"
    images.mkdir(exist_ok=True)
    labels.mkdir(exist_ok=True)
    for number, _ in enumerate(CHANNELS):
        _write_nifti(images / f"{patient}_{number:04}{ENDING}", exam.volume(number), exam)
    _write_nifti(labels / f"{patient}{ENDING}", _labels(exam), exam)


def _labels(exam: Exam) -> NDArray[np.uint8]:
    return np.ascontiguousarray(exam.mask.astype(np.uint8).T)


def _write_nifti(path: Path, voxels: NDArray[Any], exam: Exam) -> None:
    """The same voxels, the same bytes: no name and no time in the packed file."""
    from nibabel import nifti1

    library: Any = nifti1  # its calls have no types
    image = library.Nifti1Image(voxels, exam.affine, dtype=voxels.dtype)
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))


def _write_attributes(root: Path, drawn: Sequence[Drawn]) -> None:
    _write_table(root / "data.csv", COLUMNS, [one.row for one in drawn])


def _write_tables(root: Path, drawn: Sequence[Drawn]) -> None:
    _write_attributes(root, drawn)
    rows = [{"patient": one.row["Patient"], "site": one.hospital} for one in drawn]
    _write_table(root / "sites.csv", ("patient", "site"), rows)


def _write_raw_tables(root: Path, drawn: Sequence[Drawn]) -> None:
    _write_tables(root, drawn)
    described = {
        "channel_names": {str(number): name for number, name in enumerate(CHANNELS)},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": len(drawn),
        "file_ending": ENDING,
    }
    write_text(root / "dataset.json", json.dumps(described, indent=2) + "\n")


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, table.getvalue())


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "lgg": Layout(_save_slices, _write_attributes, slices=16),
        "nifti": Layout(_save_folder, _write_tables, slices=22),
        "nnunet": Layout(_save_raw, _write_raw_tables, slices=22),
    }
)
"""By the name of the format that reads them. Of 22 slices each is 5 mm thick."""
