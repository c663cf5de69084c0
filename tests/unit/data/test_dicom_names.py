"""What segments and contours are called, against the regions that their numbers mean."""

import os
import time

import numpy as np
import pydicom
import pytest

from dicom_files import grey, write_contours, write_seg, write_series
from roundelay.data.formats import dicom, dicom_known
from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError

REGIONS = (("whole", (1, 2, 4)), ("core", (1, 4)), ("enhancing", (4,)))


def settings(regions=REGIONS, **more):
    return ImageSettings(channels=("flair",), regions=regions, **more)


def mask(*where):
    found = np.zeros((6, 12, 10), bool)
    found[where] = True
    return found


def read(folder, own):
    (patient,) = dicom.find_patients(folder, own).patients
    return dicom.read_volume(patient)


def test_our_own_segmentation_is_read_back_as_the_regions_that_were_written(tmp_path):
    write_series(tmp_path, grey())
    (patient,) = dicom.find_patients(tmp_path, settings(), masks=False).patients
    volume = dicom.read_volume(patient)
    whole, core = mask(slice(1, 5), slice(2, 9)), mask(slice(2, 4), slice(3, 7))
    written = np.stack([whole, core, mask(3, slice(4, 6))])
    ((_, data),) = dicom.mask_files(patient, volume, written).items()
    (tmp_path / "reference.dcm").write_bytes(data)

    found = read(tmp_path, settings())

    assert np.array_equal(found.regions, written)
    assert found.values == (1, 2, 4)
    with pytest.raises(DataError, match="a model with a region 'core'; the study has whole"):
        read(tmp_path, settings(regions=(("whole", (1,)), ("edema", (2,)))))


SWAPPED = (("edema", (1,)), ("necrosis", (2,)))


def test_segments_that_are_called_as_another_region_than_their_numbers_say_are_refused(tmp_path):
    series = write_series(tmp_path, grey())
    segments = {"Necrosis": mask(1, 2), "Edema": mask(2, 3)}
    write_seg(tmp_path / "seg.dcm", series, segments)

    with pytest.raises(DataError) as caught:
        read(tmp_path, settings(SWAPPED))
    assert len(caught.value.faults) == 2
    assert "calls its number 1 'Necrosis'" in str(caught.value)
    assert "1 is of edema there" in str(caught.value) and "labels = {1 = 2}" in str(caught.value)

    found = read(tmp_path, settings(SWAPPED, renumbered=((1, 2), (2, 1))))
    assert np.array_equal(found.regions, [mask(2, 3), mask(1, 2)])
    assert found.values == (1, 2)


@pytest.mark.parametrize(
    ("name", "fits"), [("core", True), ("whole", False), ("Enhancing", False), ("GTV", True)]
)
def test_a_number_may_mean_the_regions_around_the_one_that_it_is_called(tmp_path, name, fits):
    series = write_series(tmp_path, grey())
    write_seg(tmp_path / "seg.dcm", series, {name: mask(1, 2)})  # 1 is of whole and of core

    if fits:
        assert read(tmp_path, settings()).regions.any(axis=(1, 2, 3)).tolist() == [
            True,
            True,
            False,
        ]
    else:
        with pytest.raises(DataError, match="1 is of whole and core there"):
            read(tmp_path, settings())


def test_contours_are_held_against_their_names_too(tmp_path):
    series = write_series(tmp_path, grey())
    first = pydicom.dcmread(series[2]).ImagePositionPatient
    corners = np.array([(1, 1, 0), (5, 1, 0), (5, 5, 0), (1, 5, 0)]) + np.array(first, float)
    path = write_contours(tmp_path / "rt.dcm", series, {2: [corners]})
    dataset = pydicom.dcmread(path)
    named = pydicom.Dataset()
    named.ROINumber, named.ROIName = 2, "EDEMA"
    dataset.StructureSetROISequence = [named]
    dataset.save_as(path)

    with pytest.raises(DataError, match="calls its number 2 'EDEMA'"):
        read(tmp_path, settings(SWAPPED))
    assert read(tmp_path, settings((("edema", (2,)),))).regions.any()


def test_a_header_is_parsed_once_while_its_file_is_unchanged(tmp_path, monkeypatch):
    (path,) = write_series(tmp_path / "a", grey((1, 12, 10)), description="T1")
    reads = []
    real = dicom_known.read_header
    monkeypatch.setattr(dicom_known, "read_header", lambda p: reads.append(p) or real(p))

    def seen(age):
        then = time.time() - age
        os.utime(path, (then, then))
        return [dicom_known.known_header(path).description for _ in range(2)]

    assert seen(0) == ["T1", "T1"] and len(reads) == 2  # it may be written again at once
    assert seen(60) == ["T1", "T1"] and len(reads) == 3
    write_series(
        tmp_path / "a", grey((1, 12, 10)), description="T1",
        change=lambda dataset, _: setattr(dataset, "SeriesDescription", "T2"),
    )  # fmt: skip
    assert seen(30) == ["T2", "T2"] and len(reads) == 4
