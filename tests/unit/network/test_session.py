"""A coordinator's session is not begun from a kit that is damaged."""

import json

import pytest

from roundelay.errors import NetworkError
from roundelay.network.flare.session import Session


def test_a_kit_without_its_local_folder_is_said_to_be_damaged(tmp_path):
    pytest.importorskip("nvflare")
    (tmp_path / "startup").mkdir()
    admin = {"admin": {"username": "a", "host": "127.0.0.1", "port": 1}}
    (tmp_path / "startup" / "fed_admin.json").write_text(json.dumps(admin))

    with pytest.raises(NetworkError, match="damaged: its folder local is missing"):
        Session(tmp_path, patience=0).call("get_system_info")
