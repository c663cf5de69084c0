"""DICOM in: series by headers, references by millimetres, the same voxels as NIfTI gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_files import (
    AXIAL,
    OBLIQUE,
    affine,
    blob,
    grey,
    uid,
    write_contours,
    write_nifti,
    write_seg,
    write_series,
)
from roundelay.data.formats import dicom, nifti
from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError

SETTINGS = ImageSettings(channels=("flair", "t1ce"), regions=(("tumour", (1,)),))
ONE = replace(SETTINGS, channels=("flair",))

CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
MIRRORED = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
PLANES = {
    "axial": AXIAL,
    "oblique": OBLIQUE,
    "coronal": CORONAL,
    "sagittal": SAGITTAL,
    "mirrored": MIRRORED,
}


def exam(folder: Path, orientation=AXIAL, **more) -> list[Path]:
    """Two series and a segmentation of one patient; the files of the first."""
    first = write_series(folder / "a", grey(), orientation=orientation, **more)
    write_series(folder / "b", grey(seed=1), description="T1 post", orientation=orientation, **more)
    write_seg(folder / "seg.dcm", first, {"tumour": blob()})
    return first


def one(root: Path, settings: ImageSettings = SETTINGS, *, masks: bool = True):
    (patient,) = dicom.find_patients(root, settings, masks=masks).patients
    return patient


@pytest.mark.parametrize("plane", PLANES)
def test_the_same_exam_as_dicom_and_as_nifti_is_the_same_to_the_bit(tmp_path, plane):
    orientation = PLANES[plane]
    exam(tmp_path / "dicom", orientation)
    place = tmp_path / "nifti" / "P-001"
    own = affine(orientation)
    write_nifti(place / "P-001_flair.nii.gz", grey(), own)
    write_nifti(place / "P-001_t1ce.nii.gz", grey(seed=1), own)
    write_nifti(place / "P-001_seg.nii.gz", blob().astype(np.uint8), own)

    found = dicom.read_volume(one(tmp_path / "dicom"))
    (patient,) = nifti.find_patients(tmp_path / "nifti", SETTINGS).patients
    same = nifti.read_volume(patient)

    assert found.channels.dtype == same.channels.dtype == np.int16
    assert found.channels.tobytes() == same.channels.tobytes()
    assert found.regions is not None and same.regions is not None
    assert found.regions.shape == same.regions.shape
    assert (found.regions == same.regions).all() and found.regions.sum() == blob().sum()
    assert np.allclose(found.spacing, same.spacing, atol=1e-5)
    assert one(tmp_path / "dicom").slices == patient.slices == found.channels.shape[1]


def test_order_of_names_and_numbers_is_no_matter(tmp_path):
    for name, reverse in (("one", False), ("two", True)):
        paths = exam(tmp_path / name, reverse=reverse)
        volume = dicom.read_volume(one(tmp_path / name))

        assert [p.name for p in paths] != sorted(p.name for p in paths)
        assert volume.grid is not None
        assert (volume.grid.to_file(volume.channels[0]) == grey()).all()


def test_patients_and_exams_come_from_headers_alone(tmp_path):
    mixed = tmp_path / "all" / "in" / "one"
    for patient, study in (("A", "1"), ("A", "2"), ("B/../x", "1")):
        paths = write_series(
            mixed / patient.replace("/", "") / study, grey(), patient=patient, study=study
        )
        write_seg(paths[0].parent / "s.dcm", paths, {"tumour": blob()})

    found = dicom.find_patients(tmp_path, ONE).patients

    assert [p.id for p in found] == ["A_20240105", "A_20240105_2", "B/../x"]
    assert [p.subject for p in found] == ["A", "A", "B/../x"]
    assert all("/" not in p.folder and ".." not in p.folder for p in found)
    assert len({p.folder.casefold() for p in found}) == 3


def test_what_is_left_out_is_counted_and_said(tmp_path):
    exam(tmp_path / "p")
    write_series(tmp_path / "p" / "c", grey(), description="DWI b1000")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "prediction.json").write_text("{}")
    write_nifti(tmp_path / "p" / "other.nii.gz", blob().astype(np.uint8), affine())

    left = {str(one_) for one_ in dicom.find_patients(tmp_path, SETTINGS).left_out}

    assert f"{dicom.OTHER}: 1 (DWI b1000)." in left
    assert "Files that are no DICOM, left out: 1 (notes.txt)." in left
    assert "Folders that hold predictions, skipped: 1 (old)." in left
    assert any("other.nii.gz" in text for text in left)


def test_a_patient_without_reference_is_refused_for_training_and_fine_for_predict(tmp_path):
    write_series(tmp_path, grey())

    with pytest.raises(DataError, match="has no reference"):
        dicom.find_patients(tmp_path, ONE)

    assert dicom.read_volume(one(tmp_path, ONE, masks=False)).regions is None


def test_two_references_are_refused_for_training_and_left_out_for_predict(tmp_path):
    paths = exam(tmp_path)
    write_seg(tmp_path / "again.dcm", paths, {"tumour": blob()})

    with pytest.raises(DataError, match=r"2 references, such as (again|seg)\.dcm and"):
        dicom.find_patients(tmp_path, SETTINGS)

    found = dicom.find_patients(tmp_path, SETTINGS, masks=False)
    assert found.patients[0].masks == ()
    assert any("several references" in str(left) for left in found.left_out)


def test_segments_are_values_and_may_overlap(tmp_path):
    paths = write_series(tmp_path, grey())
    inner = blob() & (np.arange(10) < 3)
    write_seg(tmp_path / "seg.dcm", paths, {"whole": blob(), "core": inner})
    settings = replace(ONE, regions=(("whole", (1, 2)), ("core", (2,))))

    regions = dicom.read_volume(one(tmp_path, settings)).reference

    assert regions.sum(axis=(1, 2, 3)).tolist() == [blob().sum(), inner.sum()]
    with pytest.raises(DataError, match=r"holds the value 2 \(\d+ voxels\)"):
        dicom.read_volume(one(tmp_path, ONE))


def test_a_segmentation_that_holds_labels_is_read(tmp_path):
    paths = write_series(tmp_path, grey())
    inner = blob() & (np.arange(10) < 3)
    write_seg(tmp_path / "s.dcm", paths, {"rest": blob() & ~inner, "core": inner}, kind="LABELMAP")
    settings = replace(ONE, regions=(("whole", (1, 2)), ("core", (2,))))

    regions = dicom.read_volume(one(tmp_path, settings)).reference

    assert regions.sum(axis=(1, 2, 3)).tolist() == [blob().sum(), inner.sum()]


def test_a_segmentation_of_shares_is_refused(tmp_path):
    paths = write_series(tmp_path, grey())
    write_seg(tmp_path / "s.dcm", paths, {"a": blob()}, kind="FRACTIONAL")

    with pytest.raises(DataError, match="of the kind FRACTIONAL"):
        dicom.read_volume(one(tmp_path, ONE))


def test_a_segmentation_of_another_place_or_size_is_refused(tmp_path):
    for name, other, text in (
        ("away", {"origin": (-20.0, -31.5, 42.25)}, "a part of it lies outside"),
        ("below", {"origin": (-20.0, -31.5, -2.75)}, "a part of it lies outside"),
        ("between", {"origin": (-20.4, -31.5, 12.25)}, "between those of the series"),
        ("coarse", {"spacing": (5.0, 1.8, 1.6)}, "another size"),
        ("thick", {"spacing": (10.0, 0.9, 0.8)}, "10 mm thick"),
    ):
        paths = write_series(tmp_path / name / "own", grey())
        elsewhere = write_series(tmp_path / f"{name}-source", grey(), **other)
        write_seg(tmp_path / name / "seg.dcm", elsewhere, {"tumour": blob()})
        patient = one(tmp_path / name, ONE)

        with pytest.raises(DataError, match=text):
            dicom.read_volume(patient)
        assert len(paths) == 6


@pytest.mark.parametrize("flipped", [False, True])
def test_a_nifti_mask_beside_a_series_lies_where_its_millimetres_say(tmp_path, flipped):
    write_series(tmp_path / "p" / "flair", grey())
    own, mask = affine(), blob().astype(np.uint8)
    if flipped:  # as dcm2niix does: rows from the bottom up
        own[:3, 3] += own[:3, 1] * 11
        own[:3, 1] *= -1
        mask = mask[:, ::-1]
    write_nifti(tmp_path / "p" / "x_seg.nii.gz", mask, own)
    paths = write_series(tmp_path / "q", grey(), patient="Q")
    write_seg(tmp_path / "q" / "s.dcm", paths, {"a": blob()})

    with_nifti, with_seg = dicom.find_patients(tmp_path, ONE).patients[:2]

    assert with_nifti.masks[0].name == "x_seg.nii.gz"
    first, second = dicom.read_volume(with_nifti), dicom.read_volume(with_seg)
    assert (first.reference == second.reference).all()


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE, SAGITTAL])
def test_contours_are_filled_where_pixel_centres_lie_in_them(tmp_path, orientation):
    paths = write_series(tmp_path, grey(), orientation=orientation)
    own = np.diag((-1.0, -1.0, 1.0, 1.0)) @ affine(orientation)

    def box(slice_: int, low: tuple[float, float], high: tuple[float, float]) -> np.ndarray:
        corners = [(low[1], low[0]), (high[1], low[0]), (high[1], high[0]), (low[1], high[0])]
        return np.array([own[:3] @ (column, row, slice_, 1) for column, row in corners])

    outer, hole = box(2, (1.5, 2.5), (7.5, 8.5)), box(2, (3.5, 4.5), (5.5, 6.5))
    write_contours(tmp_path / "rt.dcm", paths, {1: [outer, hole], 2: [box(3, (1, 1), (2, 2))]})
    settings = replace(ONE, regions=(("tumour", (1,)), ("other", (2,))))
    expected = np.zeros((2, 6, 12, 10), bool)
    expected[0, 2, 2:8, 3:9] = True
    expected[0, 2, 4:6, 5:7] = False
    expected[1, 3, 1, 1] = True

    volume = dicom.read_volume(one(tmp_path, settings))

    assert volume.grid is not None
    cut = np.stack([volume.grid.to_slices(region) for region in expected])
    assert volume.reference[0].sum() == 32 and volume.reference[1].sum() == 1
    assert (volume.reference == cut).all()


def test_contours_between_slices_are_refused(tmp_path):
    paths = write_series(tmp_path, grey())
    points = np.array([[-18, -30, 14.0], [-15, -30, 14.0], [-15, -25, 14.0]])
    write_contours(tmp_path / "rt.dcm", paths, {1: [points]})

    with pytest.raises(DataError, match="a contour lies beside its slices"):
        dicom.read_volume(one(tmp_path, ONE))


def test_channels_on_different_grids_are_refused_or_resampled(tmp_path):
    paths = write_series(tmp_path / "a", grey())
    fine = grey((12, 12, 10), seed=1)
    write_series(tmp_path / "b", fine, description="T1 POST", spacing=(2.5, 0.9, 0.8))
    write_seg(tmp_path / "seg.dcm", paths, {"tumour": blob()})

    with pytest.raises(DataError, match="not on one grid"):
        dicom.read_volume(one(tmp_path))
    volume = dicom.read_volume(one(tmp_path, replace(SETTINGS, align="resample")))

    assert volume.channels.shape == (2, 6, 12, 10)
    assert volume.grid is not None
    back = volume.grid.to_file(volume.channels[1])
    assert np.allclose(back, fine[::2])


def test_the_grid_is_that_of_the_series_which_the_reference_was_drawn_on(tmp_path):
    write_series(tmp_path / "a", grey((12, 12, 10)), spacing=(2.5, 0.9, 0.8))
    paths = write_series(tmp_path / "b", grey(seed=1), description="T1 POST")
    write_seg(tmp_path / "seg.dcm", paths, {"tumour": blob()})
    patient = one(tmp_path, replace(SETTINGS, align="resample"))

    assert patient.slices == 6
    assert pydicom.dcmread(patient.images[0]).SeriesDescription == "T1 POST"
    assert dicom.read_volume(patient).reference.sum() == blob().sum()


def test_slope_and_intercept_are_applied_and_integers_stay(tmp_path):
    def scaled(slope: float, intercept: float):
        def change(dataset, number):
            dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept

        return change

    kinds = {}
    for name, slope, intercept in (("a", 1, -1024), ("b", 2.5, 1), ("c", 1, 0)):
        write_series(tmp_path / name, grey(), change=scaled(slope, intercept))
        found = dicom.read_volume(one(tmp_path / name, ONE, masks=False))
        assert found.grid is not None
        back = found.grid.to_file(found.channels[0])
        assert np.allclose(back, grey() * slope + intercept)
        kinds[name] = str(found.channels.dtype)

    assert kinds == {"a": "int16", "b": "float32", "c": "int16"}


def test_a_missing_channel_is_refused_or_stood_in_for(tmp_path):
    paths = write_series(tmp_path, grey())
    write_seg(tmp_path / "seg.dcm", paths, {"tumour": blob()})

    with pytest.raises(DataError, match="no series for the channel 't1ce'; it has 'AX FLAIR'"):
        dicom.find_patients(tmp_path, SETTINGS)
    zero = dicom.read_volume(one(tmp_path, replace(SETTINGS, missing="zero")))
    other = dicom.read_volume(one(tmp_path, replace(SETTINGS, missing="substitute:flair")))

    assert not zero.channels[1].any() and zero.channels[0].any()
    assert (other.channels[0] == other.channels[1]).all()


def test_the_same_uid_tells_series_apart_by_patient():
    assert uid("a", 1) == uid("a", 1) != uid("a", 2)
