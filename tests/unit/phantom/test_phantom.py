import csv
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from roundelay.data.formats.lgg import find_patients, read_volume
from roundelay.errors import DataError, MissingExtraError
from roundelay.phantom.cohort import make_phantom, make_toy, phantom_root

COUNTS = {"NORTH": 2, "EAST": 1}

needs_template = pytest.mark.skipif(
    importlib.util.find_spec("nilearn") is None or importlib.util.find_spec("nibabel") is None,
    reason="the template comes with the extra 'demo' (nilearn)",
)


def digests(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def read(patient):
    volume = read_volume(patient)
    return volume.slices, volume.reference[0]


def test_the_toy_has_the_layout_of_the_lgg_set(tmp_path):
    root = make_toy(tmp_path / "toy", patients=COUNTS)

    patients = find_patients(root).patients
    assert [p.id for p in patients] == [
        "PHANTOM_EAST_0001",
        "PHANTOM_NORTH_0001",
        "PHANTOM_NORTH_0002",
    ]
    assert [p.site for p in patients] == ["EAST", "NORTH", "NORTH"]
    assert patients[0].images[0].name == f"{patients[0].folder}_1.tif"
    assert patients[0].masks[5].name == f"{patients[0].folder}_6_mask.tif"
    assert read(patients[0])[0].shape == (6, 64, 64, 3)


def test_the_toy_has_lesions_in_half_of_the_slices_bright_in_channel_1(tmp_path):
    root = make_toy(tmp_path / "toy", patients=COUNTS)

    for patient in find_patients(root).patients:
        images, masks = read(patient)
        assert masks.any((1, 2)).sum() == 3
        assert images[masks][:, 1].mean() > images[~masks & (images[..., 1] > 30)][:, 1].mean() + 40


def test_one_seed_gives_the_same_bytes_and_another_gives_others(tmp_path):
    first, again, other = (
        digests(make_toy(tmp_path / name, seed=seed, patients=COUNTS))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )

    assert first == again
    assert not set(first.values()) & {
        d for name, d in other.items() if not name.endswith("mask.tif")
    }


def test_a_patient_does_not_depend_on_who_else_is_made(tmp_path):
    few = digests(make_toy(tmp_path / "few", patients={"EAST": 1}))
    many = digests(make_toy(tmp_path / "many", patients=COUNTS))

    shared = {name: digest for name, digest in few.items() if name.endswith(".tif")}
    assert shared.items() <= many.items()


def test_a_whole_cohort_is_found_and_not_made_again(tmp_path):
    root = make_toy(tmp_path / "toy", patients=COUNTS)
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*")}

    assert make_toy(root, patients=COUNTS) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == times
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_folder_with_anything_else_is_refused_and_left_alone(tmp_path):
    make_toy(tmp_path / "toy", patients=COUNTS)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")

    with pytest.raises(DataError, match="seed 1"):
        make_toy(tmp_path / "toy", seed=1, patients=COUNTS)
    with pytest.raises(DataError, match="something other"):
        make_toy(foreign, patients=COUNTS)
    assert [path.name for path in foreign.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "toy").mkdir()

    assert len(find_patients(make_toy(tmp_path / "toy", patients=COUNTS)).patients) == 3


def test_what_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_args):
        raise RuntimeError("stopped")

    monkeypatch.setattr("roundelay.phantom.cohort._gaps", fail)

    with pytest.raises(RuntimeError, match="stopped"):
        make_toy(tmp_path / "toy", patients=COUNTS)
    assert list(tmp_path.iterdir()) == []


def test_the_table_and_the_sign_say_what_it_is(tmp_path):
    root = make_toy(tmp_path / "toy", patients=COUNTS)

    with (root / "data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Patient"] for row in rows] == [
        "PHANTOM_NORTH_0001",
        "PHANTOM_NORTH_0002",
        "PHANTOM_EAST_0001",
    ]
    assert {row["gender"] for row in rows} <= {"", "1", "2"}
    assert "no patient was scanned" in (root / "SYNTHETIC.txt").read_text()


def test_the_cache_honours_xdg(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert phantom_root(3).parent == tmp_path / "roundelay"
    assert phantom_root(3).name.endswith("-seed3")


def test_an_unknown_hospital_is_named(tmp_path):
    with pytest.raises(DataError, match="no hospital 'MOON'"):
        make_phantom(tmp_path / "phantom", patients={"MOON": 1})


def test_without_nilearn_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(MissingExtraError, match=r"roundelay\[demo\]"):
        make_phantom(tmp_path / "phantom", patients={"LAKE": 1})
    assert list(tmp_path.iterdir()) == []


@needs_template
def test_the_phantom_is_read_as_the_lgg_set_is(tmp_path):
    root = make_phantom(tmp_path / "a", patients={"WEST": 1, "LAKE": 1}, slices=6)
    alone = make_phantom(tmp_path / "b", patients={"LAKE": 1}, slices=6)

    lake, west = (read(patient) for patient in find_patients(root).patients)
    again = {name: digest for name, digest in digests(alone).items() if name.endswith(".tif")}
    assert len(again) == 12 and again.items() <= digests(root).items()
    assert west[0].shape == (6, 256, 256, 3)
    assert 0 < west[1].any((1, 2)).sum() < 6
    assert (west[0][:, :20, :20] < 60).all()
    # LAKE gives no contrast agent: FLAIR stands in, as in the real set.
    assert np.array_equal(lake[0][..., 2], lake[0][..., 1])
    assert not np.array_equal(west[0][..., 2], west[0][..., 1])
