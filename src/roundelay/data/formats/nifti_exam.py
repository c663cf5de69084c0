"""An exam of NIfTI files: channels and mask on one grid in, a mask on that grid out."""

import gzip
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from nibabel import nifti1
from numpy.typing import NDArray

from roundelay.data.formats.itk_file import READERS, itk_bytes
from roundelay.data.formats.nifti_file import NiftiFile, read_file, read_header
from roundelay.data.formats.one_grid import of_one_type, resampled
from roundelay.data.grids import corner_distance, same_place
from roundelay.data.left_out import refuse
from roundelay.data.patients import Patient, Source
from roundelay.data.regions import label_values, regions_and_values
from roundelay.data.volumes import Volume
from roundelay.errors import DataError

RESAMPLE = "resample"

NO_NUMBERS = "Images with voxels that are no numbers, taken as 0"
CONSTANT = "Images of one grey level, which say nothing"
UNPLACED = "Exams whose files don't say where left and right are, taken as NIfTI has it by default"

NIFTI1: Any = nifti1
"""Its calls have no types."""


def slices_of(patient: Patient) -> int:
    """How many slices an exam has, by the header of the file whose grid it is. Raises DataError."""
    first = _first(patient)
    file = read_header(first.path)
    _refuse_several(file, first.volume)
    if patient.masks and patient.settings.align == RESAMPLE:  # all others are on one grid
        file = read_header(patient.masks[0])
        _refuse_several(file, None, is_mask=True)
    shape, grid = file.shape, file.grid(patient.settings.plane)
    return int(shape[grid.axes[0]])


def read_exam(patient: Patient) -> Volume:
    """All channels in the study's order, and the mask's regions where there is a mask.

    Voxels that are no numbers are 0, and said. Raises DataError naming every faulty file.
    """
    faults: list[str] = []
    files = _files(patient, faults)
    refuse(faults)
    leading = files[_leading(patient)]
    grid = leading.grid(patient.settings.plane)
    channels: list[NDArray[Any]] = []
    noticed = [] if leading.is_placed else [(UNPLACED, patient.folder)]
    regions: NDArray[np.bool_] | None = None
    values: tuple[int, ...] = ()
    for source in patient.channels:
        if source is None:
            channels.append(np.zeros(grid.to_slices(np.empty(grid.shape, bool)).shape, np.float32))
            continue
        try:
            own, odd = _numbers(files[source.path], source.volume, patient)
            noticed += odd
            channels.append(grid.to_slices(_on_grid(own, files[source.path], leading, patient)))
        except DataError as error:
            faults += error.faults
    try:
        if patient.masks:
            regions, values = regions_and_values(
                grid.to_slices(leading.labels()), patient.settings, str(leading.path)
            )
    except DataError as error:
        faults += error.faults
    refuse(faults)
    return Volume(np.stack(of_one_type(channels)), regions, grid, tuple(noticed), values)


def read_mask(path: Path) -> NiftiFile:
    """A mask, read to its end. Raises DataError where it is several volumes, too."""
    file = read_file(path)
    _refuse_several(file, None, is_mask=True)
    return file


def _files(patient: Patient, faults: list[str]) -> dict[Path, NiftiFile]:
    """Every file of an exam, read to its end."""
    files: dict[Path, NiftiFile] = {}
    for path in dict.fromkeys([*patient.images, *patient.masks]):
        try:
            files[path] = read_file(path)
            _refuse_several(files[path], _volume_in(patient, path), is_mask=path in patient.masks)
            files[path].grid(patient.settings.plane)
        except DataError as error:
            faults += error.faults
    return files


def _numbers(
    file: NiftiFile, volume: int | None, patient: Patient
) -> tuple[NDArray[Any], list[tuple[str, str]]]:
    """A channel's voxels, 0 where they are no numbers, and what is odd in them."""
    voxels = file.voxels(volume)
    noticed, name = [], f"{patient.folder}, {file.path.name}"
    if voxels.dtype.kind == "f" and (count := int(np.count_nonzero(~np.isfinite(voxels)))):
        voxels = np.nan_to_num(voxels, nan=0.0, posinf=0.0, neginf=0.0)
        noticed.append((NO_NUMBERS, f"{name}: {count} of {voxels.size}"))
    if (voxels == voxels.flat[0]).all():
        noticed.append((CONSTANT, name))
    return voxels, noticed


def mask_names(patient: Patient) -> list[str]:
    """One file an exam, of the kind of its first channel's."""
    kind = patient.images[0].suffix.lower()
    return [f"{patient.id.file_name}{kind if kind in READERS else '.nii.gz'}"]


def mask_files(patient: Patient, volume: Volume, regions: NDArray[np.bool_]) -> dict[str, bytes]:
    """Regions bool ``[region, slice, row, column]`` as one file on the exam's grid, values as the
    site numbers them: NIfTI of its shape, its sform and qform with their codes, slope 1; or of the
    exam's own kind."""
    grid = volume.grid
    assert grid is not None
    values = label_values(regions, patient.settings)
    labels = np.ascontiguousarray(grid.to_file(values))
    (name,) = mask_names(patient)
    if (kind := Path(name).suffix) in READERS:
        return {name: itk_bytes(labels, np.array(grid.affine), kind)}
    header = read_header(_leading(patient)).image.header
    image = NIFTI1.Nifti1Image(labels, np.array(grid.affine), dtype=labels.dtype)
    for form in ("sform", "qform"):
        affine, code = getattr(header, f"get_{form}")(coded=True)
        getattr(image, f"set_{form}")(affine, code, update_affine=False)
    image.header.set_slope_inter(1, 0)
    image.header.set_xyzt_units("mm")
    return {name: _packed(image)}


def probability_files(
    patient: Patient, volume: Volume, likely: NDArray[np.float32]
) -> dict[str, bytes]:
    """Probabilities ``[region, slice, row, column]``, a NIfTI file each, on the input's grid."""
    grid = volume.grid
    assert grid is not None
    found = {}
    for name, region in zip(patient.settings.region_names, likely, strict=True):
        image = NIFTI1.Nifti1Image(
            np.ascontiguousarray(grid.to_file(region)), np.array(grid.affine)
        )
        image.header.set_xyzt_units("mm")
        found[f"{patient.id.file_name}_{name}_probability.nii.gz"] = _packed(image)
    return found


def _packed(image: Any) -> bytes:
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def _leading(patient: Patient) -> Path:
    """The file whose grid the exam has, and so a prediction: its mask, or its first channel."""
    return patient.masks[0] if patient.masks else _first(patient).path


def _first(patient: Patient) -> Source:
    own = (source for source in patient.channels if source is not None)
    return next(own, Source(patient.images[0]))


def _volume_in(patient: Patient, path: Path) -> int | None:
    own = [s.volume for s in patient.channels if s is not None and s.path == path]
    return own[0] if own else None


def _refuse_several(file: NiftiFile, volume: int | None, *, is_mask: bool = False) -> None:
    shape = file.shape
    if volume is None and len(shape) > 3:
        count = f"{prod(shape[3:])} volumes"
        raise DataError(
            f"{file.path} is a mask of {count}: {_size(shape)}. A mask is one volume of values,"
            " such as 1, 2 and 4. Write its volumes as values of one."
            if is_mask
            else f"{file.path} holds {count}, where one is expected: {_size(shape)}. Give each"
            " channel a file of its own, or describe them as an nnU-Net or MSD set does."
        )
    if volume is not None and (len(shape) != 4 or volume >= shape[3]):
        raise DataError(
            f"{file.path} is {_size(shape)}: it has no volume number {volume + 1} for a channel."
        )


def _on_grid(
    voxels: NDArray[Any], file: NiftiFile, leading: NiftiFile, patient: Patient
) -> NDArray[Any]:
    """A channel's voxels on the grid of the exam. Raises DataError where they lie elsewhere."""
    shape, wanted = file.shape[:3], leading.shape[:3]
    if shape == wanted and same_place(wanted, leading.affine, file.affine):
        return voxels
    if patient.settings.align == RESAMPLE:
        return resampled(voxels, file.affine, leading.affine, wanted)
    if shape != wanted:
        apart = f"{file.path} is {_size(shape)}, {leading.path} is {_size(wanted)} voxels"
    else:
        distance = corner_distance(wanted, leading.affine, file.affine)
        apart = (
            f"{file.path} lies elsewhere than {leading.path}: a corner is {distance:.2f} mm away"
        )
    raise DataError(
        f'{apart}. Channels and mask of an exam must be on one grid; align = "resample" in [data]'
        " brings the channels onto the mask's."
    )


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
