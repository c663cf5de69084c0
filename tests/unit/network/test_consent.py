"""Studies that wait for a hospital's approval."""

import pytest

from roundelay.errors import NetworkError
from roundelay.files.writing import write_json
from roundelay.network.hospital.consent import PENDING, waiting_study
from roundelay.network.wire.proposal import propose
from surveys import study


def test_a_file_of_another_version_hides_no_other_study(tmp_path):
    proposal = propose(study(), {"coordinator": {"sign": "00", "seal": "00"}})
    write_json(tmp_path / PENDING / "new.json", proposal.as_json())
    write_json(tmp_path / PENDING / "old.json", {"study": {"recipe": {"flips": True}}})

    assert waiting_study(tmp_path, proposal.study.digest).digest == proposal.digest
    with pytest.raises(NetworkError, match=r"old\.json \(of another version: remove it\)"):
        waiting_study(tmp_path, "none")
