"""Studies that wait for a hospital's approval."""

import pytest

from roundelay.errors import NetworkError
from roundelay.files.writing import write_json
from roundelay.network.hospital.consent import PENDING, Waiting, waiting_study
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.proposal import propose
from surveys import study


def test_a_file_of_another_version_hides_no_other_study(tmp_path):
    roster = {name: own_keys(tmp_path / name).public() for name in ("coordinator", "NORTH")}
    proposal = propose(study(), roster)
    write_json(tmp_path / PENDING / "new.json", Waiting(proposal, "r1").as_json())
    write_json(tmp_path / PENDING / "old.json", {"study": {"recipe": {"flips": True}}})

    found = waiting_study(tmp_path, proposal.study.digest)
    assert (found.proposal.digest, found.run) == (proposal.digest, "r1")
    with pytest.raises(NetworkError, match=r"old\.json \(of another version: remove it\)"):
        waiting_study(tmp_path, "none")
