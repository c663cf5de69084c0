"""Who takes part: keys that somebody drew, each party's own, and a study that is named by them."""

import pytest

from roundelay.errors import NetworkError
from roundelay.network.hospital.consent import waiting_study
from roundelay.network.wire.keys import fingerprint, own_keys

SMALL = ["00" * 32, "01" + "00" * 31, "ed" + "ff" * 30 + "7f", "01" + "00" * 30 + "80",
         "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
         "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"]  # fmt: skip


@pytest.mark.parametrize("kind", ["sign", "seal"])
@pytest.mark.parametrize("key", SMALL)
def test_a_key_that_nobody_drew_is_no_party_of_a_study(west, kind, key):
    """To some points nothing can be sealed: the neighbour would train in vain. What some have
    signed everybody could have signed: its holder could deny it."""
    head = west.head
    head["proposal"]["roster"]["EAST"][kind] = key
    west.refuses(head, f"roster.EAST.{kind}")


@pytest.mark.parametrize("other", ["coordinator", "WEST"])
@pytest.mark.parametrize("kinds", [("sign",), ("seal",), ("sign", "seal")])
def test_two_parties_with_one_key_are_refused(west, other, kinds):
    """A coordinator that is its own neighbour could read; so could a kit that was copied."""
    head = west.head
    roster = head["proposal"]["roster"]
    for kind in kinds:
        roster["EAST"][kind] = roster[other][kind]
    west.refuses(head, "have the same keys")


def test_a_study_that_waits_twice_can_be_named_by_all_that_is_agreed_on(west):
    """Somebody else proposes the same study under keys of their own: the first can be approved."""
    head = {**west.head, "run": "r2"}
    west.reply(head, west.asked.payload)
    stranger = own_keys(west.home / "stranger")
    head["proposal"]["roster"]["coordinator"] = stranger.public()
    assert "awaiting" in west.reply(head, west.asked.payload, keys=stranger)

    digest = west.proposal.study.digest
    with pytest.raises(NetworkError, match="More than one study waits") as caught:
        waiting_study(west.home, digest)

    for owner, proposal in ((west.owner, west.proposal), (stranger, west.proposal_of(head))):
        assert f"{fingerprint(owner.public())} ({proposal.digest[:12]})" in str(caught.value)
        found = waiting_study(west.home, proposal.digest[:12])
        assert found.proposal.roster["coordinator"] == owner.public()
