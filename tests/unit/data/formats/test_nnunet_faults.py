"""Faults of nnU-Net sets that people reported, each refused with a sentence."""

import shutil

import numpy as np
import pytest

import nnunet_files as files
from nnunet_files import SETTINGS, in_place, voxels, write_json, write_nifti
from roundelay.data.formats.nnunet import (
    find_patients,
    read_volume,
)
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


class TestFaults:
    """The rows of the list of reported faults that concern this layout."""

    def test_masks_with_the_number_of_a_channel(self, root):
        (root / "labelsTr" / "c.nii.gz").rename(root / "labelsTr" / "c_0000.nii.gz")

        refused(root, r"case c: its mask is called labelsTr/c_0000.*rename it c\.nii\.gz")

    def test_no_number_of_a_channel_anywhere(self, root):
        for path in (root / "imagesTr").iterdir():
            if "_0000" in path.name:
                path.rename(path.with_name(path.name.replace("_0000", "")))
            else:
                path.unlink()

        refused(root, r"No file in .*imagesTr has the number of a channel.*<case>_0000\.nii\.gz")

    def test_no_number_in_one_name(self, root):
        shutil.copy(root / "imagesTr" / "c_0000.nii.gz", root / "imagesTr" / "d.nii.gz")

        refused(root, r"1 files in .* lack the number of a channel.*d\.nii\.gz")

    def test_a_number_beyond_the_channels(self, root):
        shutil.copy(root / "imagesTr" / "c_0000.nii.gz", root / "imagesTr" / "c_0004.nii.gz")

        refused(root, r"does not name \(the first: c_0004\.nii\.gz\); it names 4, 0000 to 0003")

    def test_a_mask_that_is_not_there(self, root):
        (root / "labelsTr" / "c.nii.gz").unlink()

        refused(root, r"case c has no mask labelsTr/c\.nii\.gz")

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ('{\n "channel_names": {"0": "T1"}, // one\n "labels": {}}', "line 2: a comment"),
            ('{\n # one\n "labels": {}}', "line 2: a comment"),
            ('{"channel_names": {"0": "T1",},\n "labels": {}}', "line 1: a comma stands behind"),
            ('{"labels": {"b": [1, 2,]}}', "line 1: a comma stands behind the last entry"),
            ("{'labels': 1}", "line 1: this is no JSON"),
            ("", "line 1: the file is empty"),
            ('{"labels": 1, "labels": 2}', "'labels' stands twice"),
            ("[1]", "must hold an object"),
            ("[" * 9999, "lists in lists"),
            ('{"numTraining": ' + "9" * 5000 + "}", "can't be read"),
        ],
    )
    def test_a_file_that_is_no_json(self, root, text, match):
        write_json(root / "dataset.json", text)

        refused(root, match)

    def test_keys_of_version_1(self, root):
        without(root, "channel_names")
        change(root, modality={"0": "T1"})

        refused(root, r"keys of nnU-Net's version 1 .*nnUNetv2_convert_old_nnUNet_dataset")

    def test_a_whole_set_of_version_1(self, root):
        without(root, "channel_names", "file_ending")
        change(
            root,
            modality={str(n): name for n, name in enumerate(files.NAMES)},
            labels={"0": "background", "1": "a", "2": "b", "3": "c"},
            training=[{"image": "./imagesTr/c.nii.gz", "label": "./labelsTr/c.nii.gz"}],
        )

        refused(root, "entry 1 of training .*c_0000 is there: this is a set of nnU-Net's version 1")

    def test_labels_of_version_1(self, root):
        change(root, labels={"0": "background", "1": "tumour"})

        refused(root, "labels: numbers are mapped to names, as in nnU-Net's version 1")

    @pytest.mark.parametrize(
        ("key", "value", "match"),
        [
            ("channel_names", {"0": "T1", "2": "T2"}, "run from 0 to 1; 1 is missing"),
            ("channel_names", ["T1"], "channel_names: must be as in"),
            ("channel_names", {"0": 3}, "channel_names.0 must be the channel's name"),
            ("labels", [], "labels: must be as in"),
            ("labels", {"background": 0, "x": "1"}, "'x' must be a whole number .* it is \"1\""),
            ("labels", {"background": 0, "x": True}, "it is true"),
            ("labels", {"background": 0, "x": -1}, "it is -1"),
            ("labels", {"background": 0, "x": []}, "'x' has 0 values"),
            ("labels", {"background": 0, "ignore": [4, 5]}, "'ignore' must be one number"),
            ("file_ending", ".png", "Convert the images to NIfTI"),
            ("file_ending", None, "file_ending: must be one of"),
            ("numTraining", "3", "numTraining: must be a whole number"),
            ("dataset", [], "dataset: must be as in"),
        ],
    )
    def test_a_value_of_another_kind(self, root, key, value, match):
        change(root, **{key: value})

        refused(root, match)

    def test_all_faults_of_the_file_are_said_at_once(self, root):
        change(root, labels=[], numTraining="x", file_ending=".tif")

        assert len(refused(root, "3 faults").faults) == 3

    def test_the_folders_of_a_preprocessed_set(self, root):
        shutil.rmtree(root / "imagesTr")

        refused(root, "There is no folder .*imagesTr.*not of the preprocessed")

    def test_another_ending_than_the_files_have(self, root):
        change(root, file_ending=".nii")

        refused(root, r"holds no file <case>_0000\.nii\. dataset\.json says")

    def test_a_file_of_four_dimensions_where_three_are_expected(self, root):
        images, _ = voxels(0)
        write_nifti(root / "imagesTr" / "a_1_0000.nii.gz", np.moveaxis(images, 0, -1))

        refused(root, "a_1_0000.nii.gz holds 4 volumes, where one is expected")

    def test_twelve_bytes_cut_off(self, root):
        path = root / "imagesTr" / "b-2_0002.nii.gz"
        path.write_bytes(path.read_bytes()[:-12])
        patient = find_patients(root, SETTINGS).patients[1]

        with pytest.raises(DataError, match=r"b-2_0002\.nii\.gz is damaged"):
            read_volume(patient)
