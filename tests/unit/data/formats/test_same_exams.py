"""The same exams in four layouts are the same voxels, channels and regions, to the bit."""

import numpy as np
import pytest

import nnunet_files as files
from nnunet_files import SETTINGS
from roundelay.data.formats.known import FORMATS, read_volume
from roundelay.data.opening import read_patients

CASES = ["case_1", "case_2"]

LAYOUTS = {
    "nifti": files.brats,
    "nnunet": files.nnunet,
    "msd": files.msd,
    "datalist": files.monai,
}


@pytest.fixture(scope="module")
def found(module_path):
    made = {name: layout(module_path / name, CASES) for name, layout in LAYOUTS.items()}
    return {
        name: FORMATS["nnunet" if name == "msd" else name].find_patients(root, SETTINGS).patients
        for name, root in made.items()
    }


@pytest.mark.parametrize("layout", ["nnunet", "msd", "datalist"])
@pytest.mark.parametrize("number", [0, 1])
def test_an_exam_is_the_same_in_every_layout(found, layout, number):
    first, other = (read_volume(found[name][number]) for name in ("nifti", layout))

    assert other.channels.dtype == first.channels.dtype
    assert other.channels.tobytes() == first.channels.tobytes()
    assert other.regions.tobytes() == first.regions.tobytes()
    assert other.grid == first.grid


def test_it_is_the_exam_that_was_written(found):
    images, mask = files.voxels(1)
    volume = read_volume(found["msd"][1])

    assert np.array_equal(volume.grid.to_file(volume.regions[2]), mask == 3)
    for channel, image in zip(volume.channels, images, strict=True):
        assert np.array_equal(volume.grid.to_file(channel), image)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_opened_they_have_the_same_pictures_and_tumours(found, layout):
    first, other = read_patients([found[name][0] for name in ("nifti", layout)])

    assert other.pictures == first.pictures and other.tumour_size == first.tumour_size
    assert (other.id, other.slices) == (first.id, first.slices)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_mask_that_is_written_reads_as_it_was(found, layout, tmp_path):
    patient = found[layout][0]
    volume = read_volume(patient)
    layout_ = FORMATS[patient.format]

    ((name, data),) = layout_.mask_files(patient, volume, volume.regions).items()
    (tmp_path / name).write_bytes(data)
    image = files.nib.load(tmp_path / name)

    assert [name] == layout_.mask_names(patient) == ["case_1.nii.gz"]
    assert np.array_equal(np.asarray(image.dataobj), files.voxels(0)[1])
    assert np.array_equal(image.affine, files.AFFINE)
