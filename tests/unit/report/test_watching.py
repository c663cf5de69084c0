"""The report on loopback: one page, no other file, no other host, and a sign when it changed."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from roundelay.errors import RunFolderError, UserError
from roundelay.report.watching import watched


def ask(address, path="/", host=None):
    where = urlsplit(address).netloc
    connection = HTTPConnection(where, timeout=5)
    connection.request("GET", path, headers={"Host": host or where})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run.json").write_text(
        '{"study": "s", "synthetic": true, "arms": ["cwt-0"], "sites": []}'
    )
    return tmp_path


def test_it_waits_for_the_first_report_then_shows_each_new_one(run):
    with watched(run) as address:
        assert "when the first round ends" in ask(address)[1]
        stamps = [ask(address, "/stamp")[1]]
        for text in ("one", "two"):
            new = run / "new.html"
            new.write_text(f"<body>{text}</body>")
            new.replace(run / "report.html")
            status, page = ask(address)
            assert status == 200 and text in page and "location.reload()" in page
            stamps.append(ask(address, "/stamp")[1])
    assert len(set(stamps)) == 3


def test_folds_are_waited_for_from_the_beginning_of_the_first(run, tmp_path):
    (tmp_path / "OUT").mkdir()
    (run / "run.json").rename(tmp_path / "run.json.kept")
    with pytest.raises(RunFolderError, match="not a run"), watched(tmp_path / "OUT"):
        pass
    (tmp_path / "OUT" / "fold-1").mkdir()
    (tmp_path / "run.json.kept").rename(tmp_path / "OUT" / "fold-1" / "run.json")

    with watched(tmp_path / "OUT") as address:
        assert "when the first of their" in ask(address)[1]


def test_no_other_file_and_no_other_host_is_answered(run):
    (run / "patients.csv").write_text("secret")
    (run / "report.html").write_text("<body></body>")
    with watched(run) as address:
        for path in ("/patients.csv", "/run.json", "/../run.json", "/report.html/../patients.csv"):
            assert ask(address, path)[0] == 404
        assert ask(address, host="elsewhere.example")[0] == 403
        assert address.startswith("http://127.0.0.1:")


def test_a_folder_without_a_run_and_a_taken_port_are_said(run, tmp_path):
    with pytest.raises(RunFolderError, match="not a run"), watched(tmp_path / "none"):
        pass
    with watched(run) as address:
        port = urlsplit(address).port
        with pytest.raises(UserError, match=f"Port {port}"), watched(run, port=port):
            pass


def test_the_server_ends_with_the_block(run):
    with watched(run) as address:
        pass
    with pytest.raises(OSError, match="refused"):
        ask(address)
