"""What `--resume` refuses, and what it says and records: software, folders, a second process."""

import json
import shutil

import pytest

from fakes import Footprints
from roundelay.errors import LedgerError, RunFolderError, SiteError
from roundelay.records.layout import LOG, METRICS, locked
from roundelay.records.verification import check_run, verify_run
from roundelay.relay.chain import read_chain
from roundelay.running.events import Noticed
from toy_runs import Toy, close_anew, run_toy

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture
def run(toy_run, tmp_path):
    return shutil.copytree(toy_run, tmp_path / "RUN")


class Stops(Toy):
    """A courier whose network fails after some visits."""

    def __init__(self, visits: int) -> None:
        super().__init__()
        self.left = visits

    def train(self, baton, stops):
        if self.left == 0:
            raise SiteError("the cable was pulled")
        self.left -= 1
        return super().train(baton, stops)


@pytest.fixture
def stopped(tmp_path):
    """A run stopped after two visits."""
    with pytest.raises(SiteError):
        run_toy(tmp_path / "RUN", courier=lambda: Stops(2))
    return tmp_path / "RUN"


def rewrite(path, **changes):
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **changes}))


def resume(out, **settings):
    """What was noticed on the run's resume."""
    told = []
    run_toy(out, resume=True, on_event=told.append, **settings)
    return [event.text for event in told if isinstance(event, Noticed)]


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def quoted(folder):
    """What a run comes to, but for the lock and the two files that hold the time of day."""
    return {p: data for p, data in files(folder).items() if p.name not in (".lock", LOG, METRICS)}


@pytest.mark.parametrize("visits", [0, 1, 4, 6, 7])
def test_a_run_stopped_anywhere_ends_in_the_same_files(toy_run, tmp_path, visits):
    with pytest.raises(SiteError):
        run_toy(tmp_path / "RUN", courier=lambda: Stops(visits))

    assert resume(tmp_path / "RUN") == []

    assert quoted(tmp_path / "RUN") == quoted(toy_run)


@pytest.mark.parametrize("gone", [
    ["closing.json"], ["closing.json", "summary.json"], ["closing.json", "summary.json",
     "patients.csv"], ["closing.json", "summary.json", "arms/fedavg-0/scores.json"],
])  # fmt: skip
@pytest.mark.parametrize("closed", [True, False])
def test_a_kill_between_the_last_files_ends_in_the_same_files(toy_run, run, gone, closed):
    """Scores, the ledger's last line, patients.csv, summary.json, closing.json: in this order."""
    for name in gone:
        (run / name).unlink()
    ledger = run / "arms" / "fedavg-0" / "ledger.jsonl"
    if not closed:
        lines = ledger.read_bytes().splitlines(keepends=True)
        ledger.write_bytes(b"".join(lines[:-1]))

    resume(run)

    assert quoted(run) == quoted(toy_run)
    assert not check_run(run).failed


def test_a_finished_run_is_resumed_to_its_result_and_no_file_changes(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != ".lock"}

    assert resume(run) == []

    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("key", ["torch", "roundelay", "numpy", "scipy", "python", "processor"])
def test_other_software_is_said_recorded_and_told_by_verify(stopped, key):
    now = json.loads((stopped / "run.json").read_text())[key]
    rewrite(stopped / "run.json", **{key: "0.0.1"})

    (told,) = resume(stopped)

    assert "0.0.1" in told and now in told and "may differ" in told
    record = json.loads((stopped / "run.json").read_text())
    assert record[key] == "0.0.1"
    assert record["resumed"] == [{"after_legs": {"cwt-0": 2, "fedavg-0": 0}, key: now}]
    software = next(c for c in verify_run(stopped).claims if c.text.startswith("one software"))
    assert software.outcome == "unchecked" and now in software.why and "cwt-0 2" in software.why
    assert resume(stopped) == []  # it goes on with what it went on with before


def test_of_a_finished_run_other_software_is_said_and_nothing_changes(run):
    rewrite(run / "run.json", torch="2.1.0")
    close_anew(run)
    before = quoted(run)

    (told,) = resume(run)

    assert "PyTorch 2.1.0" in told and "nothing is computed again" in told
    assert quoted(run) == before


def test_another_number_of_threads_is_refused_with_what_to_write(stopped):
    rewrite(stopped / "run.json", threads=16)
    before = files(stopped)

    with pytest.raises(RunFolderError, match=r"Write threads = 16 into \[courier\]"):
        resume(stopped)

    assert files(stopped) == before


@pytest.mark.parametrize("there", [False, True], ids=["not there", "empty"])
def test_where_there_is_nothing_to_resume_that_is_said_and_a_run_begins(tmp_path, there):
    out, events = tmp_path / "RUNN", []
    if there:
        out.mkdir()

    run_toy(out, resume=True, on_event=events.append)

    said = [event.text for event in events if isinstance(event, Noticed)]
    assert f"There is nothing to resume at {out}: a new run begins there." in said[0]
    assert (out / "summary.json").exists()


def test_what_a_beginning_left_that_was_cut_off_is_gone_on_with(toy_run, tmp_path):
    """A kill between the folder's lock and its record."""
    (tmp_path / "RUN").mkdir()
    (tmp_path / "RUN" / ".lock").touch()

    run_toy(tmp_path / "RUN", resume=True)

    assert quoted(tmp_path / "RUN") == quoted(toy_run)


def test_a_second_process_is_refused_before_it_reads_anything(stopped):
    (stopped / "run.json").write_text("not read by whoever comes second")

    with locked(stopped), pytest.raises(RunFolderError, match="Another process is running"):
        run_toy(stopped, resume=True)


def test_two_that_begin_at_once_do_not_write_over_each_other(tmp_path):
    """The second looked at an empty folder, and the first was done before it took the lock."""
    out = tmp_path / "RUN"

    class Slow(Toy):
        def survey(self):
            if not out.exists():
                run_toy(out)
            return super().survey()

    with pytest.raises(RunFolderError, match="isn't empty"):
        run_toy(out, courier=Slow)

    assert not check_run(out).failed


def test_of_a_new_run_that_is_refused_nothing_is_left(tmp_path):
    class Unwilling(Footprints):
        def survey(self):
            raise SiteError("no")

    with pytest.raises(SiteError):
        run_toy(tmp_path / "RUN", courier=Unwilling)

    assert not (tmp_path / "RUN").exists()


def test_an_altered_end_of_an_arm_is_not_closed_over(run):
    """A finished run whose closing line was cut off: resuming does not write a new one."""
    ledger = run / "arms" / "cwt-0" / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:-1]))

    with pytest.raises(LedgerError, match="has no last line: it was cut"):
        resume(run)

    assert read_chain(ledger).closing is None
