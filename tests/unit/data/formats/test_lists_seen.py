"""What init says of nnU-Net's sets and of MONAI's lists."""

import nnunet_files as files
from roundelay.data.formats.recognise import recognise

LABELS = {"background": 0, "whole": [1, 2, 3], "enhancing": 3, "ignore": 4}


def test_a_set_is_taken_over_from_its_json(tmp_path):
    seen = recognise(files.nnunet(tmp_path, ["a"], labels=LABELS))

    assert (seen.format, seen.channels, seen.ignored) == ("nnunet", files.NAMES, (4,))
    assert seen.labels == {"whole": (1, 2, 3), "enhancing": (3,)}
    assert "voxels that nobody marked" in seen.as_toml([])
    assert "\nignored_labels = [4]\n" in seen.as_toml([])


def test_what_nobody_marked_is_of_no_region_even_where_the_json_says_so(tmp_path):
    labels = {"background": 0, "whole": [1, 2, 3, 4], "enhancing": [3, 4], "Ignore": 4}

    seen = recognise(files.nnunet(tmp_path, ["a"], labels=labels))

    assert seen.labels == {"whole": (1, 2, 3), "enhancing": (3,)} and seen.ignored == (4,)


def test_a_list_asks_for_what_it_does_not_name(tmp_path):
    seen = recognise(files.monai(tmp_path, ["a"]).parent)

    assert seen.format == "datalist" and len(seen.channels) == 4
    for said in ("names no channels", "says nothing of the values"):
        assert said in seen.as_toml([])


def test_a_set_of_msd_is_no_list(tmp_path):
    assert recognise(files.msd(tmp_path, ["a"])).format == "nnunet"


def test_folders_of_exams_are_neither(tmp_path):
    assert recognise(files.brats(tmp_path, ["case_1", "case_2"])).format == "nifti"
