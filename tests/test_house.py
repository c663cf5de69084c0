"""The house itself: its files, its names, its words."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main

from roundelay.cli.app import app, run_app
from roundelay.study.preset import preset_names
from roundelay.study.study import Study

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "roundelay"
SOURCES = sorted(PACKAGE.rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
MODULES = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_files_are_short_and_say_what_they_are_for():
    for path in [*SOURCES, *BENCHMARKS]:
        text = path.read_text()
        assert len(text.splitlines()) <= 250, path
        assert text.startswith('"""'), f"{path} has no first sentence"


def test_no_room_is_without_a_name_of_its_own():
    nameless = {"utils", "util", "helpers", "common", "base", "misc", "constants", "manager"}
    assert not nameless & {path.stem for path in SOURCES}


def test_no_file_at_the_top_is_a_room_and_no_room_a_single_file():
    assert sorted(MODULES) == ["__main__", "errors"]
    for room in ROOMS:
        assert len([*(PACKAGE / room).rglob("*.py")]) > 2, room


def test_tests_mirror_the_rooms():
    """`cli` is tested end to end and `couriers` by one suite for all of them; the rest by room."""
    tested = {path.name for path in (ROOT / "tests" / "unit").iterdir() if any(path.glob("*.py"))}

    assert tested | {"cli", "couriers"} == ROOMS


def contracts():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return [one for one in settings["contracts"] if one["type"] == "layers"]


@pytest.mark.parametrize("package", ["roundelay", "roundelay.network"])
def test_the_contract_of_imports_names_every_room(package):
    (contract,) = [one for one in contracts() if one["containers"] == [package]]
    folder = ROOT / "src" / package.replace(".", "/")
    rooms = {p.parent.name for p in folder.glob("*/__init__.py")}
    rooms |= {p.stem for p in folder.glob("*.py")} - {"__init__"}

    named = [name.strip() for layer in contract["layers"] for name in layer.split("|")]

    assert contract["exhaustive"] is True and not contract.get("ignore_imports")
    assert sorted(named) == sorted(rooms)


OLD_WORDS = re.compile(
    r"(?<![a-z])(?<!under_)(wards?|doors?|gates?|errands?|passage|asking|hops?|stand_in|flips|calibrated?"
    r"|calibration|proximal|trail|mark(s|ing) nothing|ways?)(?![a-z])",
    re.IGNORECASE,
)
"""Also as part of a name with underscores, but for `under_way`."""

ANSWER_OLD_KEYS = {
    PACKAGE / "study" / "renamed.py": None,
    PACKAGE / "network" / "hospital" / "policy.py": "RENAMED = ",
    PACKAGE / "learning" / "model_header.py": 'validation_alias=AliasChoices("test_time_aug',
}
"""Files, or their lines that begin so, in which old keys are read or answered with new ones."""


def spoken():
    """All that a user reads but for the history: sources, texts, the report's template, pages."""
    found = [p for end in ("py", "toml", "j2", "md") for p in PACKAGE.rglob(f"*.{end}")]
    found += [p for p in PACKAGE.rglob("texts/*") if p not in found]
    found += [p for end in ("md", "svg", "py") for p in (ROOT / "docs").rglob(f"*.{end}")]
    found += [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return sorted(set(found) - {ROOT / "docs" / "decisions.md"})


def allowed(path, line):
    begins = ANSWER_OLD_KEYS.get(path, "never")
    return begins is None or line.strip().startswith(begins)


@pytest.mark.parametrize("part", ["src", "docs"])
def test_the_words_are_the_fields_own(part):
    """Each old word is named with its place."""
    paths = [p for p in spoken() if (PACKAGE in p.parents) is (part == "src")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if not allowed(path, line)
        for match in OLD_WORDS.finditer(line)
    ]

    assert len(paths) > (100 if part == "src" else 15)
    assert not found, "\n".join(found)


def test_an_old_word_would_be_found_and_others_are_not():
    for text in ("a Door", "hops = 2", "the_way", "calibrate()", "it marks nothing.", "GATE"):
        assert OLD_WORDS.search(text), text
    for text in (
        "always",
        "recalibrate_batchnorm",
        "under_way",
        "towards",
        "aggregate",
        "shop",
        "trailing",
    ):
        assert not OLD_WORDS.search(text), text


def test_help_and_a_broken_study_need_no_torch(tmp_path):
    code = (
        "import sys; from roundelay.cli.app import run_app\n"
        "for arguments in (['--help'], ['run', '--help'], ['ledger', 'verify', 'nowhere'],"
        " ['run', 'nowhere.toml', '--out', 'x']): run_app(arguments)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)


def commands(group, words=()):
    """Every command that there is, as it is typed."""
    found = []
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found += commands(command, (*words, name)) if inner else [" ".join((*words, name))]
    return found


def test_every_command_and_every_key_of_a_study_stands_in_the_docs():
    text = "\n".join(page.read_text() for page in PAGES)
    known = commands(typer.main.get_command(app))
    assert len(known) >= 15
    for command in known:
        assert re.search(rf"roundelay {command}\b", text), command
    reference = (ROOT / "docs" / "reference" / "study-file.md").read_text()
    for section, field in Study.model_fields.items():
        assert f"`{section}`" in reference or f"[{section}]" in reference, section
        for key in getattr(field.annotation, "model_fields", {}):
            assert f"`{key}`" in reference, f"{section}.{key}"
    for name in preset_names():
        assert f"`{name}`" in reference, name


def test_every_command_in_the_docs_has_the_options_that_it_is_shown_with(capsys):
    shown = {
        line.strip().removeprefix("$ ").split("  ")[0]
        for page in PAGES
        for block in re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text(), re.M | re.S)
        for line in block.splitlines()
        if line.strip().removeprefix("$ ").startswith("roundelay ")
    }
    assert len(shown) >= 15
    for line in sorted(shown):
        words = line.split()[1:]
        command = words[: 2 if words[0] in ("ledger", "network", "server", "site") else 1]
        assert run_app([*command, "--help"]) == 0, line
        known = capsys.readouterr().out
        for option in (word for word in words if word.startswith("--")):
            assert f"{option} " in known, f"{line}: {option}"


def test_what_is_made_by_name_in_the_pages_is_a_target_of_the_makefile():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.M))
        assert named and named <= targets, (page, named - targets)


def test_no_page_shows_a_picture_from_elsewhere():
    for page in PAGES:
        assert not re.search(r"!\[[^\]]*\]\(\w+:", page.read_text()), page


def test_every_file_that_contributing_points_to_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:src/roundelay|tests|docs)/[\w./-]+)`", text)

    assert len(paths) >= 10
    for path in paths:
        assert (ROOT / path).exists(), path


def test_every_threat_names_tests_that_there_are_or_says_that_it_is_not_covered():
    text = (ROOT / "docs" / "explanation" / "threat-model.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    assert len(rows) >= 25
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row.split("|")[-2])
        assert named or "not covered" in row.split("|")[-2], row
        for name in named:
            assert f"def {name}(" in tests, name
