"""What a hospital says of its channels and label values: strict, bounded, of nobody."""

import pytest

from roundelay.data.inventory import Inventory
from roundelay.errors import RefusedError
from roundelay.network.wire.inventory import inventory_json, mismatches
from roundelay.network.wire.replies import inventory_in
from surveys import study

DATA = study(
    data={
        "format": "nifti", "channels": ("t1", "t2"), "labels": {"whole": (1, 2)},
        "ignored_labels": (5,),
    }
).data  # fmt: skip


def said(exams=14, channels=("t1",), missing=None, labels=(1, 2), least=1):
    head = {"inventory": inventory_json(Inventory(exams, channels, missing or {}, labels), least)}
    found = inventory_in(head, "EAST")
    assert found is not None
    return list(mismatches(found, DATA))


def test_what_does_not_fit_is_a_sentence():
    assert said(missing={"t2": 3}, labels=(1, 3, 5)) == [
        "has no channel 't2' in 3 of 14 exams",
        "has the channels t1",
        "has the label value 3, which is in no region",
    ]
    assert said() == []
    assert said(labels=None) == ["has masks with more than 64 values, which are none"]


@pytest.mark.parametrize(
    ("count", "told"), [(4, "some of its"), (5, "5 of"), (9, "9 of"), (10, "some of its"),
                        (14, "all of")],
)  # fmt: skip
def test_counts_of_few_exams_stay_at_home(count, told):
    """Nor of all but a few: the rest can be counted from it."""
    assert said(missing={"t2": count}, least=5)[0] == f"has no channel 't2' in {told} 14 exams"


def test_all_of_few_exams_stay_uncounted():
    assert "some of its 3 exams" in said(exams=3, missing={"t2": 3}, least=5)[0]


GOOD = {"exams": 3, "channels": ["t1"], "missing": {"t2": 1}, "labels": [1, 2]}


@pytest.mark.parametrize(
    "bad",
    [
        {"exams": -1},
        {"exams": "3"},
        {"exams": 10**10},
        {"channels": ["\x1b[2J"]},
        {"channels": ["SMITH, John"]},
        {"channels": ["t1", "t1"]},
        {"channels": [f"t{n}" for n in range(99)]},
        {"channels": "t1"},
        {"missing": {"t2": 4}},
        {"missing": {"t2": 0}},
        {"missing": {"../x": 1}},
        {"missing": {f"t{n}": 1 for n in range(17)}},
        {"labels": [0]},
        {"labels": [1, 1]},
        {"labels": [10**6]},
        {"labels": list(range(1, 99))},
        {"patients": ["P-1"]},
    ],
)
def test_what_is_no_inventory_is_refused(bad):
    assert inventory_in({"inventory": GOOD}, "EAST")
    assert inventory_in({}, "EAST") is None
    with pytest.raises(RefusedError, match="The answer of EAST can't be read"):
        inventory_in({"inventory": {**GOOD, **bad}}, "EAST")
    with pytest.raises(RefusedError):
        inventory_in({"inventory": [GOOD]}, "EAST")
