"""What a machine refuses in the middle: a sentence, nothing half, and the run goes on."""

import errno
import fcntl
import io
import json
import os
import stat

import pytest
import torch

from roundelay.cli.app import run_app
from roundelay.cli.options import at_home
from roundelay.phantom.cohort import make_toy
from roundelay.site import training
from surveys import TOY

pytestmark = pytest.mark.skipif(os.name == "nt", reason="file systems of POSIX")


@pytest.fixture(scope="module")
def home(module_path):
    make_toy(module_path / "data", seed=0, patients={"NORTH": 3, "EAST": 3}, slices=4, size=64)
    (module_path / "study.toml").write_text(TOY)
    return module_path


def refusing(monkeypatch, name, numbers, *, after=0, only=lambda *_: True):
    """From the call after `after` on, the system refuses what `name` asks, of what `only` takes."""
    real, calls = getattr(os, name), []

    def refuse(*arguments, **named):
        if only(*arguments):
            calls.append(arguments)
            if len(calls) > after:
                raise OSError(numbers, os.strerror(numbers), *(a for a in arguments[:1] if a))
        return real(*arguments, **named)

    monkeypatch.setattr(os, name, refuse)


def is_folder(descriptor, *_):
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def run_toy(home, out, *more):
    torch.set_num_threads(1)
    return run_app(["run", str(home / "study.toml"), "--out", str(out), *more])


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS])
def test_a_file_system_that_syncs_no_folders_is_worked_on(home, tmp_path, monkeypatch, number):
    refusing(monkeypatch, "fsync", number, only=is_folder)

    assert run_toy(home, tmp_path / "RUN") == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_is_worked_on(home, tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)

    assert run_toy(home, tmp_path / "RUN") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "after"),
    [*((errno.EIO, after) for after in (0, 1, 2, 4, 7)),
     *((number, after) for number in (errno.EPERM, errno.EXDEV, errno.EBUSY) for after in (0, 2))],
)  # fmt: skip
def test_a_rename_that_is_refused_leaves_nothing_half_and_the_run_goes_on(
    home, tmp_path, monkeypatch, capsys, number, after
):
    out = tmp_path / "RUN"
    with monkeypatch.context() as patch:
        refusing(patch, "replace", number, after=after)
        code = run_toy(home, out)
    said = capsys.readouterr().err
    begun = (out / "run.json").exists()

    assert code == (3 if begun else 2)
    assert str(out) in said and "None" not in said and ".tmp" not in said
    assert ("go on with --resume" in said) == begun
    assert not list(out.rglob("*.tmp"))
    assert run_toy(home, out, *(["--resume"] if begun else [])) == 0


@pytest.mark.slow
def test_the_first_error_is_told_where_tidying_up_fails_too(home, tmp_path, monkeypatch, capsys):
    refusing(monkeypatch, "fsync", errno.EDQUOT)
    refusing(monkeypatch, "unlink", errno.EROFS)

    assert run_toy(home, tmp_path / "RUN") == 2
    assert "disk is full" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("where", ["fit", "predict"])
def test_too_little_memory_in_a_run_says_what_to_make_smaller(
    home, tmp_path, monkeypatch, capsys, where
):
    def refuse(*_, **__):
        torch.ones(2**55)

    module = {"fit": "roundelay.site.training.fit", "predict": "roundelay.site.evaluation.predict"}
    with monkeypatch.context() as patch:
        patch.setattr(module[where], refuse)
        assert run_toy(home, tmp_path / "RUN") == 3
    said = capsys.readouterr().err

    assert "too little memory" in said and "recipe.batch" in said and "--resume" in said
    assert run_toy(home, tmp_path / "RUN", "--resume") == 0


@pytest.mark.slow
def test_a_gradient_that_overflowed_stops_the_visit_and_the_run_goes_on(
    home, tmp_path, monkeypatch, capsys
):
    real, visits = training.fit, []

    def spoil(model, *arguments, **named):
        loss = real(model, *arguments, **named)
        visits.append(loss)
        if len(visits) == 2:
            with torch.no_grad():
                next(model.parameters()).fill_(float("inf"))
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", spoil)
        assert run_toy(home, tmp_path / "RUN") == 3
    said = capsys.readouterr().err
    assert "(stop 2, round 1) gave values that aren't finite (model/" in said
    assert len((tmp_path / "RUN/arms/cwt-0/ledger.jsonl").read_text().splitlines()) == 2
    assert run_toy(home, tmp_path / "RUN", "--resume") == 0
    assert run_toy(home, tmp_path / "OTHER") == 0

    heads = [json.loads((tmp_path / name / "summary.json").read_text())["arms"][0]["model"]
             for name in ("RUN", "OTHER")]  # fmt: skip
    assert heads[0] == heads[1]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["RUN", "data", "study.toml"])
def test_what_is_closed_to_us_is_said(home, tmp_path, monkeypatch, capsys, place):
    """As root, who may open all, the system's answer is put in."""
    closed = str({"RUN": tmp_path, "data": home / "data", "study.toml": home / "study.toml"}[place])
    real_open, real_scan, real_access = io.open, os.scandir, os.access

    def guarded(real):
        def ask(path, *arguments, **named):
            if str(path).startswith(closed):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *arguments, **named)

        return ask

    monkeypatch.setattr(io, "open", guarded(real_open))
    monkeypatch.setattr(os, "scandir", guarded(real_scan))
    monkeypatch.setattr(os, "listdir", guarded(os.listdir))
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode: not str(path).startswith(closed) and real_access(path, mode),
    )

    assert run_toy(home, tmp_path / "RUN") == 2
    said = capsys.readouterr().err
    assert closed in said and ("ermission denied" in said or "is closed to you" in said)
    assert not (tmp_path / "RUN").exists()


@pytest.mark.parametrize("argument", ["--out=~/R", "--out=~", "~/R"])
def test_a_tilde_that_no_shell_replaced_is_the_home(argument, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))

    (found,) = at_home([argument])

    assert "~" not in found and str(tmp_path) in found
    assert at_home(["--json", "a~b", "--out=a~", "~nobody-of-that-name"]) == [
        "--json", "a~b", "--out=a~", "~nobody-of-that-name",
    ]  # fmt: skip
