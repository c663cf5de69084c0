"""The optimiser's memory that stays at a site, and what is said where it is gone."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from roundelay.errors import VisitError
from roundelay.plan.arms import lay
from roundelay.site.optimiser_state import keep_state, kept_state
from surveys import study, surveys

PLAN = study(recipe={"rounds": 2, "epochs": 1, "optimiser_state": "stay"})
STOPS = [leg.stops[0] for leg in lay(PLAN, surveys())[0].legs]
FIRST, AGAIN = STOPS[0], STOPS[3]
STATE = {"exp_avg/w": np.arange(3, dtype=np.float32)}


@pytest.fixture
def site(tmp_path):
    """All of a local site that its memory needs."""
    return SimpleNamespace(study=PLAN, home=tmp_path / "NORTH")


def test_what_a_visit_kept_the_next_one_at_that_site_finds(site):
    keep_state(site, FIRST, STATE)

    assert AGAIN.previous_here == FIRST.index
    assert (kept_state(site, AGAIN)["exp_avg/w"] == STATE["exp_avg/w"]).all()
    assert kept_state(site, FIRST) == {}


@pytest.mark.parametrize("of", ["another site", "another arm", "another visit", "another study"])
def test_a_memory_of_the_same_shape_that_is_another_visits_is_refused(site, tmp_path, of):
    other = {
        "another site": replace(FIRST, site="EAST"),
        "another arm": replace(FIRST, arm="swt"),
        "another visit": AGAIN,
        "another study": FIRST,
    }[of]
    plan = study(recipe={"learning_rate": 0.1}) if of == "another study" else PLAN
    there = SimpleNamespace(study=plan, home=tmp_path / "other")
    keep_state(site, FIRST, STATE)
    keep_state(there, other, STATE)
    (file,) = there.home.rglob("*.safetensors")
    file.replace(site.home / "cwt-0" / "optimiser-0.safetensors")

    with pytest.raises(VisitError, match="isn't that visit's"):
        kept_state(site, AGAIN)


@pytest.mark.parametrize("damage", ["the folder deleted", "the file deleted", "cut", "emptied"])
def test_where_it_is_gone_or_damaged_the_visit_is_refused_with_what_next(site, damage):
    keep_state(site, FIRST, STATE)
    file = site.home / "cwt-0" / "optimiser-0.safetensors"
    data = file.read_bytes()
    if damage in ("cut", "emptied"):
        file.write_bytes(data[:-1] if damage == "cut" else b"")
    else:
        file.unlink()
    if damage == "the folder deleted":
        file.parent.rmdir()
        site.home.rmdir()

    with pytest.raises(VisitError) as caught:
        kept_state(site, AGAIN)

    told = str(caught.value)
    assert "NORTH (stop 4, round 2)" in told and "cwt-0/optimiser-0.safetensors" in told
    assert "--resume" in told and "--out" in told
    assert str(site.home.parent) not in told  # between hospitals no path leaves
