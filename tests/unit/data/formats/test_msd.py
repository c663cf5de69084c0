"""The variant of the Medical Segmentation Decathlon: all channels in one file."""

from dataclasses import replace

import numpy as np
import pytest

import nnunet_files as files
from nnunet_files import SETTINGS, in_place, said, voxels, write_nifti
from roundelay.data.formats.nnunet import (
    channels_and_labels,
    find_patients,
)
from roundelay.data.patients import Source
from roundelay.errors import DataError


@pytest.fixture
def root(tmp_path):
    return files.nnunet(tmp_path / "Dataset001_TOY", ["a_1", "b-2", "c"])


def refused(root, match, settings=SETTINGS, **how):
    with pytest.raises(DataError, match=match) as caught:
        find_patients(root, settings, **how)
    return caught.value


def change(root, **values):
    in_place(root / "dataset.json", lambda found: found.update(values))


def without(root, *keys):
    in_place(root / "dataset.json", lambda found: [found.pop(key) for key in keys])


class TestMsd:
    @pytest.fixture
    def root(self, tmp_path):
        return files.msd(tmp_path / "Task01", ["BRATS_001", "BRATS_002"], tests=["BRATS_900"])

    def test_channels_are_volumes_of_one_file(self, root):
        found = find_patients(root, SETTINGS)

        first = found.patients[0]
        path = root / "imagesTr" / "BRATS_001.nii.gz"
        assert first.channels == tuple(Source(path, number) for number in range(4))
        assert (first.id, first.images) == ("BRATS_001", (path,))
        assert "left out: 1" in said(found) and "BRATS_900" in said(found)

    def test_its_test_list_is_predicted(self, root):
        found = find_patients(root, SETTINGS, masks=False)

        assert [p.id for p in found.patients] == ["BRATS_001", "BRATS_002", "BRATS_900"]
        assert [bool(p.masks) for p in found.patients] == [True, True, False]

    def test_a_file_of_other_channels_is_refused(self, root):
        images, _ = voxels(0, count=3)
        write_nifti(root / "imagesTr" / "BRATS_001.nii.gz", np.moveaxis(images, 0, -1))

        refused(root, "entry 1 of training: .* is 6 x 5 x 4 x 3: 3 channels, where 4 are expected")

    def test_one_channel_needs_no_fourth_dimension(self, root):
        for path in (root / "imagesTr").iterdir():
            write_nifti(path, voxels(0)[0][0])
        change(root, modality={"0": "FLAIR"})

        found = find_patients(root, replace(SETTINGS, channels=("flair",)))

        assert found.patients[0].channels == (Source(root / "imagesTr" / "BRATS_001.nii.gz"),)

    @pytest.mark.parametrize(
        ("entry", "match"),
        [
            ({"image": "x.nii.gz", "label": "y"}, "names x.nii.gz, which is not there"),
            ({"label": "y"}, "it is null"),
            ("x", "must be as in"),
        ],
    )
    def test_a_faulty_entry_is_named(self, root, entry, match):
        change(root, training=[entry])

        refused(root, f"entry 1 of training.*{match}")

    def test_a_case_that_stands_twice_is_refused(self, root):
        in_place(
            root / "dataset.json", lambda found: found["training"].append(found["training"][0])
        )

        refused(root, "entry 3 of training and .*entry 1 of training are both the case BRATS_001")

    def test_two_labels_of_one_name_are_one_label_of_two_values(self, root):
        change(root, labels={"0": "background", "1": "tumour", "2": "tumour", "3": "tumour"})

        assert channels_and_labels(root).regions == {"tumour": (1, 2, 3)}
