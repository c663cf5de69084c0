"""Several exams of one person: they go where the first one goes."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from roundelay.data.patients import Patient
from roundelay.data.sites import assign_sites, unplaced
from roundelay.data.split import refuse_leak, split_patients
from roundelay.errors import DataError
from roundelay.study.data_section import Data, Split


def exams(count=40, each=1, site="CS"):
    """`count` persons with `each` exams, of growing tumours."""
    return [
        Patient(
            id := f"P_CS_{i}" if each == 1 else f"P_CS_{i}-{n}",
            site,
            f"{id}_x",
            (),
            (),
            i + 1,
            tumour_size=(i * 37) % 11,
            subject="" if each == 1 else f"P_CS_{i}",
        )
        for i in range(count)
        for n in range(each)
    ]


def digest(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


def test_where_each_person_has_one_exam_splits_and_chunks_are_those_of_before():
    placed = split_patients(exams(), Split(), 7)
    chunks = assign_sites(exams(), Data(root="x", sites="chunks:5", split_seed=7))

    assert digest([[p.id, p.split] for p in placed]) == "fef93bdeb60d"
    assert digest([[s, [p.id for p in own]] for s, own in chunks.items()]) == "9cbba9cd02e1"


@pytest.mark.parametrize("seed", range(5))
def test_all_exams_of_a_person_stand_in_one_split_and_persons_are_counted(seed):
    placed = split_patients(exams(10, each=3), Split(validation=0.2, test=0.3), seed)

    splits = {p.person: {q.split for q in placed if q.person == p.person} for p in placed}
    assert all(len(own) == 1 for own in splits.values())
    assert sorted(next(iter(own)) for own in splits.values()) == (
        3 * ["test"] + 5 * ["train"] + 2 * ["validation"]
    )


def test_chunks_deal_whole_persons():
    chunks = assign_sites(exams(4, each=3), Data(root="x", sites="chunks:2"))

    persons = [{p.person for p in own} for own in chunks.values()]
    assert len(persons[0]) == len(persons[1]) == 2 and not persons[0] & persons[1]
    with pytest.raises(DataError, match="there are only 4 patients"):
        assign_sites(exams(4, each=3), Data(root="x", sites="chunks:5"))


def test_a_person_at_two_sites_is_refused():
    first, second = exams(1, each=2)

    with pytest.raises(DataError, match=r"P_CS_0-0 and P_CS_0-1 are of one person, P_CS_0, .*leak"):
        assign_sites([first, replace(second, site="DU")], Data(root="x"))


def test_a_person_in_two_splits_is_refused():
    first, second = exams(1, each=2)

    with pytest.raises(DataError, match="in two places, CS/train and CS/test"):
        refuse_leak([replace(first, split="train"), replace(second, split="test")])


@pytest.mark.parametrize("name", ["P_CS_1", "P_CS_1-0\nP_CS_1-1", "P_CS_1-0_x\nP_CS_1-1"])
def test_a_table_names_a_person_or_exams_or_folders(tmp_path, name):
    table = tmp_path / "sites.csv"
    rows = "".join(f"{one},B\n" for one in name.split("\n"))
    table.write_text(f"subject_id,site\nP_CS_0,A\n{rows}")
    data = Data(root="x", sites=f"table:{table}")

    sites = assign_sites(exams(3, each=2), data)

    assert {site: [p.id for p in own] for site, own in sites.items()} == {
        "A": ["P_CS_0-0", "P_CS_0-1"],
        "B": ["P_CS_1-0", "P_CS_1-1"],
    }
    assert [who for _, who in unplaced(exams(3, each=2), data)] == ["P_CS_2-0", "P_CS_2-1"]


def test_a_table_that_parts_a_persons_exams_is_refused(tmp_path):
    table = tmp_path / "sites.csv"
    table.write_text("subject_id,site\nP_CS_0-0,A\nP_CS_0-1,B\n")

    with pytest.raises(DataError, match="stand in two places, A and B"):
        assign_sites(exams(1, each=2), Data(root="x", sites=f"table:{table}"))


def test_one_picture_in_two_exams_of_a_person_is_no_leak_and_of_two_persons_is():
    first, second = (replace(p, pictures=("a",), images=(Path("f"),)) for p in exams(1, each=2))
    refuse_leak([first, second])

    with pytest.raises(DataError, match="The same picture stands under two patients"):
        refuse_leak([first, replace(second, subject="P_CS_9")])


@pytest.mark.parametrize("given", [0, 1])
def test_an_exam_whose_split_is_given_takes_the_persons_other_exams_along(given):
    found = exams(3, each=2)
    found[given] = replace(found[given], split="test")

    for seed in range(5):
        placed = split_patients(found, Split(validation=0, test=0), seed)
        assert [p.split for p in placed] == ["test", "test", *["train"] * 4]
