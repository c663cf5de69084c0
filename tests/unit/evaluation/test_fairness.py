"""Groups of patients: who is in them, and what is said of small ones."""

import pytest

from roundelay.evaluation.fairness import attribute, gap, gap_between, groups, size_names
from roundelay.evaluation.summary import site_means
from scored import patient


def members(found, kind):
    return {g.name: (g.patients, pytest.approx(g.mean)) for g in found if g.kind == kind}


SCORES = [
    patient("a", 0.9, site="NORTH", reference_volume=10.0, attributes={"gender": "1", "age": "30"}),
    patient("b", 0.7, site="NORTH", reference_volume=20.0, attributes={"gender": "2", "age": "40"}),
    patient("c", 0.5, site="EAST", reference_volume=30.0, attributes={"gender": "2", "age": ""}),
]


def test_every_patient_stands_in_a_group_of_each_kind_that_is_known():
    found = groups(SCORES)

    assert members(found, "hospital") == {"EAST": (1, 0.5), "NORTH": (2, 0.8)}
    assert members(found, "sex") == {"female": (1, 0.9), "male": (2, 0.6)}
    assert members(found, "age") == {"under 40": (1, 0.9), "40 to 59": (1, 0.7)}
    assert members(found, "tumour size") == {
        "small third": (1, 0.9), "middle": (1, 0.7), "large third": (1, 0.5),
    }  # fmt: skip


def test_what_the_cohort_does_not_say_makes_no_group():
    assert {g.kind for g in groups(SCORES)} == {"hospital", "tumour size", "sex", "age"}


def test_groups_below_five_patients_are_marked_and_have_no_interval():
    scores = [patient(str(i), 0.5 + i / 100, site="WEST") for i in range(5)]

    found = {group.name: group for group in groups(SCORES + scores) if group.kind == "hospital"}

    assert found["EAST"].small and found["EAST"].interval is None
    assert not found["WEST"].small and found["WEST"].interval.over == "patients"


def test_a_group_of_several_seeds_has_an_interval_over_seeds_and_patients():
    scores = [patient(str(i), 0.5 + i / 100) for i in range(6)]
    seeds = [{s.patient: s.dice + move for s in scores} for move in (-0.1, 0.0, 0.1)]

    (alone,) = (g for g in groups(scores) if g.kind == "hospital")
    (whole,) = (g for g in groups(scores, seeds) if g.kind == "hospital")

    assert whole.mean == alone.mean and whole.interval.over == "seeds and patients"
    assert whole.interval.high - whole.interval.low > 3 * (alone.interval.high - alone.interval.low)


def test_the_gap_is_between_the_best_and_the_worst_hospital_none_of_one_patient():
    more = [*SCORES, patient("d", 0.3, site="EAST"), patient("e", 1.0, site="WEST")]

    found = gap(groups(more))

    assert (found.best.name, found.worst.name) == ("NORTH", "EAST")
    assert found.size == pytest.approx(0.4)
    assert gap(groups(SCORES)) is None and gap(groups(SCORES[:1])) is None
    assert gap_between(site_means(more)) == gap_between({"NORTH": (2, 0.8), "EAST": (2, 0.4)})


def test_patients_are_grouped_by_the_sequences_that_they_lack_where_any_does():
    lacks = {"missing_sequences": "pre, post"}
    more = [*SCORES, patient("d", 0.3, attributes=lacks), patient("e", 0.2, attributes=lacks)]
    more += [patient("f", 0.4, attributes={"missing_sequences": "post"})]

    assert members(groups(more), "sequences") == {
        "all there": (3, 0.7), "without post": (1, 0.4), "without pre and post": (2, 0.25),
    }  # fmt: skip
    assert not members(groups(SCORES), "sequences")


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        ("sex", "1", "female"), ("sex", "M", "male"), ("sex", "other", "other"),
        ("grade", "1", "II"), ("grade", "III", "III"),
        ("age", "39.5", "under 40"), ("age", "60", "60 and over"), ("age", "unknown", None),
        ("age", " ", None),
    ],
)  # fmt: skip
def test_attributes_are_read_in_words(kind, value, name):
    assert attribute(patient("a", 0.5, attributes={kind: value}), kind) == name


def test_terciles_of_equal_volumes_are_one_group():
    assert {size_names([5.0, 5.0, 5.0])(v) for v in (5.0,)} == {"small third"}
