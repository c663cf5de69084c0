"""A hospital's patients are decoded once, and digested at every request."""

from dataclasses import replace

import pytest

from roundelay.data import opening
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.slice_cache import SliceCache
from roundelay.errors import DataError
from roundelay.learning.machine import machine_on
from roundelay.network.hospital.opened import opened_site
from roundelay.phantom.cohort import make_toy
from roundelay.site.cohort import open_sites
from roundelay.site.opening import survey
from surveys import study


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Opens EAST; how many patients were decoded by then."""
    make_toy(tmp_path / "data", seed=0, patients={"EAST": 2}, slices=3, size=48)
    decoded, read = [], opening._opened
    monkeypatch.setattr(opening, "_opened", lambda *asked: decoded.append(asked) or read(*asked))

    def opened(found=lambda patients: patients, **data):
        plan = study(data={"root": str(tmp_path / "data"), **data})
        site = opened_site(
            "EAST", plan, found(open_sites(plan)["EAST"]),
            cache=SliceCache(Preprocessing("zscore", "none", 32), None),
            machine=machine_on("cpu", False, False), home=tmp_path,
        )  # fmt: skip
        return len(decoded), survey(site)

    return opened


def test_what_did_not_change_is_decoded_once(opened):
    first, numbers = opened()

    assert first == 2
    assert opened() == (2, numbers)


def test_an_image_that_changed_is_seen(opened, tmp_path):
    _, numbers = opened()
    one, other = sorted((tmp_path / "data").glob("*/*_mask.tif"))[:2]
    one.write_bytes(other.read_bytes())

    again, now = opened()

    assert again == 4 and now.digest != numbers.digest
    one.write_bytes(b"damaged")
    with pytest.raises(DataError):
        opened()


def test_another_study_and_other_headers_are_decoded_anew(opened):
    opened()

    assert opened(size=64)[0] == 4
    assert (
        opened(lambda patients: tuple(replace(p, subject="one") for p in patients), size=64)[0] == 6
    )
