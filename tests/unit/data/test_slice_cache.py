"""Cut slices on the disk: the same numbers as without, whole or made anew, shared, private."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roundelay.data import slice_cache
from roundelay.data.formats import lgg
from roundelay.data.formats.known import read_volume
from roundelay.data.formats.tiff import encode_mask
from roundelay.data.opening import read_patients
from roundelay.data.preprocessing import Preprocessing, cut_slice, geometry_of
from roundelay.data.slice_cache import SliceCache, clear, kept_in, slices_folder
from roundelay.errors import DataError
from roundelay.phantom.cohort import make_toy

SEEN = Preprocessing("zscore", "brain", 32)


@pytest.fixture(scope="module")
def patient(module_path):
    root = make_toy(module_path / "data", seed=0, patients={"EAST": 1}, slices=4, size=64)
    (found,) = read_patients(lgg.find_patients(root).patients)
    return found


def all_of(cache, patient):
    slices = [cache.slice(patient, number) for number in range(patient.slices)]
    return cache.geometry(patient), slices


def assert_same(one, other):
    assert one[0] == other[0]
    for (image, mask), (image_, mask_) in zip(one[1], other[1], strict=True):
        assert np.array_equal(image, image_) and np.array_equal(mask, mask_)
        assert (image.dtype, mask.dtype) == (image_.dtype, mask_.dtype)


def test_slices_are_those_that_are_cut_one_by_one(patient, tmp_path):
    volume = read_volume(patient)
    geometry = geometry_of(volume, SEEN)

    found, slices = all_of(SliceCache(SEEN, tmp_path), patient)

    assert found == geometry
    for number, (image, masks) in enumerate(slices):
        assert np.array_equal(image, cut_slice(volume.slices[number], geometry, 32))
        assert len(masks) == 1
        whole = volume.reference[0, number].astype(np.uint8) * np.uint8(255)
        assert np.array_equal(masks[0], cut_slice(whole, geometry, 32) > 127)
    assert any(mask.any() for _, mask in slices)


def test_what_is_kept_is_read_again_without_an_image_and_the_same_as_in_memory(
    patient, tmp_path, monkeypatch
):
    first = all_of(SliceCache(SEEN, tmp_path), patient)
    in_memory = all_of(SliceCache(SEEN, None), patient)
    monkeypatch.setattr(slice_cache, "read_volume", lambda _: pytest.fail("an image was read"))

    again = all_of(SliceCache(SEEN, tmp_path), patient)

    assert_same(again, first)
    assert_same(again, in_memory)


@pytest.mark.skipif(sys.platform != "linux", reason="where the system tells of open files")
def test_it_holds_no_file_open_however_many_exams_are_kept(patient, tmp_path):
    cache = SliceCache(SEEN, tmp_path)
    before = len([*Path("/proc/self/fd").iterdir()])

    all_of(cache, patient)

    assert len([*Path("/proc/self/fd").iterdir()]) == before
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


def cut_off(place):
    for path in place.rglob("images.npy"):
        path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize("lose", [clear, cut_off])
def test_what_is_lost_while_it_is_in_use_is_cut_anew(patient, tmp_path, lose):
    cache = SliceCache(SEEN, tmp_path)
    first = all_of(cache, patient)

    lose(tmp_path)

    assert_same(all_of(cache, patient), first)
    assert kept_in(tmp_path)[0] == 1


@pytest.mark.parametrize(
    "other",
    [replace(SEEN, size=64), replace(SEEN, crop="none"), replace(SEEN, intensity="percentile")],
)
def test_another_preprocessing_finds_nothing_of_this_one(patient, tmp_path, other):
    all_of(SliceCache(SEEN, tmp_path), patient)

    found = all_of(SliceCache(other, tmp_path), patient)

    assert_same(found, all_of(SliceCache(other, None), patient))
    assert len([*tmp_path.iterdir()]) == 2


def test_other_bytes_of_a_patient_find_nothing_of_these(patient, tmp_path, monkeypatch):
    all_of(SliceCache(SEEN, tmp_path), patient)
    monkeypatch.setattr(slice_cache, "digest_of_files", lambda p: p.digest)

    all_of(SliceCache(SEEN, tmp_path), replace(patient, digest="0" * 64))

    assert len([*tmp_path.iterdir()]) == 2


def damage_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "about.json"])
@pytest.mark.parametrize(
    "damage",
    [
        damage_bit,
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"[]"),
    ],
    ids=["bit", "gone", "empty", "cut", "other"],
)
def test_what_is_damaged_is_made_anew(patient, tmp_path, name, damage):
    right = all_of(SliceCache(SEEN, tmp_path), patient)
    (place,) = tmp_path.iterdir()
    damage(place / name)

    assert_same(all_of(SliceCache(SEEN, tmp_path), patient), right)
    assert_same(all_of(SliceCache(SEEN, tmp_path), patient), right)


def test_files_that_change_under_a_run_are_not_kept(patient, tmp_path):
    mask = patient.masks[patient.tumour.index(True)]
    before = mask.read_bytes()
    mask.write_bytes(encode_mask(np.zeros((64, 64), bool)))
    try:
        with pytest.raises(DataError, match="changed while they were in use"):
            SliceCache(SEEN, tmp_path).geometry(patient)
    finally:
        mask.write_bytes(before)
    assert not [*tmp_path.iterdir()]


def test_where_nothing_can_be_written_slices_stay_in_memory(patient, tmp_path):
    (tmp_path / "file").write_text("")

    found = all_of(SliceCache(SEEN, tmp_path / "file"), patient)

    assert_same(found, all_of(SliceCache(SEEN, None), patient))


CUT = """
import pickle, sys
cache, patient = pickle.load(sys.stdin.buffer)
slices = [cache.slice(patient, number) for number in range(patient.slices)]
pickle.dump((cache.geometry(patient), slices), sys.stdout.buffer)
"""


def test_several_processes_share_one_place(patient, tmp_path):
    given = pickle.dumps((SliceCache(SEEN, tmp_path), patient))
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    parties = [subprocess.Popen([sys.executable, "-c", CUT], **piped) for _ in range(4)]
    for one in parties:
        one.stdin.write(given)
        one.stdin.close()

    for one in parties:
        with one.stdout:
            assert_same(pickle.loads(one.stdout.read()), all_of(SliceCache(SEEN, None), patient))
        assert one.wait() == 0
    assert [path.name.startswith(".") for path in tmp_path.iterdir()] == [False]


def test_the_place_is_the_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    folder = slices_folder()

    assert folder == tmp_path / "roundelay" / "slices"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_without_a_home_there_is_no_place(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    assert slices_folder() is None


def test_what_is_kept_is_counted_and_can_be_removed(patient, tmp_path):
    SliceCache(SEEN, tmp_path).geometry(patient)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())

    assert kept_in(tmp_path) == (1, size)
    clear(tmp_path)
    assert kept_in(tmp_path) == (0, 0)
