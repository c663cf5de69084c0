"""Signals at any moment, and streams of any kind: one line, an exit code, no traceback."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes import write_run
from roundelay.cli.progress import Watch
from roundelay.phantom.cohort import make_toy
from roundelay.plan.arms import lay
from roundelay.plan.progress import Step
from roundelay.running.events import ArmBegun, Planned
from surveys import TOY, study, surveys

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and streams of POSIX")


def listens():
    """Whoever runs the tests in the background has SIGINT ignored, and its children with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(*arguments, script=None, **options):
    command = ["-c", script, *arguments] if script else ["-m", "roundelay", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, *command], stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE), text=True, env=environment,
        **{"preexec_fn": listens, **options},
    )  # fmt: skip


def ended(process):
    """Its exit code, and what it said on standard error."""
    said = process.communicate(timeout=200)[1]
    return process.returncode, said


@pytest.fixture(scope="module")
def home(module_path):
    make_toy(module_path / "data", seed=0, patients={"NORTH": 3, "EAST": 3}, slices=4, size=64)
    (module_path / "study.toml").write_text(TOY)
    (module_path / "long.toml").write_text(TOY.replace("rounds = 1", "rounds = 60"))
    return module_path


@pytest.fixture(scope="module")
def finished(module_path):
    write_run(module_path / "toy", study(), {})
    return module_path / "toy"


AT_IMPORT = """
import builtins, os, signal, sys
from roundelay.__main__ import main
left, real = int(sys.argv.pop(1)), builtins.__import__
def counted(*arguments, **named):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), getattr(signal, sys.argv.pop(1)))
    return real(*arguments, **named)
builtins.__import__ = counted
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 20, 200, 2000, 4000])
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_while_modules_are_imported_is_one_line(home, tmp_path, number, name, code):
    arguments = ("run", str(home / "long.toml"), "--out", str(tmp_path / "RUN"))
    process = start(str(number), *arguments, script=AT_IMPORT.replace("sys.argv.pop(1)))", "NAME))")
                    .replace("NAME", repr(name)))  # fmt: skip

    _, said = process.communicate(timeout=200)

    assert process.returncode == code
    assert said.splitlines()[-1].startswith("Stopped.") and "Traceback" not in said


def test_a_module_that_swallows_an_interrupt_does_not_keep_the_process(tmp_path):
    (tmp_path / "swallowing.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept BaseException:\n    pass\n"
    )
    script = (
        "from roundelay.cli import stopping\nstopping.listen()\n"
        "with stopping.working():\n    import swallowing\n    print('went on')"
    )

    process = start(script=script, cwd=tmp_path)

    assert process.communicate(timeout=60) == ("", "Stopped.\n")
    assert process.returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signals", "code"),
    [((signal.SIGINT,), 130), ((signal.SIGTERM,), 143), ((signal.SIGINT, signal.SIGINT), 130)],
)
def test_a_signal_while_it_trains_says_how_to_go_on(home, tmp_path, signals, code):
    process = start("run", str(home / "long.toml"), "--out", str(tmp_path / "RUN"))
    for line in process.stderr:
        if "round 2/60" in line:
            break
    for one in signals:
        process.send_signal(one)
        time.sleep(0.005)

    _, said = process.communicate(timeout=200)

    assert process.returncode == code
    last = [line for line in said.splitlines() if "step" not in line]
    assert last == ["Stopped. What was handed over is kept; go on with --resume."]
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_signal_that_was_to_be_ignored_stays_so():
    script = ("import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
              "from roundelay.cli import stopping; stopping.listen();"
              "sys.exit(signal.getsignal(signal.SIGINT) != signal.SIG_IGN)")  # fmt: skip

    assert ended(start(script=script)) == (0, "")


SHOWN = ("ledger", "show")


def test_lines_of_a_pipe_are_whole_at_any_width(finished):
    wanted = start(*SHOWN, str(finished)).communicate(timeout=60)[0]
    for env in (
        {"COLUMNS": "20"},
        {"COLUMNS": "20", "FORCE_COLOR": "1"},
        {"TERM": "dumb"},
        {"NO_COLOR": "1", "COLUMNS": "0"},
        {"COLUMNS": "odd", "TERMINAL_WIDTH": "odd"},
    ):
        found = start(*SHOWN, str(finished), env=env).communicate(timeout=60)[0]
        assert found == wanted, env
    rows = [line for line in wanted.splitlines() if "NORTH" in line]
    assert rows and all(len(line.split()) == 9 and "…" not in line for line in rows)


def test_a_table_of_any_width_is_whole_in_a_pipe():
    script = (
        "from roundelay.cli import show\n"
        "show.table('T', [f'column {i}' for i in range(90)], [['0.123 ± 0.456'] * 90] * 2)"
    )

    said, wrong = start(script=script, env={"COLUMNS": "20"}).communicate(timeout=60)

    assert wrong == ""
    _, columns, *rows = said.splitlines()
    assert [int(one) for one in columns.split("column")[1:]] == [*range(90)] and len(rows) == 2
    assert all(row.count("0.123 ± 0.456") == 90 for row in rows)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
def test_any_encoding_takes_what_is_said(finished, encoding, tmp_path):
    """The dash and the ellipsis of a refusal, and a name that no encoding but UTF-8 has."""
    process = start("report", str(tmp_path / "Łódź…–"), env={"PYTHONIOENCODING": encoding},
                    stderr=subprocess.PIPE)  # fmt: skip
    process.stderr = io.TextIOWrapper(process.stderr.detach(), encoding=encoding)

    said = process.communicate(timeout=60)[1]

    assert process.returncode == 2 and "is not a run of Roundelay" in said
    assert "Traceback" not in said
    assert ("Łódź…–" in said) == encoding.startswith("utf")
    if encoding == "ascii":
        assert "\\u0141\\xf3d\\u017a...-" in said


def test_a_locale_without_utf_8_is_no_reason_to_stop(finished):
    env = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}

    assert ended(start("ledger", "verify", str(finished), env=env)) == (0, "")


@pytest.mark.parametrize("closed", ["stdout", "stderr", "stdin", "all"])
def test_a_closed_stream_is_no_reason_to_stop(finished, closed):
    numbers = {"stdin": [0], "stdout": [1], "stderr": [2], "all": [0, 1, 2]}[closed]

    def close():
        for number in numbers:
            os.close(number)

    assert ended(start(*SHOWN, str(finished), preexec_fn=close)) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_a_full_standard_output_is_said(finished, extra):
    with Path("/dev/full").open("w") as full:
        assert ended(start(*SHOWN, str(finished), *extra, stdout=full)) == (
            2, "Standard output can't be written: No space left on device.\n"
        )  # fmt: skip
        assert ended(start(*SHOWN, str(finished), *extra, stderr=full)) == (0, None)


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_a_reader_who_left_is_no_error_to_tell(finished, extra):
    read, write = os.pipe()
    os.close(read)
    process = start(*SHOWN, str(finished), *extra, stdout=write)
    os.close(write)

    assert ended(process) == (141, "")


def test_the_time_left_begins_anew_with_each_hospital_that_is_left_out(capsys):
    watch = Watch(quiet=False)
    (arm,) = lay(study(), surveys())
    stops = [stop for leg in arm.legs for stop in leg.stops]
    for _ in range(3):
        watch.event(Planned((arm,), surveys(), ()))
        watch.event(ArmBegun(arm, 0))
        for stop in stops:
            for step in range(1, stop.steps + 1):
                watch.event(Step(stop, step, 0.5, 1.0))

    said = capsys.readouterr().err
    assert " left" in said and "-" not in "".join(
        line.rsplit("  ", 1)[-1] for line in said.splitlines() if line.endswith("left")
    )
