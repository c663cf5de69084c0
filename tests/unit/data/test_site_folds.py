"""Folds of a site: every person tests once, drawn from the site's own patients alone."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundelay.data.folds import place_in_fold
from roundelay.data.patients import Patient
from roundelay.data.sites import assign_sites
from roundelay.errors import DataError
from roundelay.study.data_section import Data


def patients(sizes, site="CS"):
    return [
        Patient(f"{site}_{i}", site, f"{site}_{i}_x", (Path(f"{i}.tif"),), (), 1, tumour_size=size)
        for i, size in enumerate(sizes)
    ]


def in_folds(found, count, *, seed=0, validation=0.0):
    data = Data(
        root="x", folds=count, split_seed=seed, split={"validation": validation, "test": 0.2}
    )
    return [place_in_fold(found, data, fold) for fold in range(1, count + 1)]


@given(
    st.lists(st.integers(0, 9999), min_size=1, max_size=30),
    st.integers(2, 6),
    st.integers(0, 20),
    st.floats(0, 0.4),
)
def test_every_patient_tests_in_one_fold_and_folds_are_as_large(sizes, count, seed, validation):
    found = patients(sizes)

    folds = in_folds(found, count, seed=seed, validation=validation)

    tested = [[p.id for p in fold if p.split == "test"] for fold in folds]
    assert sorted(name for fold in tested for name in fold) == sorted(p.id for p in found)
    assert max(map(len, tested)) - min(map(len, tested)) <= 1
    for fold in folds:
        assert [p.id for p in fold] == [p.id for p in found]
        counts = Counter(p.split for p in fold)
        assert counts["train"] >= 1 or counts["test"] == len(found)
        wanted = int(validation * len(found) + 0.5)
        assert counts["validation"] == max(0, min(wanted, len(found) - counts["test"] - 1))
    assert folds == in_folds(found, count, seed=seed, validation=validation)


def test_every_fold_has_small_and_large_tumours():
    for seed in range(20):
        for fold in in_folds(patients(range(40)), 5, seed=seed):
            own = [p.tumour_size for p in fold if p.split == "test"]
            assert len(own) == 8
            assert [size // 5 for size in sorted(own)] == list(range(8))  # one of each five


def test_another_seed_and_another_site_draw_otherwise_and_other_sites_dont_matter():
    def drawn(found, seed=0):
        return tuple(p.split for fold in in_folds(found, 3, seed=seed) for p in fold)

    assert len({drawn(patients(range(9)), seed) for seed in range(5)}) == 5
    assert drawn(patients(range(9))) != drawn(patients(range(9), "DU"))
    # A place at a site is given by the site's own patients: nothing else is handed in.


def test_a_site_with_fewer_patients_than_folds_tests_in_as_many_of_them():
    folds = in_folds(patients([5, 9]), 5)

    counts = [Counter(p.split for p in fold) for fold in folds]
    assert sorted(one["test"] for one in counts) == [0, 0, 0, 1, 1]
    assert all(one["train"] == 2 - one["test"] for one in counts)
    alone = [[p.split for p in fold] for fold in in_folds(patients([5]), 4)]
    assert sorted(alone) == [["test"], ["train"], ["train"], ["train"]]


def test_all_exams_of_a_person_stand_in_one_fold_and_what_cant_be_used_in_none():
    found = [replace(p, subject=f"person {i // 2}") for i, p in enumerate(patients(range(12)))]
    found[3] = replace(found[3], fault="damaged")

    folds = in_folds(found, 3, validation=0.2)

    for fold in folds:
        assert fold[-1].split is None and fold[-1].fault
        splits = {(p.person, p.split) for p in fold[:-1]}
        assert len(splits) == 6
    assert sum(p.split == "test" for fold in folds for p in fold) == 11


@pytest.mark.parametrize("change", [{"split": "test"}, {"drawn": ("validation",)}])
def test_patients_whom_a_list_has_placed_are_not_drawn_to_folds(change):
    found = [replace(p, **change) for p in patients([1, 2, 3])]

    for sites in ("institution", "chunks:1"):
        with pytest.raises(DataError, match="draws 2 folds of all patients"):
            assign_sites(found, Data(root="x", folds=2, sites=sites))
    assert assign_sites(found, Data(root="x"))
