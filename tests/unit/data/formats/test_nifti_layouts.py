"""Where exams of NIfTI files lie: each known layout, and what is refused with which words."""

from dataclasses import replace

import numpy as np
import pytest

from nifti_files import BRATS20, BRATS23, labels_of, voxels_of, write_exam, write_nifti
from roundelay.data.formats import lgg, nifti
from roundelay.data.formats.known import read_volume
from roundelay.data.image_settings import ANY, ImageSettings
from roundelay.errors import DataError

CHANNELS = ("t1ce", "t1", "t2", "flair")
WANTED = ImageSettings(
    channels=CHANNELS,
    regions=(("whole", (1, 2, 4)), ("core", (1, 4)), ("enhancing", (4,))),
)


def find(root, *, masks=True, **changed):
    return nifti.find_patients(root, replace(WANTED, **changed), masks=masks)


def names(patient):
    """What each channel's file, and the mask, is called."""
    return [source and source.path.name for source in patient.channels], [
        path.name for path in patient.masks
    ]


def left_out(found):
    return {one.reason.split(",")[0]: (one.count, one.example) for one in found.left_out}


@pytest.mark.parametrize("end", [".nii", ".nii.gz", ".NII.GZ"])
@pytest.mark.parametrize("name", ["BraTS20_Training_001", "BraTS2021_00006", "FeTS2022_01341"])
def test_brats_before_2023_and_fets(tmp_path, name, end):
    write_exam(tmp_path / name, end=end.lower())
    for path in [*(tmp_path / name).iterdir()] if end.isupper() else []:
        path.rename(path.with_name(path.name.replace(".nii.gz", end)))

    (patient,) = find(tmp_path).patients

    assert (patient.id, patient.person, patient.site, patient.slices) == (name, name, "all", 6)
    assert names(patient) == ([f"{name}_{c}{end}" for c in CHANNELS], [f"{name}_seg{end}"])


def test_the_channels_stand_in_the_studys_order_with_their_own_numbers(tmp_path):
    write_exam(tmp_path / "BraTS2021_00006")

    volume = read_volume(find(tmp_path).patients[0])

    assert volume.channels.dtype == np.int16
    for number, channel in enumerate(CHANNELS):
        wanted = voxels_of(channel + "BraTS2021_00006", (8, 9, 6))
        assert (volume.grid.to_file(volume.channels[number]) == wanted).all()
    assert volume.regions.sum(axis=(1, 2, 3)).tolist() == [6, 4, 2]


def test_brats_2023_and_2024_tell_exam_and_patient_apart(tmp_path):
    for exam in ("BraTS-GLI-00001-000", "BraTS-GLI-00001-001", "BraTS-GLI-00002-000"):
        write_exam(tmp_path / exam, channels=BRATS23, sep="-")

    first, second, other = find(tmp_path).patients

    assert names(first)[0] == [
        f"BraTS-GLI-00001-000-{c}.nii.gz" for c in ("t1c", "t1n", "t2w", "t2f")
    ]
    assert first.id != second.id
    assert [p.person for p in (first, second, other)] == [
        "BraTS-GLI-00001",
        "BraTS-GLI-00001",
        "BraTS-GLI-00002",
    ]


def test_fets_with_brain_before_the_channel(tmp_path):
    for number, mask in enumerate(("final_seg", "brain_final_seg")):
        exam = f"FeTS2022_0134{number}"
        write_exam(tmp_path / exam, channels=[f"brain_{c}" for c in BRATS20], mask=mask)

    found = find(tmp_path)

    for patient, mask in zip(found.patients, ("final_seg", "brain_final_seg"), strict=True):
        assert names(patient) == (
            [f"{patient.id}_brain_{c}.nii.gz" for c in CHANNELS],
            [f"{patient.id}_{mask}.nii.gz"],
        )
    assert not found.left_out


def test_ucsf_pdgm_has_many_other_files_and_follow_ups(tmp_path):
    others = ("SWI", "DWI", "ASL", "ADC", "DTI_eddy_FA", "T2_bias", "FLAIR_bias")
    for exam in ("UCSF-PDGM-0429", "UCSF-PDGM-0429_FU003d"):
        folder = tmp_path / f"{exam}_nifti"
        channels = ("T1", "T1c", "T2", "FLAIR", *others)
        write_exam(folder, name=exam, channels=channels, mask="tumor_segmentation")
        write_nifti(folder / f"{exam}_brain_segmentation.nii.gz", labels_of((8, 9, 6)))
        write_nifti(folder / f"{exam}_brain_parenchyma_segmentation.nii.gz", labels_of((8, 9, 6)))

    found = find(tmp_path)

    follow_up, first = found.patients
    assert names(first) == (
        [f"UCSF-PDGM-0429_{c}.nii.gz" for c in ("T1c", "T1", "T2", "FLAIR")],
        ["UCSF-PDGM-0429_tumor_segmentation.nii.gz"],
    )
    assert (first.folder, follow_up.id) == ("UCSF-PDGM-0429_nifti", "UCSF-PDGM-0429_FU003d")
    assert first.person == follow_up.person == "UCSF-PDGM-0429"
    assert nifti.mask_names(first) == ["UCSF-PDGM-0429.nii.gz"]
    unused = left_out(found)["NIfTI files in exams' folders that are neither channel nor mask"]
    assert unused[0] == 2 * (len(others) + 2)


def test_ucsf_pdgm_with_bias_alone(tmp_path):
    exam = "UCSF-PDGM-0004"
    channels = [f"{c}_bias" for c in ("T1", "T1c", "T2", "FLAIR")]
    write_exam(tmp_path / f"{exam}_nifti", name=exam, channels=channels, mask="tumor_segmentation")

    (patient,) = find(tmp_path).patients

    assert names(patient)[0] == [f"{exam}_{c}_bias.nii.gz" for c in ("T1c", "T1", "T2", "FLAIR")]


@pytest.mark.parametrize("above", ["", "NIfTI-files"])
def test_upenn_gbm_has_images_and_masks_in_two_trees(tmp_path, above):
    for exam in ("UPENN-GBM-00001_11", "UPENN-GBM-00001_21", "UPENN-GBM-00002_11"):
        folder = tmp_path / above / "images_structural" / exam
        write_exam(folder, channels=("T1", "T1GD", "T2", "FLAIR"), mask=None)
        write_nifti(tmp_path / above / "images_segm" / f"{exam}_segm.nii.gz", labels_of((8, 9, 6)))
    write_nifti(tmp_path / above / "automated_segm" / "x.nii.gz", labels_of((8, 9, 6)))
    write_nifti(
        tmp_path / above / "images_segm" / "UPENN-GBM-00009_11_segm.nii.gz", labels_of((8, 9, 6))
    )

    found = find(tmp_path)

    first, follow_up, other = found.patients
    assert names(first) == (
        [f"UPENN-GBM-00001_11_{c}.nii.gz" for c in ("T1GD", "T1", "T2", "FLAIR")],
        ["UPENN-GBM-00001_11_segm.nii.gz"],
    )
    assert first.person == follow_up.person == "UPENN-GBM-00001" != other.person
    assert left_out(found) == {
        "Folders without an exam": (1, "automated_segm"),
        "Masks without an exam": (1, "UPENN-GBM-00009_11_segm.nii.gz"),
    }


@pytest.mark.parametrize("mask", ["label-tumor_mask", "dseg"])
@pytest.mark.parametrize("sessions", [(), ("ses-01", "ses-02")])
def test_bids_with_masks_among_the_derivatives(tmp_path, sessions, mask):
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-X\t50\n")
    (tmp_path / "sub-X" / "dwi").mkdir(parents=True)
    for session in sessions or ("",):
        exam = "_".join(filter(None, ("sub-X", session)))
        channels = ("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR")
        write_exam(tmp_path / "sub-X" / session / "anat", name=exam, channels=channels, mask=None)
        derived = tmp_path / "derivatives" / "manual" / "sub-X" / session / "anat"
        write_nifti(derived / f"{exam}_{mask}.nii.gz", labels_of((8, 9, 6)))
        write_nifti(derived / f"{exam}_desc-brain_mask.nii.gz", labels_of((8, 9, 6)))

    patients = find(tmp_path).patients

    assert [p.id for p in patients] == [f"sub-X_{s}" for s in sessions] or ["sub-X"]
    assert {p.person for p in patients} == {"sub-X"}
    assert names(patients[-1]) == (
        [f"{exam}_{c}.nii.gz" for c in ("ce-gadolinium_T1w", "T1w", "T2w", "FLAIR")],
        [f"{exam}_{mask}.nii.gz"],
    )
    assert read_volume(patients[0]).regions.any()
    assert {p.attributes["age"] for p in patients} == {"50"}


def test_a_tcga_barcode_says_the_institution(tmp_path):
    for exam in ("TCGA-DU-7294", "TCGA-FG-6692"):
        write_exam(tmp_path / exam)

    assert [p.site for p in find(tmp_path).patients] == ["DU", "FG"]


def test_exams_may_lie_one_folder_deeper_and_several_such_folders_are_refused(tmp_path):
    write_exam(tmp_path / "train" / "P1")
    assert [p.id for p in find(tmp_path).patients] == ["P1"]

    write_exam(tmp_path / "val" / "P2")
    with pytest.raises(DataError, match=r"holds patients in 2 folders: train, val"):
        find(tmp_path)


def test_what_is_no_exam_is_counted_and_said(tmp_path):
    exam = write_exam(tmp_path / "P1")
    (exam / "notes.txt").write_text("x")
    (exam / ".DS_Store").write_text("x")
    (exam / "old").mkdir()
    (tmp_path / "partitioning_1.csv").write_text("x")
    (tmp_path / "empty").mkdir()
    write_nifti(tmp_path / "predicted" / "P1.nii.gz", labels_of((8, 9, 6)))
    (tmp_path / "predicted" / "prediction.json").write_text("{}")

    assert left_out(find(tmp_path)) == {
        "Files beside the exams' folders": (1, "partitioning_1.csv"),
        "Folders without an exam": (1, "empty"),
        "Folders that hold predictions": (1, "predicted"),
        "Files in exams' folders that are no NIfTI files": (1, "P1/notes.txt"),
        "Hidden files and what systems leave (._*": (1, "P1/.DS_Store"),
        "Folders inside patients' folders": (1, "P1/old"),
    }


def test_attributes_are_read_by_exam_or_by_person(tmp_path):
    for exam in ("BraTS-GLI-00001-000", "BraTS-GLI-00001-001"):
        write_exam(tmp_path / exam, channels=BRATS23, sep="-")
    (tmp_path / "data.csv").write_text("Patient,age\nBraTS-GLI-00001,61\n")

    found = find(tmp_path)

    assert [p.attributes for p in found.patients] == [{"age": "61"}] * 2
    assert not found.left_out


def test_two_files_that_fit_one_channel_are_refused_unless_one_is_exact(tmp_path):
    exam = write_exam(tmp_path / "P1", channels=("x_t1", "t1ce", "t2", "flair"))
    write_nifti(exam / "P1_y_t1.nii.gz", voxels_of("y", (8, 9, 6)))
    with pytest.raises(DataError, match=r"P1 is the channel t1: P1_x_t1.nii.gz and P1_y_t1.nii.gz"):
        find(tmp_path)

    write_nifti(exam / "P1_t1.nii.gz", voxels_of("z", (8, 9, 6)))
    assert names(find(tmp_path).patients[0])[0][1] == "P1_t1.nii.gz"


def test_two_masks_are_refused_and_without_need_of_one_none_is_used(tmp_path):
    exam = write_exam(tmp_path / "P1")
    write_nifti(exam / "P1_final_seg.nii.gz", labels_of((8, 9, 6)))

    with pytest.raises(DataError, match=r"is its mask: P1_final_seg.nii.gz and P1_seg"):
        find(tmp_path)
    found = find(tmp_path, masks=False)

    assert found.patients[0].masks == ()
    assert left_out(found)["Exams with several files that could be the mask"] == (1, "P1")


def test_a_t1_with_contrast_is_never_taken_for_one_without(tmp_path):
    write_exam(tmp_path / "P1", channels=("post_t1", "t2", "flair"))

    with pytest.raises(DataError, match="P1 has no channel t1"):
        find(tmp_path)
    (patient,) = find(tmp_path, missing="zero").patients

    assert names(patient)[0][:2] == ["P1_post_t1.nii.gz", None]


def test_a_folder_of_another_kind_is_answered_with_its_format(tmp_path):
    write_exam(tmp_path / "N" / "P1")
    tiff = tmp_path / "L" / "TCGA_CS_4941_19960909" / "TCGA_CS_4941_19960909_1.tif"
    tiff.parent.mkdir(parents=True)
    tiff.write_bytes(b"II*")
    (tmp_path / "E").mkdir()

    with pytest.raises(DataError, match=r"opened as slices of TIFF.*--format nifti"):
        lgg.find_patients(tmp_path / "N")
    with pytest.raises(DataError, match=r"opened as NIfTI.*--format lgg"):
        find(tmp_path / "L")
    for search in (lgg.find_patients, find):
        with pytest.raises(DataError, match=r"E is empty\. Give the folder"):
            search(tmp_path / "E")
        with pytest.raises(DataError, match=r"_1\.tif is a file\. Give the folder"):
            search(tiff)


@pytest.mark.parametrize("tail", ["no_contrast_T1", "non-contrast_T1", "pre_contrast_t1"])
def test_a_word_that_takes_contrast_back_makes_a_t1_without(tmp_path, tail):
    write_exam(tmp_path / "P1", channels=("t1ce", tail, "t2", "flair"))

    (patient,) = find(tmp_path).patients

    assert names(patient)[0][:2] == ["P1_t1ce.nii.gz", f"P1_{tail}.nii.gz"]


def test_a_sites_own_pattern_wins(tmp_path):
    write_exam(tmp_path / "P1", channels=(*BRATS20, "ax_T1post"))

    (patient,) = find(tmp_path, named=(("t1ce", "*_T1post"),)).patients

    assert names(patient)[0][0] == "P1_ax_T1post.nii.gz"
    assert names(find(tmp_path, named=(("t1ce", "ax_t1post"),)).patients[0])[0][0] == (
        "P1_ax_T1post.nii.gz"
    )


def test_a_site_says_for_its_own_exams_alone_what_a_channel_is_called(tmp_path):
    write_exam(tmp_path / "P1")
    write_exam(tmp_path / "P2", channels=("t1", "weird", "t2", "flair"))
    own = replace(WANTED, named=(("t1ce", "weird"),))

    with pytest.raises(DataError, match="The exam P2 has no channel t1ce"):
        find(tmp_path)
    _, second = find(tmp_path, elsewhere=(("P2", own),)).patients

    assert names(second)[0][0] == "P2_weird.nii.gz"
    assert second.settings == own


def test_every_exam_that_lacks_a_mask_is_named(tmp_path):
    for number in range(5):
        write_exam(tmp_path / f"P{number}", mask="seg" if number == 3 else None)

    with pytest.raises(DataError, match=r"4 of 5 exams have no mask: P0, P1, P2, P4\."):
        find(tmp_path)
    assert [len(p.masks) for p in find(tmp_path, masks=False).patients] == [0, 0, 0, 1, 0]


def test_before_a_study_is_known_exams_are_found_and_no_channel_is_looked_for(tmp_path):
    write_exam(tmp_path / "P1", channels=("a", "b"), mask=None)

    (patient,) = nifti.find_patients(tmp_path, ANY, masks=False).patients

    assert (patient.slices, len(patient.images)) == (6, 2)


def test_folders_that_are_something_else_are_refused_with_what_to_do(tmp_path):
    write_exam(tmp_path / "one")
    with pytest.raises(DataError, match="of a single exam give the folder above"):
        find(tmp_path / "one")
    with pytest.raises(DataError, match="There is no folder"):
        find(tmp_path / "nowhere")

    raw = tmp_path / "raw"
    write_nifti(raw / "imagesTr" / "a_0000.nii.gz", voxels_of("a", (8, 9, 6)))
    (raw / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match='format = "nnunet"'):
        find(raw)

    (tmp_path / "bare" / "notes").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no exam: expected folders such as BraTS2021_00006"):
        find(tmp_path / "bare")


def test_a_file_that_is_named_after_something_else_is_taken_and_said(tmp_path):
    exam = write_exam(tmp_path / "P1", channels=("t1ce", "t2", "flair"))
    write_nifti(exam / "scan7_t1.nii.gz", voxels_of("x", (8, 9, 6)))

    found = find(tmp_path)

    assert left_out(found)["Files that are named after something else than their exam"] == (
        1,
        "P1/scan7_t1.nii.gz",
    )


def test_an_exam_with_two_folders_is_refused(tmp_path):
    write_exam(tmp_path / "P1")
    write_exam(tmp_path / "P1_nifti", name="P1")

    with pytest.raises(DataError, match="The exam P1 has two folders, P1 and P1_nifti"):
        find(tmp_path)


@pytest.mark.parametrize("other", ["brain_mask", "brain_parenchyma_segmentation", "auto_seg"])
def test_a_mask_of_something_else_is_none(tmp_path, other):
    write_exam(tmp_path / "P1", mask=other)

    with pytest.raises(DataError, match="The exam P1 has no mask"):
        find(tmp_path)


def test_exams_that_lack_something_may_be_left_out_and_are_named(tmp_path):
    write_exam(tmp_path / "P1", mask=None)
    write_exam(tmp_path / "P2", channels=("t1", "t2", "flair"))
    write_nifti(write_exam(tmp_path / "P3") / "P3_final_seg.nii", labels_of((8, 9, 6)))
    with pytest.raises(DataError, match="The data have 3 faults"):
        find(tmp_path, on_bad_exam="leave-out")

    write_exam(tmp_path / "P4")
    found = find(tmp_path, on_bad_exam="leave-out")

    assert [p.id for p in found.patients] == ["P4"]
    assert [(one.reason, one.example) for one in found.left_out][:2] == [
        ("Exams without mask, left out", "P1"),
        ("Exams without channel t1ce, left out", "P2"),
    ]
    assert found.left_out[2].example.startswith("It isn't plain which file of the exam P3 is its")


@pytest.mark.parametrize("tail", ["T1 Gd", "T1-Gd", "t1.ce", "ax_T1 post", "t1_gd_bias"])
def test_what_stands_between_the_words_of_a_channel_does_not_matter(tmp_path, tail):
    write_exam(tmp_path / "P1", channels=("T1-pre", tail, "t2", "T2 FLAIR"))

    (patient,) = find(tmp_path).patients

    assert names(patient)[0] == [f"P1_{own}.nii.gz" for own in (tail, "T1-pre", "t2", "T2 FLAIR")]


def test_a_tumours_mask_and_one_of_tissues_by_two_programs_are_told_apart_or_refused(tmp_path):
    write_exam(tmp_path / "sub-X" / "anat", name="sub-X", mask=None)
    derived = tmp_path / "derivatives"
    tissues = derived / "fmriprep" / "sub-X" / "anat" / "sub-X_dseg.nii.gz"
    lesion = derived / "sub-X" / "anat" / "sub-X_space-T1w_dseg.nii.gz"  # of no program's
    for path in (tissues, lesion):
        write_nifti(path, labels_of((8, 9, 6)))

    with pytest.raises(DataError, match=r"is its mask: sub-X_dseg.* and sub-X_space-T1w_dseg.*"):
        find(tmp_path)

    lesion.rename(lesion.with_name("sub-X_label-lesion_mask.nii.gz"))
    assert names(find(tmp_path).patients[0])[1] == ["sub-X_label-lesion_mask.nii.gz"]
