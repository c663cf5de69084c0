"""The LGG layout: what is read, and what is refused with which words."""

import numpy as np
import pytest
from PIL import Image

from roundelay.data.formats import lgg
from roundelay.data.formats.tiff import encode_mask, read_image, read_mask
from roundelay.data.opening import open_patients, survey_patients, training_slices
from roundelay.errors import DataError
from roundelay.study.data_section import Data

FOLDER = "TCGA_CS_4941_19960909"


def write_patient(root, folder=FOLDER, slices=3, size=32, tumour=(1,), compression=None):
    place = root / folder
    place.mkdir(parents=True)
    for n in range(1, slices + 1):
        image = np.full((size, size, 3), 10 * n, np.uint8)
        mask = np.zeros((size, size), np.uint8)
        if n in tumour:
            mask[4:8, 4:9] = 255
        Image.fromarray(image).save(place / f"{folder}_{n}.tif", compression=compression)
        Image.fromarray(mask).save(place / f"{folder}_{n}_mask.tif", compression=compression)
    return place


def open_all(root, **data):
    settings = Data(root=str(root), **data)
    patients = lgg.find_patients(root).patients
    return open_patients(patients, settings), settings


@pytest.mark.parametrize("compression", [None, "tiff_deflate", "tiff_lzw"])
def test_slices_are_read_in_the_order_of_their_numbers(compression, tmp_path):
    write_patient(tmp_path, slices=11, tumour=(2, 10), compression=compression)

    (patient,), _ = open_all(tmp_path)

    assert (patient.id, patient.site) == ("TCGA_CS_4941", "CS")
    assert [read_image(p)[0, 0, 0] for p in patient.images] == [10 * n for n in range(1, 12)]
    assert [i + 1 for i, tumour in enumerate(patient.tumour) if tumour] == [2, 10]
    assert patient.tumour_size == 2 * 20


def test_the_folder_above_is_understood_and_attributes_are_read(tmp_path):
    write_patient(tmp_path / "kaggle_3m")
    (tmp_path / "kaggle_3m" / "data.csv").write_text("Patient,gender,race\nTCGA_CS_4941,2,\n")

    (patient,) = lgg.find_patients(tmp_path).patients

    assert patient.attributes == {"gender": "2"}


def test_only_slices_with_tumour_train_where_the_study_says_so(tmp_path):
    write_patient(tmp_path, slices=5, tumour=(2, 3))
    patients, data = open_all(tmp_path, slices="positive")

    assert training_slices(patients, data) == [(0, 1), (0, 2)]
    assert survey_patients("CS", patients, data).slices["train"] == 2


def test_the_digest_is_of_every_byte(tmp_path):
    place = write_patient(tmp_path)
    before = open_all(tmp_path)[0][0].digest
    mask = np.zeros((32, 32), np.uint8)
    mask[0, 0] = 255
    Image.fromarray(mask).save(place / f"{FOLDER}_3_mask.tif")

    assert open_all(tmp_path)[0][0].digest != before


def damage_missing_folder(root, place):
    return root / "nothing"


def damage_no_patients(root, place):
    (root / "empty").mkdir()
    return root / "empty"


def damage_no_masks(root, place):
    for path in place.glob("*_mask.tif"):
        path.unlink()


def damage_one_mask_missing(root, place):
    (place / f"{FOLDER}_2_mask.tif").unlink()


def damage_mask_size(root, place):
    Image.fromarray(np.zeros((16, 32), np.uint8)).save(place / f"{FOLDER}_2_mask.tif")


def damage_mask_values(root, place):
    Image.fromarray(np.full((32, 32), 7, np.uint8)).save(place / f"{FOLDER}_2_mask.tif")


def damage_truncated(root, place):
    path = place / f"{FOLDER}_2.tif"
    path.write_bytes(path.read_bytes()[:700])


def damage_no_image_at_all(root, place):
    (place / f"{FOLDER}_2.tif").write_bytes(b"nothing")


def damage_single_channel(root, place):
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(place / f"{FOLDER}_2.tif")


def damage_16_bit(root, place):
    Image.fromarray(np.zeros((32, 32), np.uint16)).save(place / f"{FOLDER}_2.tif")


def damage_other_size(root, place):
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(place / f"{FOLDER}_2.tif")
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(place / f"{FOLDER}_2_mask.tif")


def damage_two_folders(root, place):
    write_patient(root, "TCGA_CS_4941_20010101")


IMAGE, MASK = f"{FOLDER}_2.tif", f"{FOLDER}_2_mask.tif"
DAMAGES = [
    (damage_missing_folder, "There is no folder", "nothing"),
    (damage_no_patients, "is empty", "empty"),
    (damage_no_masks, "no masks", FOLDER),
    (damage_one_mask_missing, "missing for slice 2", FOLDER),
    (damage_mask_size, "16 x 32, its image 32 x 32", MASK),
    (damage_mask_values, "holds the values 7", MASK),
    (damage_truncated, "truncated or damaged", IMAGE),
    (damage_no_image_at_all, "can't be read as an image", IMAGE),
    (damage_single_channel, "mode L; expected 8 bits and three channels", IMAGE),
    (damage_16_bit, "expected 8 bits and three channels", IMAGE),
    (damage_other_size, "48 x 48", IMAGE),
    (damage_two_folders, "has two folders", "TCGA_CS_4941_20010101"),
]


@pytest.mark.parametrize(("damage", "says", "names"), DAMAGES, ids=[d[0].__name__ for d in DAMAGES])
def test_what_is_wrong_with_a_folder_is_said_with_its_name(damage, says, names, tmp_path):
    place = write_patient(tmp_path)
    root = damage(tmp_path, place) or tmp_path

    with pytest.raises(DataError, match=says) as caught:
        open_all(root)

    assert names in str(caught.value)


def test_a_mask_reads_back_as_it_was_written(tmp_path):
    mask = np.random.default_rng(0).random((32, 32)) > 0.5

    (tmp_path / "m.tif").write_bytes(encode_mask(mask))

    assert np.array_equal(read_mask(tmp_path / "m.tif", (32, 32)), mask)
