"""Whether an nnU-Net set and the study are about the same channels and labels."""

from dataclasses import replace

import pytest

import nnunet_files as files
from nnunet_files import SETTINGS, in_place, said
from roundelay.data.formats.nnunet import (
    find_patients,
    read_volume,
)
from roundelay.data.image_settings import ANY
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


class TestMissingChannels:
    def test_a_patient_who_lacks_one_is_refused(self, root):
        (root / "imagesTr" / "c_0002.nii.gz").unlink()

        refused(root, r"case c has no channel 't2' \(number 0002\)")

    def test_a_set_that_lacks_one_is_refused_once(self, root):
        change(root, channel_names={"0": "T1Gd", "1": "T1w", "2": "T2w", "3": "ADC"})

        error = refused(root, r"has no channel 'flair'; it has T1Gd, T1w, T2w, ADC")
        assert len(error.faults) == 1

    @pytest.mark.parametrize("whole_set", [True, False])
    def test_zeros_or_another_channel_stand_for_it(self, root, whole_set):
        if whole_set:
            change(root, channel_names={"0": "T1Gd", "1": "T1w", "2": "ADC", "3": "FLAIR"})
        else:
            (root / "imagesTr" / "a_1_0002.nii.gz").unlink()

        zero, flair = (
            find_patients(root, replace(SETTINGS, missing=missing)).patients[0]
            for missing in ("zero", "substitute:flair")
        )

        assert zero.channels[2] is None
        assert flair.channels[2] == flair.channels[3] != None  # noqa: E711
        assert not read_volume(zero).channels[2].any()

    def test_what_stands_for_it_may_lack_too(self, root):
        change(root, channel_names={"0": "T1Gd", "1": "T1w", "2": "ADC", "3": "CT"})

        refused(root, "has no channel 't2'", replace(SETTINGS, missing="substitute:flair"))

    def test_a_site_names_it_otherwise_or_by_number(self, root):
        change(root, channel_names={str(n): name for n, name in enumerate("wxyy")})
        named = (("t1ce", "x"), ("t1", "W"), ("t2", "0003"), ("flair", "0002"))

        found = find_patients(root, replace(SETTINGS, named=named)).patients[0]

        assert [s.path.name[-11:-7] for s in found.channels] == ["0001", "0000", "0003", "0002"]

    def test_one_name_for_two_channels_is_refused(self, root):
        change(root, channel_names={"0": "T1Gd", "1": "T1w", "2": "T2w", "3": "T2"})

        refused(root, "calls the channels 0002 and 0003 both 't2'")


class TestLabels:
    def test_a_value_that_no_region_names_is_refused_by_its_name(self, root):
        change(root, labels={**files.LABELS, "cavity": 4})

        refused(root, r"the label 'cavity' with the value 4, which no region .*names 1, 2, 3")

    def test_a_value_that_is_ignored_counts_as_background_and_is_said(self, root):
        change(root, labels={**files.LABELS, "cavity": 4})

        found = find_patients(root, replace(SETTINGS, ignored=(4,)))

        assert "count as background: 1 (cavity)" in said(found)

    def test_a_site_that_numbers_otherwise(self, root):
        labels = {"background": 0, "whole": [1, 2, 4], "core": [2, 4], "enhancing": 4}
        change(root, labels=labels)

        refused(root, "the label 'whole' with the value 4, which no region")
        assert find_patients(root, replace(SETTINGS, renumbered=((4, 3),))).patients

    def test_two_values_swapped_against_their_names(self, root):
        change(root, labels={"background": 0, "edema": 1, "enhancing": 2, "necrosis": 3})

        refused(root, "gives the label 'enhancing' the value 2, .*region 'enhancing' is 3")

    def test_a_region_may_be_more_than_the_label_of_its_name(self, root):
        change(root, labels={"background": 0, "core": 2, "x": 1, "enhancing": 3})

        assert find_patients(root, SETTINGS).patients

    @pytest.mark.parametrize("name", ["ignore", "Ignore", " IGNORE"])
    def test_voxels_that_nobody_marked_would_count_as_background(self, root, name):
        change(root, labels={**files.LABELS, name: 4})

        asked = r"the label 'ignore' \(4\).*count as background.*ignored_labels = \[4\]"
        refused(root, asked)
        as_tumour = tuple((region, (*own, 4)) for region, own in SETTINGS.regions)
        with pytest.raises(DataError, match=asked):
            find_patients(root, replace(SETTINGS, regions=as_tumour))
        found = find_patients(root, replace(SETTINGS, ignored=(4,)))
        assert "count as background: 1 (ignore)" in said(found)


class TestSites:
    """A table places the cases of one set at sites, some of which have something otherwise."""

    def test_an_exam_is_read_as_its_site_says(self, root):
        (root / "imagesTr" / "c_0002.nii.gz").unlink()
        at_c = replace(SETTINGS, missing="zero", named=(("t1", "0003"),))

        found = find_patients(root, replace(SETTINGS, elsewhere=(("c", at_c),))).patients

        assert found[2].settings == at_c and found[0].settings == SETTINGS
        assert found[2].channels[2] is None
        assert found[2].channels[1].path.name == "c_0003.nii.gz"
        assert found[0].channels[1].path.name == "a_1_0001.nii.gz"

    def test_a_label_that_one_of_the_sites_explains_is_known(self, root):
        change(root, labels={**files.LABELS, "enhancing here": 4})
        at_c = replace(SETTINGS, renumbered=((4, 3),))

        assert find_patients(root, replace(SETTINGS, elsewhere=(("c", at_c),))).patients
        refused(
            root,
            "the label 'enhancing here' with the value 4",
            replace(SETTINGS, elsewhere=(("c", replace(SETTINGS, missing="zero")),)),
        )

    def test_before_a_study_is_known_exams_are_found_with_all_their_files(self, root):
        found = find_patients(root, ANY)

        assert [len(p.images) for p in found.patients] == [4, 4, 4]
        assert [p.slices for p in found.patients] == [4, 4, 4]
        assert found.patients[0].channels == () and found.left_out == ()
