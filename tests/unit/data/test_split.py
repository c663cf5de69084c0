"""Splits and sites: nobody stands twice, everybody stands somewhere."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundelay.data.patients import Patient
from roundelay.data.sites import _by_table, _in_chunks, assign_sites, unplaced
from roundelay.data.split import split_patients
from roundelay.errors import DataError
from roundelay.study.data_section import Data, Split


def patients(sizes, site="CS"):
    return [
        Patient(
            f"P_{site}_{i}",
            site,
            f"P_{site}_{i}_x",
            (Path(f"{i}.tif"),) * (i + 1),
            (),
            i + 1,
            tumour_size=s,
        )
        for i, s in enumerate(sizes)
    ]


sizes = st.lists(st.integers(0, 9999), min_size=1, max_size=40)
shares = st.tuples(st.floats(0, 0.45), st.floats(0, 0.45))


@given(sizes, shares, st.integers(0, 50))
def test_a_split_is_by_patient_complete_and_leaves_somebody_to_train(found, parts, seed):
    split = Split(validation=parts[0], test=parts[1])

    placed = split_patients(patients(found), split, seed)

    assert [p.id for p in placed] == [p.id for p in patients(found)]
    counts = {
        name: sum(p.split == name for p in placed) for name in ("train", "validation", "test")
    }
    assert sum(counts.values()) == len(found)
    assert counts["train"] >= 1
    if len(found) > 20:
        assert counts["test"] == int(parts[1] * len(found) + 0.5)
    assert placed == split_patients(patients(found), split, seed)


def test_a_split_has_small_and_large_tumours_in_every_part():
    for seed in range(20):
        placed = split_patients(patients(range(40)), Split(validation=0.25, test=0.25), seed)
        for name in ("train", "validation", "test"):
            own = [p.tumour_size for p in placed if p.split == name]
            assert min(own) < 10 and max(own) >= 30
            assert 14 < sum(own) / len(own) < 25


def test_another_seed_gives_another_split():
    splits = {
        tuple(p.split for p in split_patients(patients(range(30)), Split(), seed))
        for seed in range(5)
    }

    assert len(splits) > 1


def test_the_only_patient_of_a_site_trains():
    (only,) = split_patients(patients([5]), Split(validation=0.4, test=0.4), 0)

    assert only.split == "train"


def test_a_patient_who_stands_twice_is_a_leak():
    one = patients([1, 2])

    with pytest.raises(DataError, match="leak"):
        split_patients([*one, one[0].__class__("P_CS_0", "CS", "again", (), (), 0)], Split(), 0)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(1, 8), st.integers(0, 9))
def test_chunks_hold_everybody_once(found, count, seed):
    everyone = patients(found)
    if count > len(everyone):
        with pytest.raises(DataError, match="only"):
            _in_chunks(everyone, count, seed)
        return

    chunks = _in_chunks(everyone, count, seed)

    assert len(chunks) == count
    assert sorted(p.id for chunk in chunks.values() for p in chunk) == sorted(
        p.id for p in everyone
    )
    assert all(p.site == name for name, chunk in chunks.items() for p in chunk)
    assert all(chunks.values())


def table(tmp_path, text):
    path = tmp_path / "sites.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_places_patients_by_id_or_folder(tmp_path):
    path = table(tmp_path, "Partition_ID,Subject_ID\n1,P_CS_0\n2,P_CS_1_x\n1,P_CS_2\n")

    sites = _by_table(patients([1, 2, 3, 4]), path)

    assert {name: [p.id for p in found] for name, found in sites.items()} == {
        "1": ["P_CS_0", "P_CS_2"],
        "2": ["P_CS_1"],
    }


def test_a_split_in_the_table_stays(tmp_path):
    path = table(tmp_path, "patient,site,split\nP_CS_0,A,test\nP_CS_1,A,train\n")

    placed = split_patients(_by_table(patients([1, 2]), path)["A"], Split(), 0)

    assert [p.split for p in placed] == ["test", "train"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("patient,site,split\nP_CS_0,A,test\nP_CS_0,A,train\n", "A/test and A/train"),
        ("patient,site\nP_CS_0,A\nP_CS_0,B\n", "stands in two places, A and B"),
        ("patient,site\nP_CS_00,A\n", "did you mean P_CS_0"),
        ("patient,hospital\nP_CS_0,A\n", "needs the columns"),
        ("patient,site,split\nP_CS_0,A,tset\n", "'tset' is none of"),
        ("patient,site,split\nP_CS_0,A,test\nP_CS_1,A,\n", "Give it to all or to none"),
        ("patient,site\n", "names no patient"),
        ("patient,site\nP_CS_0,\n", "line 2: the name of the site is empty"),
        ("patient,site\nP_CS_0,a\u202eb\n", "line 2: the name of the site .*202E"),
        ("patient,site\nP_CS_0,Pooled\n", "kept for something else"),
        ("patient,site\n,A\n", "line 2: there is no patient ''"),
    ],
)
def test_a_wrong_table_is_refused(rows, says, tmp_path):
    with pytest.raises(DataError, match=says):
        _by_table(patients([1, 2]), table(tmp_path, rows))


def test_a_table_in_another_case_says_the_same(tmp_path):
    path = table(tmp_path, "PATIENT;Site ;SPLIT\nP_CS_0; A;Test\nP_CS_1;A;train\nP_CS_1;A;train\n")

    found = _by_table(patients([1, 2]), path)

    assert [(p.id, p.split) for p in found["A"]] == [("P_CS_0", "test"), ("P_CS_1", "train")]


def test_a_row_names_its_patient_however_the_letters_are_composed(tmp_path):
    known = [replace(patients([1])[0], id="P_CS_Mu\u0308ller", folder="P_CS_Mu\u0308ller_1")]

    found = _by_table(known, table(tmp_path, "patient,site\n P_CS_M\u00fcller ,Uni/Klinik\n"))

    assert list(found) == ["Uni/Klinik"]


def test_sites_and_patients_that_read_alike_are_refused(tmp_path):
    path = table(tmp_path, "patient,site\nP_CS_0,Mainz\nP_CS_1,mainz\n")
    with pytest.raises(DataError, match="Two sites are called 'Mainz' and 'mainz'"):
        assign_sites(patients([1, 2]), Data(root="x", sites=f"table:{path}"))

    twice = [*patients([1]), *patients([1], site="cs")]
    for sites in ("institution", "chunks:1"):
        with pytest.raises(DataError, match="Two patients are called 'P_CS_0' and 'P_cs_0'"):
            assign_sites(twice, Data(root="x", sites=sites))


def test_patients_whom_the_table_leaves_out_are_told(tmp_path):
    path = table(tmp_path, "patient,site\nP_CS_1_x,A\n")
    data = Data(root="x", sites=f"table:{path}")

    assert [name for _, name in unplaced(patients([1, 2, 3]), data)] == ["P_CS_0", "P_CS_2"]
    assert not list(unplaced(patients([1, 2, 3]), Data(root="x")))
