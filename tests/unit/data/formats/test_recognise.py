"""What `roundelay init` sees in a folder of NIfTI exams, and the study that it writes of it."""

import tomllib

import numpy as np
import pytest

from nifti_files import BRATS20, BRATS23, labels_of, voxels_of, write_exam, write_nifti
from roundelay.cli.app import run_app
from roundelay.data.formats.recognise import recognise
from roundelay.errors import DataError
from roundelay.phantom.cohort import make_toy
from roundelay.study.file import read_study
from roundelay.study.preset import kept_lines, preset_names, preset_text, with_data

OLD = {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)}
NEW = {"whole": (1, 2, 3), "core": (1, 3), "enhancing": (3,)}


def said(seen):
    return " ".join(" ".join(lines) for lines in seen.notes.values())


@pytest.mark.parametrize(
    ("exam", "kind", "labels", "meant"),
    [
        ("BraTS20_Training_00{}", "BraTS 2020", (1, 2, 4), OLD),
        ("BraTS2021_0000{}", "BraTS 2021", (1, 2), OLD),
        ("FeTS2022_0000{}", "FeTS", (1, 2, 4), OLD),
        ("UCSF-PDGM-000{}", "UCSF-PDGM", (1, 2, 4), OLD),
        ("UPENN-GBM-0000{}_11", "UPENN-GBM", (2,), OLD),
        ("BraTS-GLI-0000{}-000", "BraTS 2023 or later", (1, 2, 3), NEW),
        ("BraTS-MEN-0000{}-000", "another set of BraTS 2023 or later", (1, 2, 3), NEW),
        ("BraTS-PED-0000{}-000", "BraTS of children", (1, 2, 3), {"tumour": (1, 2, 3, 4)}),
        ("BraTS-GLI-0000{}-101", "BraTS 2024, after surgery", (1, 2, 3), NEW),
        ("P{}", None, (1, 2, 4), OLD),
        ("P{}", None, (1, 2, 3), {"tumour": (1, 2, 3)}),
        ("P{}", None, (1, 2), {"tumour": (1, 2)}),
        ("P{}", None, (255,), {"tumour": (255,)}),
        ("P{}", None, (), {"tumour": (1,)}),
        ("FeTS2022_0000{}", "FeTS", (1, 2, 3), {"tumour": (1, 2, 3)}),
    ],
)
def test_sets_are_told_by_names_and_the_values_met(tmp_path, exam, kind, labels, meant):
    for number in range(3):
        write_exam(tmp_path / exam.format(number), labels=labels)

    seen = recognise(tmp_path)

    assert seen.format == "nifti" and seen.channels == ("t1ce", "t1", "t2", "flair")
    assert "(the first calls them t1ce, t1, t2, flair)" in said(seen)
    assert dict(seen.labels) == meant and list(seen.labels) == list(meant)
    assert (f"called as in {kind}" in seen.said) is (kind is not None)
    met = ", ".join(map(str, (0, *labels)))
    assert f"Values met in the masks of 3 of 3 exams: {met}." in said(seen)


def test_the_cavity_of_2024_is_ignored_and_said(tmp_path):
    write_exam(tmp_path / "BraTS-GLI-00001-000", channels=BRATS23, sep="-", labels=(1, 2, 3, 4))

    seen = recognise(tmp_path)

    assert (seen.labels, seen.ignored) == (NEW, (4,))
    assert "4 is the cavity that surgery left" in said(seen)


def test_where_no_cavity_was_met_it_is_said_what_to_do_with_one(tmp_path):
    write_exam(tmp_path / "BraTS-GLI-00001-000", channels=BRATS23, sep="-", labels=(1, 2, 3))

    seen = recognise(tmp_path)

    assert seen.ignored == () and "then ignored_labels = [4]" in said(seen)


def test_masks_are_opened_from_the_first_to_the_last_and_not_all_of_them(tmp_path):
    for number in range(40):
        write_exam(tmp_path / f"P{number:02}", shape=(4, 4, 4), labels=(1 + number,))

    met = said(recognise(tmp_path))

    assert "masks of 8 of 40 exams: 0, 1, 6, 11, 16, 21, 26, 31, 36." in met


def test_channels_that_not_all_exams_have_are_said(tmp_path):
    write_exam(tmp_path / "P1")
    write_exam(tmp_path / "P2", channels=("t1", "t1ce", "t2", "pet"))

    seen = recognise(tmp_path)

    assert seen.channels == ("t1ce", "t1", "t2")
    assert "Not in all: flair (1 exams)" in said(seen)


def test_channels_of_other_names_are_taken_as_they_are(tmp_path):
    for number in range(2):
        channels = ("adc", "dwi", "not plain", f"own{number}")
        write_exam(tmp_path / f"P{number}", channels=channels, labels=(1,))

    assert recognise(tmp_path).channels == ("adc", "dwi")

    write_exam(tmp_path / "P2", channels=("x",), labels=(1,))
    with pytest.raises(DataError, match=r"No channel is found in all 3 exams. Met were: adc \(2 e"):
        recognise(tmp_path)


@pytest.mark.parametrize("above", [False, True])
def test_a_partition_table_beside_the_exams_says_the_sites(tmp_path, above):
    place = tmp_path / "train" if above else tmp_path
    for number in range(3):
        write_exam(place / f"FeTS2022_0000{number}")
    rows = "".join(f"{1 + n % 2},FeTS2022_0000{n}\n" for n in range(3))
    table = tmp_path / "partitioning_1.csv"
    table.write_text(f"Partition_ID,Subject_ID\n{rows}")
    (tmp_path / "ages.csv").write_text("Subject_ID,Age\nFeTS2022_00000,50\n")

    assert recognise(tmp_path).sites == f"table:{table}"

    table.write_text(f"Partition_ID,Subject_ID\n{rows}1,FeTS2022_99999\n")
    seen = recognise(tmp_path)
    assert seen.sites == "chunks:3"
    assert "partitioning_1.csv lies beside, but names 1 patients who are not here" in said(seen)


@pytest.mark.parametrize(
    ("exams", "sites"),
    [
        (["TCGA-DU-7294", "TCGA-FG-6692"], "institution"),
        (["TCGA-DU-7294", "TCGA-DU-6692"], "chunks:2"),
        ([f"P{n}" for n in range(9)], "chunks:4"),
        (["BraTS-GLI-00001-000", "BraTS-GLI-00001-001"], "institution"),
    ],
)
def test_without_a_table_names_tell_sites_or_they_are_made_up(tmp_path, exams, sites):
    for exam in exams:
        write_exam(tmp_path / exam, shape=(4, 4, 4), labels=(1,))

    seen = recognise(tmp_path)

    assert seen.sites == sites
    assert 'table:FILE.csv" with the columns patient, site' in said(seen)


def test_what_holds_no_nifti_is_left_to_others_and_what_is_wrong_is_refused(tmp_path):
    (tmp_path / "TCGA_CS_1_1").mkdir()
    assert recognise(tmp_path) is None
    with pytest.raises(DataError, match="There is no folder"):
        recognise(tmp_path / "nowhere")

    write_exam(tmp_path / "P1", labels=labels_of((8, 9, 6), (0.5,), np.float32))
    with pytest.raises(DataError, match="no whole numbers"):
        recognise(tmp_path)


@pytest.mark.parametrize("above", [False, True])
def test_patients_of_the_lgg_layout_stay_what_they_are_whatever_lies_beside(tmp_path, above):
    place = tmp_path / "kaggle_3m" if above else tmp_path
    make_toy(place, seed=0, patients={"NORTH": 1}, slices=4, size=32)
    write_nifti(place / "template" / "t1.nii", voxels_of("t1", (8, 9, 6)))

    assert recognise(tmp_path) is None


@pytest.mark.parametrize("preset", sorted({*preset_names()} - {"demo"}))
def test_init_writes_a_study_that_can_be_read_and_says_why(tmp_path, capsys, preset):
    for number in range(5):
        write_exam(tmp_path / "data" / f"BraTS-GLI-0000{number}-000", channels=BRATS23, sep="-")
    write_nifti(tmp_path / "data" / "BraTS-GLI-00000-000" / "x.nii", labels_of((8, 9, 6)))
    out = tmp_path / "study.toml"

    assert run_app(["init", str(tmp_path / "data"), "--out", str(out), "--preset", preset]) == 0

    study, text, shown = read_study(out), out.read_text(), capsys.readouterr()
    assert study.data.format == "nifti" and study.data.root == str(tmp_path / "data")
    assert study.data.channels == ("t1ce", "t1", "t2", "flair")
    assert study.data.regions == NEW and study.data.ignored_labels == (4,)
    assert (study.data.sites, study.data.crop) == ("chunks:4", "brain")
    before = tomllib.loads(preset_text(preset))
    before["recipe"].pop("dropped_together", None)  # it names LGG's channels
    after = tomllib.loads(text)
    assert all(after[key] == before[key] for key in before if key != "data")
    kept = [k for k in ("split", "size", "intensity", "neighbours") if k in before["data"]]
    assert all(after["data"][key] == before["data"][key] for key in kept) and len(kept) >= 3
    assert "# Values met in the masks of 5 of 5 exams: 0, 1, 2, 4." in text
    new = {*text.splitlines()} - {*preset_text(preset).splitlines()}
    assert all(len(line) <= 100 for line in new if str(tmp_path) not in line)
    assert "Found 5 exams of NIfTI files, called as in BraTS 2023 or later." in shown.out
    assert "neither channel nor mask" in shown.out + shown.err


def test_a_cavity_may_stand_in_masks_that_were_not_opened(tmp_path):
    write_exam(tmp_path / "BraTS-GLI-00001-100", channels=BRATS23, sep="-", labels=(1, 2, 3))

    assert recognise(tmp_path).ignored == (4,)


@pytest.mark.parametrize(
    ("exam", "mask"),
    [
        ("BraTS-MEN-RT-0001-1", "gtv"),
        ("TCGA-CS-4942", "1997.02.22_GlistrBoost_ManuallyCorrected"),
        ("PatientID_0003_Timepoint_1", "tumorMask"),
    ],
)
def test_masks_of_public_sets_are_known_by_name(tmp_path, exam, mask):
    folder = write_exam(tmp_path / exam, channels=("t1c",), mask=mask, labels=(1,))
    write_nifti(folder / f"{exam}_1997.02.22_GlistrBoost.nii.gz", labels_of((8, 9, 6), (2,)))

    seen = recognise(tmp_path)

    assert (seen.channels, seen.labels) == (("t1ce",), {"tumour": (1,)})


def test_init_makes_up_no_more_sites_than_patients_are_left(tmp_path, capsys):
    for number in range(4):
        write_exam(tmp_path / "data" / f"P{number}", mask="seg" if number else None)
    out = tmp_path / "study.toml"

    assert run_app(["init", str(tmp_path / "data"), "--out", str(out)]) == 0

    data = read_study(out).data
    assert (data.on_bad_exam, data.sites) == ("leave-out", "chunks:3")
    assert "without mask, left out: 1 (P0)" in capsys.readouterr().err


def test_init_counts_single_exams_that_lack_something_and_leaves_them_out(tmp_path, capsys):
    for number in range(10):
        lacks = {3: {"channels": BRATS20[:3]}, 5: {"mask": None}}.get(number, {})
        write_exam(tmp_path / "data" / f"P{number}", **lacks)
    out = tmp_path / "study.toml"

    assert run_app(["init", str(tmp_path / "data"), "--out", str(out)]) == 0

    data, shown = read_study(out).data, capsys.readouterr()
    assert data.on_bad_exam == "leave-out" and "flair" in data.channels
    for said in ("channel flair, left out: 1 (P3)", "without mask, left out: 1 (P5)"):
        assert said in shown.out + shown.err
    assert "count and name them. They are left out" in " ".join(out.read_text().split("\n# "))


def test_init_refuses_where_no_exam_would_be_left(tmp_path, capsys):
    for number in range(3):
        write_exam(tmp_path / "data" / f"P{number}", mask=None)
    out = tmp_path / "study.toml"

    assert run_app(["init", str(tmp_path / "data"), "--out", str(out)]) == 2

    assert "3 of 3 exams have no mask" in capsys.readouterr().err and not out.exists()


def test_a_name_can_not_break_out_of_a_comment(tmp_path):
    write_exam(tmp_path / "P1", channels=("t1", 'x\nroot = "y"'), labels=(1,))
    write_exam(tmp_path / "P2", channels=("t1",), labels=(1,))
    (tmp_path / 'partition\nroot = "y".csv').write_text("patient,site\nP9,A\n")

    seen = recognise(tmp_path)
    text = with_data(preset_text("quick"), seen.as_toml(kept_lines(preset_text("quick"))))

    assert tomllib.loads(text)["data"]["root"] == ""


@pytest.mark.parametrize("name", ["P1_t1.img", "P1_t1.HDR", "T1.mgz", "data.h5"])
def test_volumes_that_nothing_here_reads_are_named(tmp_path, capsys, name):
    (tmp_path / "data" / "P1").mkdir(parents=True)
    (tmp_path / "data" / "P1" / name).write_bytes(b"x")

    assert run_app(["init", str(tmp_path / "data"), "--out", str(tmp_path / "s.toml")]) == 2

    assert f"files such as {name}, which are not read here. Conv" in capsys.readouterr().err
    assert not (tmp_path / "s.toml").exists()


def test_of_many_folders_that_hold_exams_a_few_are_named(tmp_path):
    for number in range(9):
        write_exam(tmp_path / f"person_{number}" / "scan")

    with pytest.raises(DataError, match=r"in 9 folders: .*person_4 and 4 more. Who trains"):
        recognise(tmp_path)


def test_a_picture_is_no_volume_of_slices(tmp_path):
    write_exam(tmp_path / "P1", shape=(8, 9), labels=labels_of((8, 9, 6))[:, :, 1])

    with pytest.raises(DataError, match=r"P1_seg.nii.gz is 8 x 9: no volume of slices. Write"):
        recognise(tmp_path)
