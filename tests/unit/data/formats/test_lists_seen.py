"""What init says of nnU-Net's sets and of MONAI's lists."""

import re

import pytest

import nnunet_files as files
from roundelay.cli.app import run_app
from roundelay.data.formats import datalist, nnunet
from roundelay.data.formats.recognise import recognise
from roundelay.errors import DataError
from roundelay.study.file import read_study

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


def test_values_of_masks_that_no_list_explains_are_looked_at(tmp_path):
    seen = recognise(files.monai(tmp_path, ["a", "b"]).parent)

    assert seen.labels == {"tumour": (1, 2, 3)}
    assert "# Values met in 2 of 2 masks: 0, 1, 2, 3." in seen.as_toml([])


@pytest.mark.parametrize("name", ["list.json", "dataset.json"])
@pytest.mark.parametrize("others", [{}, {"validation": [], "modality": {"0": "MRI"}}])
def test_a_list_is_known_by_its_file_and_by_its_folder_whatever_its_name(tmp_path, name, others):
    trained = [files.entry(case) for case in ("a", "b")]
    path = files.monai(tmp_path, ["a", "b"], name=name, training=trained, **others)

    for root in (path, tmp_path):
        assert recognise(root).format == "datalist"


def test_init_takes_the_file_of_a_list(tmp_path):
    path, out = files.monai(tmp_path, ["a", "b"]), tmp_path / "study.toml"

    assert run_app(["init", str(path), "--out", str(out)]) == 0

    assert read_study(out).data.root == str(path)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([], "is no list of exams"),
        ({"training": [{"t1": "a.nii.gz"}]}, 'must be as in {"image": ..., "label": ...}'),
    ],
)
def test_what_is_no_list_of_exams_is_told(tmp_path, values, match):
    files.write_json(tmp_path / "list.json", values)

    with pytest.raises(DataError, match=re.escape(match)):
        recognise(tmp_path / "list.json")


def test_a_set_of_background_alone_is_refused(tmp_path):
    root = files.nnunet(tmp_path, ["a"], labels={"background": 0})

    with pytest.raises(DataError, match="no label but the background"):
        recognise(root)


def test_a_set_of_msd_is_no_list(tmp_path):
    assert recognise(files.msd(tmp_path, ["a"])).format == "nnunet"


def test_folders_of_exams_are_neither(tmp_path):
    assert recognise(files.brats(tmp_path, ["case_1", "case_2"])).format == "nifti"


def test_paths_that_were_written_on_windows_are_found(tmp_path):
    path = files.monai(tmp_path, ["a"])
    path.write_text(path.read_text().replace("a/a", "a" + 2 * "\\" + "a"))

    assert "\\" in path.read_text()
    assert datalist.find_patients(path, files.SETTINGS).patients[0].id == "a"


def test_endings_of_a_set_may_be_in_capitals(tmp_path):
    root = files.nnunet(tmp_path, ["a"])
    for path in [*root.rglob("*.nii.gz")]:
        path.rename(path.with_name(path.name.replace(".nii.gz", ".NII.GZ")))

    (found,) = nnunet.find_patients(root, files.SETTINGS).patients

    assert found.id == "a" and nnunet.read_volume(found).regions is not None


def test_cases_to_be_predicted_are_not_held_against_the_number_of_training_cases(tmp_path):
    root = files.msd(tmp_path, ["a"], tests=["b"])

    found = nnunet.find_patients(root, files.SETTINGS, masks=False)

    assert len(found.patients) == 2 and "numTraining" not in files.said(found)


def test_names_with_accents_are_taken_over_and_found_again(tmp_path):
    labels = {"background": 0, "Ödem": 1, "Nekrose": [2, 3]}
    root = files.nnunet(tmp_path, ["a"], labels=labels, channel_names={"0": "Größe é"})
    for path in (root / "imagesTr").glob("*_000[1-3].nii.gz"):
        path.unlink()
    out = tmp_path / "study.toml"

    assert run_app(["init", str(root), "--out", str(out)]) == 0

    data = read_study(out).data
    assert data.channels == ("Groe_e",) and data.regions["Odem"] == (1,)


@pytest.mark.parametrize("make", [files.nnunet, files.msd, files.monai])
def test_a_table_of_sites_beside_a_set_or_a_list_is_found(make, tmp_path):
    make(tmp_path / "data", ["a", "b"])
    (tmp_path / "data" / "sites.csv").write_text("patient,site\na,NORTH\nb,LAKE\n")

    for root in {tmp_path / "data", *(tmp_path / "data").glob("list.json")}:
        seen = recognise(root)

        assert seen.sites == f"table:{tmp_path / 'data' / 'sites.csv'}"
        assert "# sites.csv says who stands where." in seen.as_toml([])


@pytest.mark.parametrize("make", [files.nnunet, files.monai])
def test_without_a_table_sites_are_made_up_as_of_other_exams(make, tmp_path):
    make(tmp_path / "data", ["a", "b", "c"])

    assert recognise(tmp_path / "data").sites == "chunks:3"


def test_who_trains_and_tests_by_a_list_is_not_dealt_to_made_up_sites(tmp_path):
    lists = {"training": [files.entry("a"), files.entry("b")], "testing": [files.entry("c")]}
    path = files.monai(tmp_path, ["a", "b", "c"], **lists)

    assert recognise(path).sites == "institution"
