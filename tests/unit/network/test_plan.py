"""NETWORK.toml: what is read, and every name that could not be one."""

import pytest

from roundelay.errors import NetworkError
from roundelay.network.wire.network_file import read_network

TEXT = """name = "trial"
sites = ["EAST", "west_2"]
days = 30
[server]
host = "server.example"
"""


def write(tmp_path, text):
    path = tmp_path / "NETWORK.toml"
    path.write_text(text)
    return path


def test_a_network_is_read_with_its_defaults(tmp_path):
    found = read_network(write(tmp_path, TEXT))

    assert (found.name, found.sites, found.days) == ("trial", ("EAST", "west_2"), 30)
    assert (found.server.host, found.server.port) == ("server.example", 8002)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"EAST"', '"../EAST"', "'../EAST' is no name here"),
        ('"EAST"', '""', "'' is no name here"),
        ('"EAST"', '"-x"', "'-x' is no name here"),
        ('"EAST"', '"EAST\\n"', "is no name here"),
        ('"EAST"', f'"{"E" * 64}"', "63 at most"),
        ('"trial"', '"a b"', "'a b' is no name here"),
        ('"EAST"', '"west_2"', "named once each"),
        ('"EAST"', '"coordinator"', "none of authority, coordinator, pooled, server"),
        ('"EAST"', '"pooled"', "none of"),
        ('["EAST", "west_2"]', "[]", "sites"),
        ("server.example", "-server", "no host name or address"),
        ("server.example", "server:80", "no host name or address"),
        ("days = 30", "days = 0", "days"),
        ("days = 30", "day = 30", "did you mean 'days'?"),
    ],
)
def test_what_could_not_be_a_network_is_refused(tmp_path, old, new, says):
    assert old in TEXT

    with pytest.raises(NetworkError) as caught:
        read_network(write(tmp_path, TEXT.replace(old, new)))

    assert says in str(caught.value) and "NETWORK.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NetworkError, match=r"none\.toml can't be read"):
        read_network(tmp_path / "none.toml")
