"""One picture under two patients: refused, or one person's where a study says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from nifti_files import write_exam
from roundelay.data.duplicates import AS_ONE, as_one_person
from roundelay.data.formats.nifti import find_patients
from roundelay.data.image_settings import settings_of
from roundelay.data.opening import open_patients
from roundelay.data.patients import Patient
from roundelay.data.remarks import remarks_of
from roundelay.data.split import refuse_leak
from roundelay.errors import DataError
from roundelay.study.data_section import Data

DATA = Data(
    root="x",
    format="nifti",
    channels=("t1ce", "t1", "t2", "flair"),
    labels={"whole": (1, 2, 4)},
    size=32,
)


def exam(name, *pictures, site="A", **more):
    files = tuple(Path(f"{name}_{n}.tif") for n in range(1, 1 + len(pictures)))
    return Patient(name, site, f"{name}_x", files, (), 1, pictures=pictures, **more)


def linked(place, count=6):
    """Exams under `count` names that are links to two."""
    for kind in ("k0", "k1"):
        write_exam(place / "kinds" / kind)
    for number in range(count):
        own = place / "exams" / f"exam-{number}"
        own.mkdir(parents=True)
        for path in (place / "kinds" / f"k{number % 2}").iterdir():
            (own / path.name.replace(path.name[:2], own.name)).symlink_to(path)
    return find_patients(place / "exams", settings_of(DATA)).patients


def test_links_to_one_exam_are_refused_with_the_way_out(tmp_path):
    with pytest.raises(DataError, match=r'under two patients.*duplicates = "one-split"'):
        open_patients(linked(tmp_path), DATA)


def test_where_the_study_says_so_they_stand_in_one_split_and_are_said(tmp_path):
    patients = open_patients(linked(tmp_path), DATA.model_copy(update={"duplicates": "one-split"}))

    refuse_leak(patients)
    for kind in (0, 1):
        assert len({p.split for p in patients if int(p.id[-1]) % 2 == kind}) == 1
    said = next(one for one in remarks_of(patients) if one.reason == AS_ONE)
    assert (said.count, said.example) == (4, "exam-2 and exam-0")


def test_those_who_hang_together_through_others_are_one_person():
    found = as_one_person(
        [exam("P-1", "a"), exam("P-2", "b", ""), exam("P-3", "c", ""), exam("P-4", "b", "a")]
    )

    assert [one.person for one in found] == ["P-1", "P-1", "P-3", "P-1"]


def test_splits_that_part_them_and_sites_that_share_them_are_refused_all_the_same():
    parted = as_one_person([exam("P-1", "a", split="train"), exam("P-2", "a", split="test")])
    with pytest.raises(DataError, match="two places, A/train and A/test"):
        refuse_leak(parted)

    with pytest.raises(DataError, match="under two patients") as caught:
        refuse_leak([*parted[:1], replace(parted[1], site="B", subject="")])
    assert "one-split" not in str(caught.value)
