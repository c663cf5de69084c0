"""Every file of a finished run, damaged in every manner, read by every command: a sentence that
names it, or no matter; never a traceback."""

import os
import shutil
import urllib.request

import pytest
import torch

from roundelay.cli.app import run_app
from roundelay.phantom.cohort import make_toy
from roundelay.report.watching import watched
from surveys import TOY

FOLLOWED = TOY.replace("validation = 0.0", "validation = 0.34").replace(
    "samples = false", 'samples = true\nfollow = "round"'
)

DAMAGES = {
    "empty": lambda data: b"",
    "object": lambda data: b"{}",
    "list": lambda data: b"[]",
    "null": lambda data: b"null",
    "cut": lambda data: data[: len(data) // 2],
    "binary": lambda data: bytes(range(256)) * 4,
    "deep": lambda data: b"[" * 100_000 + b"]" * 100_000,
    "other kinds": lambda data: data.replace(b'"', b"").replace(b"1", b'"1"'),
    "folder": None,
    "missing": None,
}

REFUSED = {
    "run.json": ("resume", "report"),
    "study.toml": ("resume", "report"),
    "summary.json": ("resume", "ledger verify"),
    "arms/cwt-0/ledger.jsonl": ("resume", "ledger show", "ledger verify"),
    "arms/cwt-0/itinerary.json": ("resume", "ledger verify"),
    "arms/cwt-0/scores.json": ("resume",),
    "arms/cwt-0/validation.json": ("resume",),
    "arms/cwt-0/model.safetensors": ("resume", "ledger verify", "evaluate", "predict"),
    "arms/cwt-0/batons": ("resume", "ledger verify"),
    "samples/samples.json": ("resume", "report"),
}
"""Which commands can't do without a file."""

NO_MATTER = {
    ("resume", "arms/cwt-0/validation.json"): {"list", "missing"},
    ("resume", "samples/samples.json"): {"list", "missing"},
    ("report", "samples/samples.json"): {"list", "missing"},
    **{(command, name): {"missing"} for command in ("resume", "ledger verify")
       for name in ("summary.json", "arms/cwt-0/scores.json", "arms/cwt-0/itinerary.json",
                    "arms/cwt-0/ledger.jsonl", "arms/cwt-0/batons")},
}  # fmt: skip
"""Where a damage leaves what a run may be without, or what the command makes again."""

FEW = ("empty", "cut", "deep", "folder", "missing")
"""Damages of files whose commands load a network: each takes seconds."""

OTHERS = ("report.html", "patients.csv", "figures/patients.svg", "arms/cwt-0/curve.csv",
          "samples/NORTH-only.png")  # fmt: skip
"""What none of them needs."""


@pytest.fixture(scope="module")
def home(module_path):
    place = module_path
    make_toy(place / "data", seed=0, patients={"NORTH": 3, "EAST": 3}, slices=4, size=64)
    (place / "study.toml").write_text(FOLLOWED)
    torch.set_num_threads(1)
    assert run_app(["run", str(place / "study.toml"), "--out", str(place / "RUN")]) == 0
    return place


def damaged(home, place, name, damage):
    """A copy of the run in which one file is damaged. Its files are links: none is written into."""
    run = place / "RUN"
    shutil.copytree(home / "RUN", run, copy_function=os.link)
    path = run / name
    if path.is_dir():
        path = sorted(path.iterdir())[0]
    data = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(DAMAGES[damage](data))
    return run


def commands(home, run, place):
    study, data = str(home / "study.toml"), str(home / "data")
    return {
        "ledger show": ["ledger", "show", str(run)],
        "ledger verify": ["ledger", "verify", str(run)],
        "report": ["report", str(run), "--out", str(place / "page")],
        "watch": ["watch", str(run)],
        "evaluate": ["evaluate", str(run), data],
        "predict": ["predict", str(run), data, "--out", str(place / "masks")],
        "resume": ["run", study, "--out", str(run), "--resume"],
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "name"),
    [
        *((damage, name) for name in REFUSED for damage in DAMAGES
          if damage in FEW or "/" not in name or "ledger" in name),
        *((damage, name) for name in OTHERS for damage in ("binary", "folder")),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_or_no_matter(home, tmp_path, capsys, name, damage):
    for command, arguments in commands(home, tmp_path / "RUN", tmp_path).items():
        if command in ("evaluate", "predict") and "model" not in name:
            continue  # they look for a model alone
        if name in OTHERS and command == "resume":
            continue
        run = damaged(home, tmp_path, name, damage)

        code = _watch(run) if command == "watch" else run_app(arguments)

        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert code in (0, 2), (command, said)
        if code == 2:
            assert str(run) in said, (command, said)
        elif command in REFUSED.get(name, ()):
            assert damage in NO_MATTER.get((command, name), ()), (command, said)
        shutil.rmtree(run)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scores.json", "validation.json", "itinerary.json"])
def test_a_page_over_a_damaged_arm_is_drawn_and_what_is_missing_is_said(
    home, tmp_path, capsys, name
):
    run = damaged(home, tmp_path, f"arms/cwt-0/{name}", "cut")

    assert run_app(["report", str(run), "--out", str(tmp_path / "page")]) == 0

    said = capsys.readouterr().err
    assert "Note: cwt-0" in said and f"{name} is damaged" in said
    assert f"{name} is damaged" in (tmp_path / "page" / "report.html").read_text()


def _watch(run):
    """What the command does until Ctrl-C, and a look at the page."""
    with watched(run) as address, urllib.request.urlopen(address) as answer:
        assert b"</body>" in answer.read() or answer.status == 200
    return 0
