"""Studies that wait for a hospital's approval."""

import pytest

from roundelay.errors import NetworkError
from roundelay.files.writing import write_json
from roundelay.network.hospital import consent
from roundelay.network.hospital.consent import PENDING, Waiting, waiting_study
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.proposal import propose
from surveys import study


def test_a_file_that_vanishes_while_it_is_looked_for_is_none_that_waits(tmp_path, monkeypatch):
    """Another process approved the study in between."""
    roster = {name: own_keys(tmp_path / name).public() for name in ("coordinator", "NORTH")}
    proposal = propose(study(), roster)
    write_json(tmp_path / PENDING / "there.json", Waiting(proposal, "r1").as_json())
    write_json(tmp_path / PENDING / "gone.json", Waiting(proposal, "r2").as_json())
    looked = consent._since

    def since(path):
        if path.name == "gone.json":
            path.unlink()
        return looked(path)

    monkeypatch.setattr(consent, "_since", since)

    with pytest.raises(NetworkError) as caught:
        waiting_study(tmp_path, "none")

    assert "gone.json" not in str(caught.value) and not (tmp_path / PENDING / "gone.json").exists()
    assert waiting_study(tmp_path, proposal.digest).run == "r1"


def test_a_file_of_another_version_hides_no_other_study(tmp_path):
    roster = {name: own_keys(tmp_path / name).public() for name in ("coordinator", "NORTH")}
    proposal = propose(study(), roster)
    write_json(tmp_path / PENDING / "new.json", Waiting(proposal, "r1").as_json())
    write_json(tmp_path / PENDING / "old.json", {"study": {"recipe": {"flips": True}}})

    found = waiting_study(tmp_path, proposal.study.digest)
    assert (found.proposal.digest, found.run) == (proposal.digest, "r1")
    with pytest.raises(NetworkError, match=r"old\.json \(of another version: remove it\)"):
        waiting_study(tmp_path, "none")
