"""The house itself: its files, its names, its words."""

import re
import subprocess
import sys
from pathlib import Path

from roundelay.cli.app import run_app
from roundelay.study.file import preset_names, preset_text
from roundelay.study.study import Study

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_files_are_short_and_say_what_they_are_for():
    for path in SOURCES:
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        assert text.startswith('"""'), f"{path} has no first sentence"


def test_no_room_is_without_a_name_of_its_own():
    nameless = {"utils", "util", "helpers", "common", "base", "misc", "constants", "manager"}
    assert not nameless & {path.stem for path in SOURCES}


def test_help_and_a_broken_study_need_no_torch(tmp_path):
    code = (
        "import sys; from roundelay.cli.app import run_app\n"
        "for arguments in (['--help'], ['run', '--help'], ['ledger', 'verify', 'nowhere'],"
        " ['run', 'nowhere.toml', '--out', 'x']): run_app(arguments)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)


def test_every_command_and_every_key_of_a_study_stands_in_the_docs():
    text = "\n".join(page.read_text() for page in PAGES)
    for command in (
        "demo",
        "init",
        "check",
        "run",
        "evaluate",
        "predict",
        "report",
        "watch",
        "ledger",
        "network create",
        "network status",
        "server start",
        "site start",
        "site approve",
        "submit",
    ):
        assert f"roundelay {command}" in text, command
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


def test_presets_say_why_in_comments():
    for name in preset_names():
        assert preset_text(name).startswith("# "), name


def test_the_readme_names_both_commands():
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text and "make test" in text
    assert not re.search(r"!\[[^\]]*\]\(http", text), "a picture from elsewhere"
