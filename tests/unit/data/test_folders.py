"""Folders as they come: what is refused because it isn't plain, and what is left out and said."""

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from roundelay.data.formats import lgg, tiff
from roundelay.data.left_out import SHOWN, counted
from roundelay.data.opening import open_patients, read_patients
from roundelay.data.remarks import remarks_of
from roundelay.data.split import refuse_leak
from roundelay.errors import DataError
from roundelay.study.data_section import Data

A, B = "TCGA_CS_4941_19960909", "TCGA_HT_7472_19970101"
SIDE = 32


def pixels(seed):
    return np.random.default_rng(seed).integers(30, 200, (SIDE, SIDE, 3), np.uint8)


def write_slice(place, number, name, *, seed, tumour=True):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[4:8, 4:9] = 255 * tumour
    Image.fromarray(pixels(seed)).save(place / f"{name}_{number}.tif")
    Image.fromarray(mask).save(place / f"{name}_{number}_mask.tif")


def write_patient(root, name, *, numbers=range(1, 5)):
    place = root / name
    place.mkdir(parents=True)
    for number in numbers:
        write_slice(place, number, name, seed=[*name.encode(), number])
    return place


@pytest.fixture
def root(tmp_path):
    for name in (A, B):
        write_patient(tmp_path / "d", name)
    return tmp_path / "d"


def look(root):
    """What a site does with a folder: patients, and all that is said of it."""
    found = lgg.find_patients(root)
    opened = open_patients(found.patients, Data(root=str(root)))
    return opened, (*found.left_out, *remarks_of(opened))


def said(root):
    return "\n".join(str(one) for one in look(root)[1])


def test_of_a_plain_folder_nothing_is_said(root):
    (root / "data.csv").write_text("Patient,gender\nTCGA_CS_4941,2\n")
    (root / "README.md").write_text("about")

    patients, left_out = look(root)

    assert [p.folder for p in patients] == [A, B]
    assert left_out == ()


# --- what is left out, and said -----------------------------------------------------------------


def hidden_files(root):
    for path in [*(root / A).iterdir()]:
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")


def hidden_folders(root):
    shutil.copytree(root / A, root / "__MACOSX" / A)
    shutil.copytree(root / A, root / ".Trashes" / A)


def what_systems_leave(root):
    (root / A / "Thumbs.db").write_bytes(b"x")
    (root / A / "@eaDir").mkdir()


def an_empty_folder(root):
    (root / "TCGA_DU_1_20000101").mkdir()


def a_folder_with_all_but_slices(root):
    (root / "TCGA_DU_1_20000101").mkdir()
    (root / "TCGA_DU_1_20000101" / "notes.txt").write_text("lost")


def a_folder_of_another_name(root):
    (root / "patient7").mkdir()
    write_slice(root / "patient7", 1, "patient7", seed=7)


def another_folder(root):
    (root / "papers").mkdir()


def a_table_above(root):
    shutil.move(root, root.parent / "k")
    root.mkdir()
    shutil.move(root.parent / "k", root / "k")
    (root / "data.csv").write_text("Patient\n")


def copies(root):
    shutil.copy(root / A / f"{A}_2.tif", root / A / f"{A}_2 (1).tif")


def another_format(root):
    (root / A / f"{A}_2.png").write_bytes(b"png")


def a_loose_slice(root):
    shutil.copy(root / A / f"{A}_2.tif", root)


def a_folder_inside(root):
    shutil.copytree(root / A, root.parent / "old")
    shutil.move(root.parent / "old", root / A / "old")


def a_link_to_nowhere(root):
    (root / A / "scan.tif").symlink_to(root / "nowhere")
    (root / "TCGA_DU_1_20000101").symlink_to(root / "nowhere")


def a_link_back(root):
    (root / "TCGA_DU_1_20000101").symlink_to(root)
    (root / A / "again").symlink_to(root, target_is_directory=True)


def a_circle_of_links(root):
    (root / "x_y_1").symlink_to(root / "x_y_2")
    (root / "x_y_2").symlink_to(root / "x_y_1")


def a_pipe(root):
    os.mkfifo(root / A / f"{A}_5.tif")


def a_lost_slice(root):
    for path in (root / A).glob(f"{A}_2*"):
        path.unlink()


def lost_slices_in_a_row(root):
    for number in (2, 3):
        a_lost_slice(root) if number == 2 else [p.unlink() for p in (root / A).glob(f"{A}_3*")]


def a_lost_first_slice(root):
    for path in (root / A).glob(f"{A}_1*"):
        path.unlink()


def no_tumour(root):
    for path in (root / A).glob("*_mask.tif"):
        Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(path)


def a_large_tumour(root):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: SIDE // 3] = 255
    for path in (root / A).glob("*_mask.tif"):
        Image.fromarray(mask).save(path)


def one_picture_twice(root):
    shutil.copy(root / A / f"{A}_2.tif", root / A / f"{A}_3.tif")


def predictions_beside(root):
    shutil.copytree(root / A, root / "MASKS" / A)
    (root / "MASKS" / "prediction.json").write_text("{}")


SAID = [
    (hidden_files, "Hidden files", 8, f"{A}/._{A}_1.tif"),
    (hidden_folders, "Hidden files", 2, ".Trashes"),
    (what_systems_leave, "Hidden files", 2, "@eaDir"),
    (an_empty_folder, "without a slice", 1, "TCGA_DU_1_20000101"),
    (a_folder_with_all_but_slices, "without a slice", 1, "TCGA_DU_1_20000101"),
    (a_folder_of_another_name, "named otherwise", 1, "patient7"),
    (another_folder, "Other folders", 1, "papers"),
    (a_table_above, "not read", 1, "data.csv"),
    (copies, "named otherwise", 1, f"{A}_2 (1).tif"),
    (another_format, "named otherwise", 1, f"{A}_2.png"),
    (a_loose_slice, "not read", 1, f"{A}_2.tif"),
    (a_folder_inside, "not looked into", 1, "old"),
    (a_link_to_nowhere, "Links", 2, "TCGA_DU_1_20000101"),
    (a_link_back, "Links", 2, "TCGA_DU_1_20000101"),
    (a_circle_of_links, "Links", 2, "x_y_1"),
    (a_pipe, "pipes", 1, f"{A}_5.tif"),
    (a_lost_slice, "gap in the numbering", 1, "slice 2)"),
    (lost_slices_in_a_row, "gap in the numbering", 1, "slice 2 to 3"),
    (a_lost_first_slice, "higher number", 1, "at 2 and not 1"),
    (no_tumour, "without tumour", 1, A),
    (a_large_tumour, "more than 25%", 1, A),
    (one_picture_twice, "one picture is several slices", 1, f"{A}_2.tif and {A}_3.tif"),
    (predictions_beside, "hold predictions", 1, "MASKS"),
]


@pytest.mark.parametrize(
    ("damage", "reason", "count", "example"), SAID, ids=[d[0].__name__ for d in SAID]
)
def test_what_is_left_out_is_counted_and_said(root, damage, reason, count, example):
    damage(root)

    patients, left_out = look(root)

    assert [p.folder for p in patients] == [A, B]
    (one,) = left_out
    assert reason in one.reason and one.count == count
    assert example in str(one)


# --- what is refused ----------------------------------------------------------------------------


def a_slice_twice(root):
    shutil.copy(root / A / f"{A}_3.tif", root / A / f"{A}_03.tif")
    return rf"Slice 3 stands twice in .*{A}_03.tif and {A}_3.tif"


def a_slice_in_two_cases(root):
    shutil.copy(root / A / f"{A}_3.tif", root / A / f"{A}_3.TIF")
    return "Slice 3 stands twice"


def a_slice_in_two_endings(root):
    shutil.copy(root / A / f"{A}_3.tif", root / A / f"{A}_3.tiff")
    return "Slice 3 stands twice"


def a_mask_twice(root):
    shutil.copy(root / A / f"{A}_3_mask.tif", root / A / f"{A}_003_MASK.tif")
    return "The mask of slice 3 stands twice"


def another_patients_slice(root):
    write_slice(root / A, 9, B, seed=9)
    return f"under two names, {A}_1.tif and {B}_9.tif"


def all_of_another_patient(root):
    shutil.rmtree(root / A)
    (root / A).mkdir()
    write_slice(root / A, 1, "TCGA_DU_1_2000", seed=1)
    return "holds slices of another patient"


def another_date(root):
    write_slice(root / A, 9, "TCGA_CS_4941_20010101", seed=9)
    return "of another date"


def two_folders_of_a_patient(root):
    write_patient(root, "TCGA_CS_4941_20010101")
    return "Patient TCGA_CS_4941 has two folders"


def two_folders_that_differ_in_case(root):
    write_patient(root, "tcga_cs_4941_20010101")
    return "has two folders"


def train_and_test(root):
    (root / "test").mkdir()
    (root / "train").mkdir()
    shutil.move(root / A, root / "test")
    shutil.move(root / B, root / "train")
    return r"in 2 folders: test, train\..*table:FILE\.csv"


def some_one_level_deeper(root):
    shutil.move(root / B, root / "more" / B)
    return "in 2 folders: itself, more"


def a_copy_deeper(root):
    shutil.copytree(root / A, root / "copy" / "of" / "it" / A)
    return "in 2 folders: itself, copy/of/it"


def all_two_levels_deeper(root):
    shutil.move(root, root.parent / "k")
    shutil.move(root.parent / "k", root / "a" / "b")
    return "a/b does, further below. Give that folder"


def slices_one_level_deeper(root):
    (root / A / "images").mkdir()
    for path in [*(root / A).glob("*.tif")]:
        shutil.move(path, root / A / "images")
    return "lie one level deeper, in images"


def slices_without_folders(root):
    for path in [*root.glob("*/*.tif")]:
        shutil.move(path, root)
    for name in (A, B):
        (root / name).rmdir()
    return "holds slices itself"


def a_mask_without_image(root):
    (root / A / f"{A}_2.tif").unlink()
    return "an image missing for slice 2"


def an_image_without_mask(root):
    (root / A / f"{A}_2_mask.tif").unlink()
    return "a mask missing for slice 2"


def a_link_for_a_slice(root):
    (root / A / f"{A}_2.tif").unlink()
    (root / A / f"{A}_2.tif").symlink_to(root / "nowhere")
    return "an image missing for slice 2"


def a_folder_for_a_slice(root):
    (root / A / f"{A}_2.tif").unlink()
    (root / A / f"{A}_2.tif").mkdir()
    return "an image missing for slice 2"


def several_pages(root):
    pages = [Image.fromarray(pixels(n)) for n in range(3)]
    pages[0].save(root / A / f"{A}_2.tif", save_all=True, append_images=pages[1:])
    return f"{A}_2.tif holds 3 pages"


def mask_of_several_pages(root):
    pages = [Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)) for _ in range(2)]
    pages[0].save(root / A / f"{A}_2_mask.tif", save_all=True, append_images=pages[1:])
    return f"{A}_2_mask.tif holds 2 pages"


def no_bytes(root):
    (root / A / f"{A}_4.tif").write_bytes(b"")
    return r"is empty \(0 bytes\)"


def another_kind_of_picture(root):
    Image.fromarray(pixels(0)).save(root / A / f"{A}_4.tif", "PNG")
    return "it is no TIFF"


def alpha(root):
    Image.fromarray(np.zeros((SIDE, SIDE, 4), np.uint8), "RGBA").save(root / A / f"{A}_4.tif")
    return "has mode RGBA"


def grey_with_alpha(root):
    Image.fromarray(np.zeros((SIDE, SIDE, 2), np.uint8), "LA").save(root / A / f"{A}_4_mask.tif")
    return "has mode LA"


def sixteen_bits(root):
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint16)).save(root / A / f"{A}_4.tif")
    return "expected 8 bits and three channels"


def floats(root):
    Image.fromarray(np.zeros((SIDE, SIDE), np.float32)).save(root / A / f"{A}_4.tif")
    return "has mode F"


def three_valued_masks(root):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[0, :3] = 1, 2, 4
    Image.fromarray(mask).save(root / A / f"{A}_4_mask.tif")
    return "holds the values 0, 1, 2, 4"


def another_size(root):
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(root / A / f"{A}_4.tif")
    return "is 48 x 48"


def inverted_masks(root):
    for path in (root / A).glob("*_mask.tif"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    return "is it inverted"


def inverted_by_their_tag(root):
    """White is zero: how some programs write masks."""
    for path in (root / A).glob("*_mask.tif"):
        mask = 255 - np.asarray(Image.open(path))
        Image.fromarray(mask).save(path, tiffinfo={262: 0})
    return "is it inverted"


def one_inverted_mask(root):
    path = root / A / f"{A}_3_mask.tif"
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    return f"{A}_3_mask.tif covers 98% of its slice"


def masks_of_most_of_the_head(root):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: SIDE * 5 // 8] = 255
    for path in (root / A).glob("*_mask.tif"):
        Image.fromarray(mask).save(path)
    return rf"patient TCGA_CS_4941 \({A}\) cover 6\d% of the head"


REFUSED = [value for value in (
    a_slice_twice, a_slice_in_two_cases, a_slice_in_two_endings, a_mask_twice,
    another_patients_slice, all_of_another_patient, another_date, two_folders_of_a_patient,
    two_folders_that_differ_in_case, train_and_test, some_one_level_deeper, a_copy_deeper,
    all_two_levels_deeper, slices_one_level_deeper, slices_without_folders, a_mask_without_image,
    an_image_without_mask, a_link_for_a_slice, a_folder_for_a_slice, several_pages,
    mask_of_several_pages, no_bytes, another_kind_of_picture, alpha, grey_with_alpha, sixteen_bits,
    floats, three_valued_masks, another_size, inverted_masks, inverted_by_their_tag,
    one_inverted_mask, masks_of_most_of_the_head,
)]  # fmt: skip


@pytest.mark.parametrize("damage", REFUSED, ids=[d.__name__ for d in REFUSED])
@pytest.mark.filterwarnings("ignore:'mode' parameter:DeprecationWarning")
def test_what_is_not_plain_is_refused(root, damage):
    says = damage(root)

    with pytest.raises(DataError, match=says):
        look(root)


def test_one_patients_folder_is_answered_with_the_folder_above(root):
    with pytest.raises(DataError, match=r"is one patient's folder\. Give the folder above"):
        lgg.find_patients(root / A)


def test_every_faulty_file_is_named_at_once_up_to_a_screenful(root):
    write_patient(root, "TCGA_DU_1_1", numbers=range(1, SHOWN + 3))
    for path in root.glob("TCGA_DU_1_1/*_1[0-9].tif"):
        path.write_bytes(b"no")
    for path in root.glob(f"{A}/*_mask.tif"):
        path.write_bytes(b"")

    with pytest.raises(DataError) as caught:
        look(root)

    lines = str(caught.value).splitlines()
    assert lines[0] == "The data have 14 faults:"
    assert sum("can't be read as an image" in line for line in lines) == 10
    assert sum("is empty" in line for line in lines) == 4


def test_more_faults_than_a_screen_holds_are_counted(root):
    write_patient(root, "TCGA_DU_1_1", numbers=range(1, SHOWN + 6))
    for path in root.glob("TCGA_DU_1_1/*_mask.tif"):
        path.write_bytes(b"")

    with pytest.raises(DataError, match="and 5 more"):
        look(root)


def test_pictures_of_one_grey_are_no_leak(tmp_path):
    for name in (A, B):
        place = write_patient(tmp_path, name)
        Image.fromarray(np.full((SIDE, SIDE, 3), 3, np.uint8)).save(place / f"{name}_1.tif")

    assert len(look(tmp_path)[0]) == 2


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_one_picture_under_two_patients_is_a_leak_however_it_is_stored(root, compression):
    with Image.open(root / A / f"{A}_2.tif") as image:
        image.save(root / B / f"{B}_4.tif", compression=compression)

    with pytest.raises(DataError, match=f"two patients, {A} at CS .*{B} at HT .* have 1 in common"):
        refuse_leak(look(root)[0])


def as_nobody(task):
    """Do a task in a process without the right to ignore permissions; whether that ends well."""
    if (child := os.fork()) == 0:
        try:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)
            task()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("closed", [A, f"{A}/{A}_2.tif", f"{A}/{A}_2_mask.tif", "private", "."])
def test_what_may_not_be_read_is_named(root, closed):
    (root / "private").mkdir()
    for path in (*root.parents, root):
        if path.stat().st_uid == os.geteuid() and path.name and "pytest" in str(path):
            path.chmod(0o755)
    (root / closed).chmod(0)

    def refused():
        with pytest.raises(DataError, match=r"can't be re(ad|ached): Permission denied") as caught:
            look(root)
        assert Path(closed).name in str(caught.value)

    done = as_nobody(refused)
    (root / closed).chmod(stat.S_IRWXU)
    assert done


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_file_it_is_an_image_or_refused(tmp_path_factory, data):
    place = tmp_path_factory.getbasetemp() / "fuzz"
    place.mkdir(exist_ok=True)
    path = place / "x_1.tif"
    kind = data.draw(st.sampled_from(["raw", "tiff_deflate", "tiff_lzw", "packbits"]))
    Image.fromarray(pixels(1)[:8, :8]).save(path, compression=kind)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])

    for read in (tiff.read_image, lambda p: tiff.read_mask(p, (8, 8))):
        try:
            assert read(path).dtype in (np.uint8, np.bool_)
        except DataError as error:
            assert "x_1.tif" in str(error)


def test_what_a_name_holds_that_can_not_be_printed_is_escaped():
    (one,) = counted([("Odd", "a\nb\udcfc\x1b[31m"), ("Odd", "b")])

    assert str(one) == "Odd: 2 (the first: a\\nb\\udcfc\\x1b[31m)."


def test_reading_fills_in_nothing_where_there_is_no_mask(root):
    for path in root.glob("*/*_mask.tif"):
        path.unlink()

    patients = read_patients(lgg.find_patients(root, masks=False).patients)

    assert [(p.tumour, p.tumour_size, len(p.pictures)) for p in patients] == [((), 0, 4)] * 2
