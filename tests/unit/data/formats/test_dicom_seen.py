"""What `roundelay init` sees in a folder of DICOM, and the study that it writes of it."""

import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dicom_files import affine, blob, grey, write_contours, write_nifti, write_seg, write_series
from roundelay.cli.app import run_app
from roundelay.data.formats import dicom_search
from roundelay.data.formats.recognise import recognise
from roundelay.errors import DataError, MissingExtraError
from roundelay.study.file import read_study

CHANNELS = {"t1ce": "AX T1 +C", "t1": "AX T1", "t2": "AX T2", "flair": "AX T2 FLAIR"}
ALL = tuple(CHANNELS.values())
CORE = blob() & (np.arange(10) < 3)


def write_exam(folder, patient, *, series=ALL, study="1", seg=None, **more):
    """Series of one exam; what a segmentation of the last one holds, `seg`, may be left out."""
    for number, text in enumerate(series):
        paths = write_series(
            folder / f"s{number}", grey(seed=number), description=text, patient=patient,
            study=study, **more,
        )  # fmt: skip
    if seg:
        write_seg(folder / "seg.dcm", paths, seg)
    return paths


def said(seen):
    return " ".join(" ".join(lines) for lines in seen.notes.values())


def test_channels_series_references_and_labels_are_seen(tmp_path):
    segments = {"Edema / T2": CORE, "Whole Tumor": blob()}
    write_exam(tmp_path / "a", "A", seg=segments, series=[*ALL, "DWI", ""])
    write_exam(tmp_path / "b", "B", seg=segments)

    seen = recognise(tmp_path)

    assert (seen.format, seen.channels) == ("dicom", ("t1ce", "t1", "t2", "flair"))
    assert seen.said == "2 exams of 2 patients as DICOM."
    assert list(seen.labels.items()) == [("whole_tumor", (2,)), ("edema_t2", (1,))]
    for text in (
        "Taken for t1ce: 'AX T1 +C' (2 exams).",
        "Taken for flair: 'AX T2 FLAIR' (2 exams).",
        "Taken for no channel: 'DWI' (1 exams), a series without description (1 exams).",
        "References: SEG in 2 exams.",
        "met: 1 'Edema / T2' (2 references), 2 'Whole Tumor' (2 references).",
        "The first is the main one.",
        "see whether a person's name is among them",
    ):
        assert text in said(seen)


@pytest.mark.parametrize("other", [("whole", "core"), ("centre", "whole")])
def test_names_that_are_not_one_to_one_with_numbers_make_one_region(tmp_path, other):
    for patient, names in (("A", ("core", "whole")), ("B", other)):
        write_exam(tmp_path / patient, patient, seg=dict(zip(names, (CORE, blob()), strict=True)))

    seen = recognise(tmp_path)

    assert seen.labels == {"tumour": (1, 2)}
    assert "One number has several labels, or one label several numbers" in said(seen)


def test_two_labels_of_one_plain_name_make_one_region(tmp_path):
    write_exam(tmp_path / "a", "A", seg={"T 1": CORE, "t-1": blob()})

    assert recognise(tmp_path).labels == {"tumour": (1, 2)}


def test_labels_of_no_latin_letters_make_one_region(tmp_path):
    paths = write_exam(tmp_path / "a", "A")
    write_contours(tmp_path / "rt.dcm", paths, {3: [], 5: []})
    _name_contours(tmp_path / "rt.dcm", {3: "腫瘍", 5: "GTV"})

    seen = recognise(tmp_path)

    assert seen.labels == {"tumour": (3, 5)}
    assert "3 '腫瘍' (1 references), 5 'GTV'" in said(seen)
    assert "Not all have a label that could be a region's name" in said(seen)


def test_contours_are_called_by_the_names_of_their_regions(tmp_path):
    paths = write_exam(tmp_path / "a", "A")
    write_contours(tmp_path / "rt.dcm", paths, {1: [], 7: []})
    _name_contours(tmp_path / "rt.dcm", {1: "Brain", 7: "GTV_Höhle"})

    seen = recognise(tmp_path)

    assert list(seen.labels.items()) == [("gtv_hohle", (7,)), ("brain", (1,))]
    assert "References: RTSTRUCT in 1 exams." in said(seen)


def _name_contours(path: Path, names: dict[int, str]) -> None:
    import pydicom

    dataset = pydicom.dcmread(path)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.StructureSetROISequence = []
    for number, name in names.items():
        region = pydicom.Dataset()
        region.ROINumber, region.ROIName = number, name
        dataset.StructureSetROISequence.append(region)
    dataset.save_as(path)


def test_nifti_masks_beside_series_are_references_and_no_set_of_nifti(tmp_path):
    for number in range(10):
        folder = tmp_path / f"p{number}"
        write_exam(folder, f"P{number}", series=["FLAIR"])
        write_nifti(folder / "x_seg.nii.gz", blob().astype(np.uint8) * (number + 1), affine())

    seen = recognise(tmp_path)

    assert (seen.format, seen.channels) == ("dicom", ("flair",))
    assert seen.labels == {"tumour": (1, 2, 3, 4, 6, 7, 8, 9)}
    assert "NIfTI in 10 exams." in said(seen) and "8 were opened" in said(seen)


def test_nifti_images_beside_dicom_are_a_set_of_nifti(tmp_path):
    write_exam(tmp_path / "dicom", "A", series=["FLAIR"], seg={"tumour": blob()})
    for name in ("P1_flair", "P1_seg"):
        write_nifti(tmp_path / "P1" / f"{name}.nii.gz", blob().astype(np.uint8), affine())

    assert recognise(tmp_path).format == "nifti"


def test_without_references_it_is_said_that_nothing_can_be_trained_on(tmp_path):
    write_exam(tmp_path / "a", "A")

    with pytest.raises(DataError, match=r"t1ce, t1, t2, flair, but no .* Nothing can be trained"):
        recognise(tmp_path)


def test_channels_that_are_not_one_series_in_each_exam_are_said(tmp_path):
    seg = {"tumour": blob()}
    write_exam(tmp_path / "a", "A", series=["T1 AX", "T1 SAG", "T2", "FLAIR"], seg=seg)
    write_exam(tmp_path / "b", "B", series=["T1 AX", "FLAIR"], seg=seg)

    seen = recognise(tmp_path)

    assert seen.channels == ("flair",)
    assert "1 exams have several series that could be t1, such as 'T1 AX' and 'T1 SAG'" in said(
        seen
    )
    assert "Not in all: t2 (1 exams)." in said(seen)


def test_where_no_channel_is_in_all_exams_what_was_met_is_named(tmp_path):
    write_exam(tmp_path / "a", "A", series=["DWI", "T2"])
    write_exam(tmp_path / "b", "B", series=["T1 SAG", "DWI"])

    with pytest.raises(DataError, match=r"each of 2 exams.*for no channel: 'DWI' \(2 exams\)"):
        recognise(tmp_path)


def test_other_exams_without_reference_or_with_several_are_said(tmp_path):
    for name in "ABC":
        paths = write_exam(tmp_path / name, name, seg={"tumour": blob()} if name != "A" else None)
    write_seg(tmp_path / "C" / "again.dcm", paths, {"tumour": blob()})

    seen = recognise(tmp_path)

    assert "References: SEG in 1 exams." in said(seen)
    assert "1 exams have no reference, such as" in said(seen)
    assert re.search(r"C has 2 references, such as \w+\.dcm and", said(seen))


@pytest.mark.parametrize("place", ["x.dcm", "a/b/c/IM.0001", "a/plain"])
def test_one_file_with_the_mark_makes_a_folder_dicom_and_needs_the_extra(
    tmp_path, monkeypatch, place
):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(20):
        (path.parent / f"{number}.txt").write_text("text")
    assert recognise(tmp_path) is None

    path.write_bytes(bytes(128) + b"DICM")

    with pytest.raises(MissingExtraError, match=r"roundelay\[dicom\]"):
        recognise(tmp_path)


def test_few_files_are_looked_at_however_many_there_are(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(dicom_search, "is_dicom", lambda path: looked.append(path))
    monkeypatch.setattr(dicom_search, "MANY", 20)
    for number in range(30):
        folder = tmp_path / f"f{number:02}" / "inner"
        folder.mkdir(parents=True)
        for name in range(12):
            (folder / f"{name}").touch()

    assert not dicom_search.holds_dicom(tmp_path)
    each = Counter(path.parent for path in {*looked})
    assert 0 < len(each) <= 20 and {*each.values()} == {dicom_search.EACH}


def test_a_wide_tree_hides_no_file_that_lies_deep(tmp_path):
    for number in range(600):
        (tmp_path / f"p{number:03}" / "study" / "series").mkdir(parents=True)
    (tmp_path / "p599" / "study" / "series" / "IM1").write_bytes(bytes(128) + b"DICM")

    assert dicom_search.holds_dicom(tmp_path)


def test_what_predict_wrote_makes_no_folder_dicom(tmp_path):
    (tmp_path / "prediction.json").write_text("{}")
    (tmp_path / "A.dcm").write_bytes(bytes(128) + b"DICM")

    assert recognise(tmp_path) is None


def test_a_table_that_names_patients_says_the_sites_of_all_their_exams(tmp_path):
    for patient, study in (("A", "1"), ("A", "2"), ("B", "1")):
        folder = tmp_path / patient / study
        write_exam(folder, patient, study=study, series=["FLAIR"], seg={"tumour": blob()})
    assert recognise(tmp_path).sites == "chunks:2"

    table = tmp_path / "sites.csv"
    table.write_text("patient,site\nA,NORTH\nB,SOUTH\n")

    assert recognise(tmp_path).sites == f"table:{table}"
    table.write_text("patient,site\nA_20240105,NORTH\nA_20240105_2,NORTH\nB,SOUTH\n")
    assert recognise(tmp_path).sites == f"table:{table}"


def test_init_writes_a_study_that_can_be_read_and_says_why(tmp_path, capsys):
    for patient in "ABC":
        segments = {"core": CORE, "whole": blob()}
        write_exam(tmp_path / "data" / patient, patient, seg=segments)
        write_series(
            tmp_path / "data" / patient / "x", grey(), patient=patient, study="1",
            description='x\nroot = "y"',
        )  # fmt: skip
    out = tmp_path / "study.toml"

    assert run_app(["init", str(tmp_path / "data"), "--out", str(out), "--preset", "quick"]) == 0

    data, text = read_study(out).data, out.read_text()
    assert (data.format, data.channels) == ("dicom", ("t1ce", "t1", "t2", "flair"))
    assert data.regions == {"whole": (2,), "core": (1,)} and data.sites == "chunks:3"
    assert tomllib.loads(text)["data"]["root"] == str(tmp_path / "data")
    assert "# References: SEG in 3 exams." in text
    assert "Found 3 exams of 3 patients as DICOM." in capsys.readouterr().out


def test_series_that_somebody_converted_beside_them_do_not_hide_dicom(tmp_path):
    for patient in "AB":
        folder = tmp_path / patient / "study"
        write_exam(folder, patient, seg={"Tumour": blob()})
        write_nifti(folder / "5_AX_FLAIR.nii.gz", grey(), affine())

    assert recognise(tmp_path).format == "dicom"
