"""What is foreseen: weak places in an itinerary, bytes, room on the disk."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from roundelay.errors import DataError, DiskFullError, StudyError
from roundelay.plan.arms import lay
from roundelay.plan.cost import check_room, room_needed
from roundelay.plan.exposure import exposed, subtractors, weak_places
from surveys import SIZES, study, survey, surveys


def laid(sites=SIZES, **recipe):
    return lay(study(recipe={"rounds": 2, "epochs": 1, **recipe}), surveys(dict(sites)))[0]


@pytest.mark.parametrize(
    ("order", "site", "places"),
    [
        ("given", "NORTH", ["first"]),
        ("given", "EAST", []),
        ("given", "SOUTH", ["last"]),
        ("there-and-back", "SOUTH", ["at the turn"]),
        ("there-and-back", "NORTH", ["first", "last"]),
        ("reversed", "NORTH", ["last"]),
    ],
)
def test_the_weak_places_of_an_itinerary_are_named(order, site, places):
    assert exposed(laid(order=order), site) == places


def test_a_site_with_one_patient_is_named_where_it_stands_weakly():
    found = {**surveys(), "LAKE": survey("LAKE", 9, patients=1)}
    alone = {**found, "LAKE": found["LAKE"].__class__(
        "LAKE", {"train": 1, "validation": 0, "test": 0}, {"train": 9, "validation": 0, "test": 0},
        {"train": 4, "validation": 0, "test": 0}, "d",
    )}  # fmt: skip
    plan = study()

    notices = weak_places(lay(plan, alone), alone)

    assert any("LAKE has one patient, used for training" in n for n in notices)
    assert any("stands last in cwt-0" in n for n in notices)
    assert not weak_places(lay(plan, surveys()), surveys())
    both = alone | {"HILL": replace(alone["LAKE"], site="HILL")}
    (told,) = [n for n in weak_places(lay(plan, both), both) if "Dice can't be known" in n]
    assert told.startswith("2 sites have one patient each") and "(LAKE, HILL)" in told


@pytest.mark.parametrize(
    ("order", "sites", "single", "said"),
    [
        ("given", 3, 1, "Move it inwards with site_order."),
        ("there-and-back", 3, 1, "Move it inwards with site_order."),
        ("shuffled", 3, 1, 'With order = "shuffled" places are drawn: take order = "given"'),
        ("size", 3, 1, 'With order = "size" places go by size: take order = "given"'),
        ("shuffled", 2, 1, "None of 2 sites can stand inside"),
        ("given", 2, 1, "None of 2 sites can stand inside"),
        ("given", 4, 3, "2 of 4 sites can stand inside"),
    ],
)
def test_what_would_hide_a_patient_is_true_of_order_and_sites(order, sites, single, said):
    found = {
        name: survey(name, 9, patients=1 if number >= sites - single else 3)
        for number, name in enumerate(["A", "B", "C", "D"][:sites])
    }
    notices = weak_places(
        lay(study(recipe={"order": order, "rounds": 6}), found), found, order=order
    )
    assert notices and all(said in text for text in notices)


def test_an_order_that_is_compared_has_advice_of_its_own():
    found = {"LAKE": survey("LAKE", 9, patients=1)} | surveys()
    plan = study(recipe={"rounds": 6, "compare_orders": ("shuffled",)})

    notices = weak_places(lay(plan, found), found, order="given")

    given = [text for text in notices if "cwt-0-given" in text]
    shuffled = [text for text in notices if "cwt-0-shuffled" in text]
    assert given and all(text.endswith("Move it inwards with site_order.") for text in given)
    assert shuffled and all("places are drawn" in text for text in shuffled)


MODEL_BYTES = 1000


def room(*, arms=("cwt",), between_hospitals=False, courier=None, **sections):
    top = {"arms": arms, **sections.pop("top", {})}
    recipe = {"rounds": 2, "epochs": 1, **sections.pop("recipe", {})}
    plan = study(top=top, recipe=recipe, courier=courier or {}, **sections)
    arms = lay(plan, surveys())
    return room_needed(plan, arms, MODEL_BYTES, between_hospitals=between_hospitals) / MODEL_BYTES


def test_the_room_is_what_is_written_not_copies_of_the_first_model():
    """Two batons, the one that is being written, and the model; and what the study adds to them."""
    assert room() == 2 + 1 + 1
    assert room(arms=("cwt", "fedavg")) == 1 + 2 * 3
    assert room(recipe={"optimiser_state": "travel"}) == 3 * 3 + 1
    assert room(recipe={"average": "ema"}) == 3 * 2 + 1
    assert room(recipe={"remember": "si"}, arms=("cwt", "fedavg")) == 2 + (2 * 2 + 1) + (2 + 1)
    assert room(recipe={"rounds": 4}, evaluation={"choose": "best"}) == (3 + 2) + 1 + 1
    assert room(top={"keep": "all"}) == 2 * 3 + 1 + 1
    assert room(arms=("fedavg",), top={"keep": "all"}) == 2 + 2 * 3 + 1 + 1
    assert room(recipe={"optimiser_state": "stay"}) == 4 + 3 * 2 * 2
    assert room(recipe={"optimiser_state": "stay"}, between_hospitals=True) == pytest.approx(
        4, abs=20
    )
    assert room(recipe={"optimiser_state": "travel"}, between_hospitals=True) > 4 * 3


def test_a_run_that_will_not_fit_is_refused_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))

    with pytest.raises(DiskFullError, match="Nothing was written"):
        check_room(tmp_path / "run", 10**6 + 1)
    check_room(tmp_path / "run", 10**6)


def test_what_is_there_already_needs_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    (tmp_path / "arms" / "cwt-0").mkdir(parents=True)
    (tmp_path / "arms" / "cwt-0" / "model.safetensors").write_bytes(bytes(100))

    check_room(tmp_path, 110)
    with pytest.raises(DiskFullError, match="more at"):
        check_room(tmp_path, 111)


def test_a_site_without_training_slices_is_refused():
    with pytest.raises(DataError, match="EAST has no training slices"):
        laid({"NORTH": 30, "EAST": 0})


@pytest.mark.parametrize(
    ("recipe", "data", "says"),
    [
        ({"batch": 9}, {}, "larger than the 8 training slices of site SOUTH"),
        ({}, {"train_slices": 51}, "train_slices = 51"),
        ({}, {"train_slices": 2}, "train_slices = 2"),
        ({"site_order": ("NORTH", "EAST")}, {}, "site_order names"),
    ],
)
def test_what_the_cohort_cannot_give_is_refused(recipe, data, says):
    with pytest.raises(StudyError, match=says):
        lay(study(recipe=recipe, data=data), surveys())


def test_train_slices_are_shared_in_proportion_and_stay_the_same_for_every_arm():
    plan = study(
        top={"arms": ("cwt", "pooled")}, data={"train_slices": 25}, recipe={"batch": 2, "epochs": 1}
    )

    cwt, pooled = lay(plan, surveys())

    given = dict(stop.slices[0] for leg in cwt.legs for stop in leg.stops)
    assert given == {"NORTH": 15, "EAST": 6, "SOUTH": 4}
    assert dict(pooled.legs[0].stops[0].slices) == given


def test_site_order_is_the_order_given():
    found = laid(site_order=("SOUTH", "NORTH", "EAST"))

    assert [leg.stops[0].site for leg in found.legs[:3]] == ["SOUTH", "NORTH", "EAST"]


def test_who_could_subtract_depends_on_who_can_read():
    legs = laid(site_order=("NORTH", "EAST", "SOUTH"), rounds=1).legs

    open_to_one = subtractors("cwt", legs)
    sealed = subtractors("cwt", legs, readers=())
    for_all = subtractors("cwt", legs, readers=("EAST", "NORTH", "SOUTH"))

    assert open_to_one["EAST"] == ["the coordinator"]
    # The start can be made again, so who comes second has the first one's update; the end is open.
    assert sealed == {"NORTH": ["EAST"], "EAST": [], "SOUTH": ["EAST"]}
    assert for_all["EAST"] == ["NORTH", "SOUTH"]


def test_side_by_side_whoever_averages_has_every_update():
    plan = study(top={"arms": ("fedavg",)}, recipe={"rounds": 1, "epochs": 1})
    legs = lay(plan, surveys())[0].legs

    assert set(map(tuple, subtractors("fedavg", legs).values())) == {("the coordinator",)}
    assert subtractors("pooled", legs) == {}
