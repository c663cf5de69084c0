"""Patients whom a list has placed beside those who are drawn."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundelay.data.patients import Patient
from roundelay.data.sites import assign_sites
from roundelay.data.split import split_patients
from roundelay.errors import DataError
from roundelay.study.data_section import Data, Split
from roundelay.study.study import Study

HALF = Split(validation=0.25, test=0.25)


def patients(count, site="A", **kept):
    return [
        Patient(f"{site}-{n}", site, f"{site}-{n}", (Path("x"),), (), 1, tumour_size=n // 2, **kept)
        for n in range(count)
    ]


def as_it_was(found, shares, seed):
    """The splits before lists could place patients: no study's split may change."""
    rng = Random(f"{seed}/split/{found[0].site}")
    rest = sorted(rng.sample(found, k=len(found)), key=lambda p: p.tumour_size)
    splits = {}
    for name, part in (("test", shares.test), ("validation", shares.validation)):
        wanted = min(int(part * len(found) + 0.5), len(rest) - 1)
        start = rng.random()
        for patient in [rest[int((i + start) * len(rest) / wanted)] for i in range(wanted)]:
            splits[patient.id] = name
            rest.remove(patient)
    return tuple(splits.get(p.id, "train") for p in found)


@given(st.integers(1, 40), st.floats(0, 0.45), st.floats(0, 0.45), st.integers(0, 9))
def test_where_nothing_is_placed_the_split_is_what_it_always_was(count, part, other, seed):
    shares = Split(validation=part, test=other)

    placed = split_patients(patients(count), shares, seed)

    assert tuple(p.split for p in placed) == as_it_was(patients(count), shares, seed)


def test_with_a_fold_its_patients_test_and_nobody_else_does():
    found = [
        replace(p, split="test") if n % 5 == 0 else replace(p, drawn=("validation",))
        for n, p in enumerate(patients(20))
    ]

    placed = split_patients(found, HALF, 0)

    assert [n for n, p in enumerate(placed) if p.split == "test"] == [0, 5, 10, 15]
    assert sum(p.split == "validation" for p in placed) == 5
    assert sum(p.split == "train" for p in placed) == 11


def test_a_site_without_test_patients_in_the_fold_draws_none():
    placed = split_patients(patients(8, drawn=("validation",)), HALF, 0)

    assert sorted(p.split for p in placed) == ["train"] * 6 + ["validation"] * 2


def test_who_is_drawn_to_nothing_trains():
    assert {p.split for p in split_patients(patients(9, drawn=()), HALF, 0)} == {"train"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "train", "validation", "test"]),
            st.sampled_from([(), ("validation",), ("test",), ("validation", "test")]),
        ),
        min_size=1,
        max_size=30,
    ),
    st.floats(0, 0.45),
    st.floats(0, 0.45),
)
def test_what_was_placed_stays_and_who_is_drawn_may_be(kinds, part, other):
    found = [
        replace(patient, split=split, drawn=drawn)
        for patient, (split, drawn) in zip(patients(len(kinds)), kinds, strict=True)
    ]

    placed = split_patients(found, Split(validation=part, test=other), 0)

    for before, after in zip(found, placed, strict=True):
        if before.split:
            assert after.split == before.split
        else:
            assert after.split in ("train", *before.drawn)
    if any(not p.split for p in found):
        drawn = [a.split for b, a in zip(found, placed, strict=True) if not b.split]
        assert "train" in drawn


class TestTable:
    def table(self, path, *rows):
        path.write_text("patient,site,split\n" + "\n".join(rows))
        return Data(root="x", sites=f"table:{path}")

    def test_sites_of_a_table_keep_what_a_list_placed(self, tmp_path):
        found = [replace(p, split="test") for p in patients(1)]

        sites = assign_sites(found, self.table(tmp_path / "t.csv", "A-0,B,"))

        assert sites["B"][0].split == "test"

    def test_a_table_and_a_list_that_both_say_who_tests_are_refused(self, tmp_path):
        data = self.table(tmp_path / "t.csv", "A-0,B,train")

        for own in ({"split": "test"}, {"drawn": ("validation",)}):
            with pytest.raises(DataError, match=r"and lists beside the images say it too"):
                assign_sites(patients(1, **own), data)

    def test_a_table_with_a_split_for_some_is_refused_as_ever(self, tmp_path):
        data = self.table(tmp_path / "t.csv", "A-0,B,train", "A-1,B,")

        with pytest.raises(DataError, match="some patients have a split, others none"):
            assign_sites(patients(2), data)


class TestStudy:
    def data(self, **others):
        return Data(root="x", format="nnunet", channels=("t1",), labels={"a": (1,)}, **others)

    def test_a_fold_is_part_of_the_digest_and_0_is_one(self):
        digests = {Study(name="x", data=self.data(fold=fold)).digest for fold in (None, 0, 1)}

        assert len(digests) == 3

    def test_without_a_fold_a_study_is_what_it_was(self):
        assert "fold" not in Study(name="x", data=Data(root="x")).model_dump(mode="json")["data"]
        assert self.data(fold=0).model_dump(mode="json")["fold"] == 0

    @pytest.mark.parametrize("format_", ["lgg", "nifti"])
    def test_other_formats_have_no_folds(self, format_):
        own = {} if format_ == "lgg" else {"channels": ("t1",), "labels": {"a": (1,)}}

        with pytest.raises(ValueError, match=f"fold is not asked of the format {format_}"):
            Data(root="x", format=format_, fold=0, **own)
