"""Files that people write, whatever their model is."""

import pytest

from roundelay.errors import NetworkError
from roundelay.files.toml_file import Section, check, read_toml_file


class Any(Section):
    """A number without bounds of its own."""

    number: float = 1.0
    count: int = 1


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "+inf"])
def test_a_number_that_is_none_is_refused_in_every_file(number, tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(f"number = {number}\n")

    with pytest.raises(NetworkError, match=r"number: .*finite"):
        read_toml_file(Any, path, NetworkError)


def test_a_wrong_value_is_shown_cut(tmp_path):
    for value in ("x" * 500, 1.5):
        with pytest.raises(NetworkError) as caught:
            check(Any, {"count": value}, "here", NetworkError)

        assert len(str(caught.value)) < 300


def test_a_mark_before_a_file_changes_nothing_and_another_encoding_is_said(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes("count = 3\r\n".encode("utf-8-sig"))
    assert read_toml_file(Any, path, NetworkError).count == 3

    path.write_bytes("count = 3\n".encode("utf-16"))
    with pytest.raises(NetworkError, match="UTF-16"):
        read_toml_file(Any, path, NetworkError)
