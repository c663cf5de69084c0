"""What a DICOM series can have wrong: each is refused with a sentence, or right."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_files import blob, grey, uid, write_seg, write_series
from roundelay.data.formats import dicom
from roundelay.data.formats.dicom_channels import channel_of
from roundelay.data.formats.dicom_header import quiet
from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError, MissingExtraError

ONE = ImageSettings(channels=("flair",))

DIRECTORY = "1.2.840.10008.1.3.10"


def find(root: Path, settings: ImageSettings = ONE):
    return dicom.find_patients(root, settings, masks=False).patients


def refused(root: Path, match: str, settings: ImageSettings = ONE) -> None:
    with pytest.raises(DataError, match=match):
        find(root, settings)


def changed(**values):
    """A change of the third slice alone."""

    def change(dataset, number):
        for name, value in values.items() if number == 2 else ():
            setattr(dataset, name, value)

    return change


def test_a_gap_is_refused_with_where(tmp_path):
    paths = write_series(tmp_path, grey())
    paths[3].unlink()

    refused(tmp_path, f"from {paths[2].name} to {paths[4].name} it is 10 mm, elsewhere 5 mm")


def test_a_slice_between_two_others_is_refused(tmp_path):
    def between(dataset, number):
        if number == 2:
            dataset.ImagePositionPatient[2] += 2

    write_series(tmp_path, grey(), change=between)

    refused(tmp_path, "slices are missing|one is too many")


def test_two_slices_on_one_place_are_refused(tmp_path):
    paths = write_series(tmp_path, grey())
    (tmp_path / "copy.dcm").write_bytes(paths[2].read_bytes())

    refused(tmp_path, r"copy\.dcm.* have one SOPInstanceUID")
    dataset = pydicom.dcmread(paths[2])
    dataset.SOPInstanceUID = uid("another")
    dataset.save_as(tmp_path / "copy.dcm")
    refused(tmp_path, r"copy\.dcm.* lie on one place")


def test_two_slices_of_one_uid_are_refused(tmp_path):
    def same(dataset, number):
        dataset.SOPInstanceUID = uid("all")

    write_series(tmp_path, grey(), change=same)

    refused(tmp_path, "have one SOPInstanceUID")


def test_a_slice_beside_the_line_of_the_others_is_refused(tmp_path):
    def beside(dataset, number):
        if number == 2:
            dataset.ImagePositionPatient[0] += 1

    write_series(tmp_path, grey(), change=beside)

    refused(tmp_path, "1 mm beside the line")


def test_a_tilted_gantry_is_refused(tmp_path):
    def tilted(dataset, number):
        dataset.ImagePositionPatient[1] += number

    write_series(tmp_path / "a", grey(), description="T1")
    write_series(tmp_path / "b", grey(), change=tilted)

    refused(tmp_path, "The axes of the series 'AX FLAIR' .* sheared")
    refused(tmp_path, "'AX FLAIR' .* sheared", replace(ONE, channels=("t1", "flair")))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "lie in different planes"),
        ({"PixelSpacing": [1.0, 0.8]}, "pixels of different size"),
        ({"Rows": 6, "Columns": 20}, "12 x 10 and 6 x 20|6 x 20 and 12 x 10"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "is MONOCHROME1; expected grey levels"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "is RGB"),
        ({"NumberOfFrames": 2}, "holds 2 frames in one file"),
        ({"ImagePositionPatient": None}, "doesn't say where it lies"),
        ({"PixelSpacing": [0.0, 0.8]}, "doesn't say where it lies"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "doesn't say where it lies"),
        ({"ModalityLUTSequence": [pydicom.Dataset()]}, "Modality LUT"),
        ({"PatientID": ""}, "has no PatientID"),
    ],
)
def test_a_slice_that_does_not_fit_is_refused(tmp_path, values, match):
    write_series(tmp_path, grey(), change=changed(**values))

    refused(tmp_path, match)


def test_headers_that_round_are_no_fault(tmp_path):
    def rounded(dataset, number):
        dataset.ImagePositionPatient = [
            round(float(v) + (number % 2) * 1e-4, 3) for v in dataset.ImagePositionPatient
        ]
        dataset.PixelSpacing = [0.9 + (number % 2) * 1e-6, 0.8]

    write_series(tmp_path, grey(), change=rounded)

    assert find(tmp_path)[0].slices == 6


def test_a_compression_that_nothing_here_reads_is_refused_by_its_name(tmp_path):
    for path in write_series(tmp_path, grey()):
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLossless
        dataset.PixelData = pydicom.encaps.encapsulate([dataset.PixelData])
        dataset["PixelData"].VR = "OB"
        dataset.save_as(path)

    refused(tmp_path, "compressed as JPEG Lossless.*pip install pylibjpeg")


def test_a_compressed_series_that_can_be_read_is_the_same(tmp_path):
    plain = write_series(tmp_path / "plain", grey())
    packed = write_series(tmp_path / "packed", grey(), patient="Q")
    for path in packed:
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.SOPInstanceUID = uid(path.name, "packed")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(path)

    first, second = (dicom.read_volume(patient) for patient in find(tmp_path))

    assert first.channels.tobytes() == second.channels.tobytes()
    assert len(plain) == len(packed)


def test_a_file_that_was_cut_is_refused(tmp_path):
    paths = write_series(tmp_path, grey())
    (patient,) = find(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-40])

    with pytest.raises(DataError, match=rf"{paths[2].name} can't be read .*damaged"):
        dicom.read_volume(patient)


def test_every_faulty_exam_is_named_at_once(tmp_path):
    for patient in ("A", "B", "C"):
        paths = write_series(tmp_path / patient, grey(), patient=patient)
        if patient != "B":
            paths[3].unlink()

    with pytest.raises(DataError, match="The data have 2 faults") as error:
        find(tmp_path)

    assert len(error.value.faults) == 2


def test_one_slice_needs_its_thickness(tmp_path):
    def thin(dataset, number):
        del dataset.SliceThickness

    write_series(tmp_path / "a", grey((1, 12, 10)))
    write_series(tmp_path / "b", grey((1, 12, 10)), patient="Q", change=thin)

    assert find(tmp_path / "a")[0].slices == 1
    refused(tmp_path / "b", "doesn't say how thick it is")


def test_two_series_that_could_be_a_channel_are_both_named_and_a_pattern_tells_them_apart(tmp_path):
    write_series(tmp_path / "a", grey(), description="AX FLAIR")
    write_series(tmp_path / "b", grey(seed=1), description="Sag FLAIR 3D")

    refused(tmp_path, r"'AX FLAIR' \(.*\) and 'Sag FLAIR 3D' \(.*\)")
    (patient,) = find(tmp_path, replace(ONE, named=(("flair", "sag*"),)))

    assert pydicom.dcmread(patient.images[0]).SeriesDescription == "Sag FLAIR 3D"
    refused(tmp_path, "no series for the channel", replace(ONE, named=(("flair", "cor*"),)))


def test_a_channel_that_no_alias_knows_is_a_word_of_the_description(tmp_path):
    write_series(tmp_path, grey(), description="Ax ADC (10^-6)")

    assert find(tmp_path, replace(ONE, channels=("adc",)))[0].slices == 6


@pytest.mark.parametrize(
    ("description", "channel"),
    [
        ("t1", "t1"), ("T1n", "t1"), ("Ax T1w", "t1"), ("T1_PRE", "t1"),
        ("AX T1 PRE CONTRAST", "t1"), ("t1 without gd", "t1"),
        ("t1ce", "t1ce"), ("T1GD", "t1ce"), ("t1 post", "t1ce"), ("SAG T1 POST-GD", "t1ce"),
        ("T1 +C", "t1ce"), ("t1post", "t1ce"), ("t1c", "t1ce"),
        ("T2", "t2"), ("AX T2W", "t2"), ("t2_tse_tra", "t2"), ("AX T2 POST", "t2"),
        ("AX T2 FLAIR", "flair"), ("t2f", "flair"), ("FLAIR_T2_TIRM", "flair"),
        ("T2* GRE", None), ("AX SWI T2", None), ("T1 T2 map", None), ("localizer", None),
        ("DWI", None), ("", None),
    ],
)  # fmt: skip
def test_descriptions_mean_channels(description, channel):
    assert channel_of(description) == channel


def test_a_folder_without_series_is_refused(tmp_path):
    (tmp_path / "x.txt").write_text("x")

    refused(tmp_path, "holds no DICOM series")


def test_hidden_pixels_of_a_pointer_or_text_are_no_dicom(tmp_path):
    write_series(tmp_path, grey())
    (tmp_path / "._00.dcm").write_bytes(b"\0\5\x16\7")
    (tmp_path / "pointer.dcm").write_text("version https://git-lfs.github.com/spec/v1\n")

    left = [str(one) for one in dicom.find_patients(tmp_path, ONE, masks=False).left_out]

    assert any("._00.dcm" in text for text in left)
    assert any("pointer.dcm" in text for text in left)


def test_a_file_that_was_cut_anywhere_is_refused(tmp_path):
    """Of a slice at the edge of a series no gap would tell."""
    path = write_series(tmp_path, grey())[-1]
    whole = path.read_bytes()

    for length in range(132, len(whole), 5):
        path.write_bytes(whole[:length])

        with pytest.raises(DataError, match=path.name):
            dicom.read_volume(find(tmp_path)[0])


@pytest.mark.parametrize(
    "sop",
    ["1.2.840.10008.5.1.4.1.1.88.11", DIRECTORY, "1.3.12.2.1107.5.9.1"],
    ids=["report", "directory", "private"],
)
def test_files_of_classes_without_images_are_left_out(tmp_path, sop):
    write_series(tmp_path, grey())
    write_series(tmp_path / "own", grey(seed=1), patient="Q")
    for other in tmp_path.glob("*.dcm"):
        dataset = pydicom.dcmread(other)
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop
        del dataset.Rows, dataset.Columns, dataset.PixelData
        if sop == DIRECTORY:  # has its class in front alone
            del dataset.SOPClassUID
        dataset.save_as(other)

    found = dicom.find_patients(tmp_path, ONE, masks=False)

    assert [p.id for p in found.patients] == ["Q"]
    assert any("without images (reports" in str(one) for one in found.left_out)


def test_a_damaged_reference_is_refused(tmp_path):
    paths = write_series(tmp_path, grey())
    seg = write_seg(tmp_path / "seg.dcm", paths, {"tumour": blob()})
    (patient,) = find(tmp_path)
    dataset = pydicom.dcmread(seg)
    dataset.PixelData = dataset.PixelData[:4]
    dataset.save_as(seg)

    with pytest.raises(DataError, match=r"seg\.dcm can't be read as a reference"):
        dicom.read_volume(patient)


def test_odd_headers_warn_nobody_whichever_threads_read_them(tmp_path):
    def odd(dataset, number):
        dataset.add_new("StudyDate", "DA", "no date")
        dataset.add_new("AccessionNumber", "SH", "far more than the sixteen letters allowed")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for patient in "ABCDEF":
            write_series(tmp_path / patient, grey(), patient=patient, change=odd)
    before = list(warnings.filters)
    patients = find(tmp_path)

    with ThreadPoolExecutor(4) as pool:
        volumes = list(pool.map(dicom.read_volume, patients))

    assert len(volumes) == 6 and warnings.filters == before


def test_one_thread_at_a_time_changes_the_filters_of_warnings():
    inside = threading.Event()

    def enter():
        with quiet():
            inside.set()

    other = threading.Thread(target=enter)
    with quiet():
        other.start()
        assert not inside.wait(0.2)
    other.join(10)

    assert inside.is_set()


def test_files_with_bytes_of_chance_are_right_or_refused(tmp_path):
    paths = write_series(tmp_path, grey((3, 12, 10)))
    seg = write_seg(tmp_path / "seg.dcm", paths, {"tumour": blob()[:3]})
    rng = np.random.default_rng(0)
    kinds = {"right": 0, "refused": 0}

    for number in range(60):
        path = (paths[1], seg)[number % 2]
        whole = path.read_bytes()
        data = bytearray(whole)
        for place in rng.integers(132, len(data), size=1 + number % 3 * 4):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(132, len(data))] if number % 5 == 0 else data)
        try:
            for patient in dicom.find_patients(tmp_path, ONE).patients:
                dicom.read_volume(patient)
            kinds["right"] += 1
        except DataError:
            kinds["refused"] += 1
        path.write_bytes(whole)

    assert min(kinds.values()) > 5


def test_a_name_that_can_not_be_a_patients_is_refused(tmp_path):
    def named(dataset, number):
        dataset.PatientID = "A\u202eB"
        dataset.SpecificCharacterSet = "ISO_IR 192"

    write_series(tmp_path, grey(), change=named)

    refused(tmp_path, "The PatientID in .* holds the character U\\+202E")


def test_without_the_extra_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)

    with pytest.raises(MissingExtraError, match="roundelay\\[dicom\\]"):
        dicom.find_patients(tmp_path, ONE)


def test_unsigned_levels_stay_what_they_are(tmp_path):
    levels = np.full((3, 12, 10), 65_000, np.uint16)
    write_series(tmp_path, levels)

    volume = dicom.read_volume(find(tmp_path)[0])

    assert volume.channels.dtype == np.uint16 and (volume.channels == 65_000).all()
