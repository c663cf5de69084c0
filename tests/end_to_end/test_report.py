"""The report: written with a run, honest about an unfinished or damaged one, readable anywhere."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from roundelay.cli.results import ended
from roundelay.errors import RunFolderError
from roundelay.phantom.cohort import make_toy
from roundelay.report.page import write_report, write_reports
from roundelay.running.run import run_study
from roundelay.study.file import parse_study

STUDY = """
name = "judged"
arms = ["cwt", "swt", "fedavg", "local"]
[data]
root = "data"
split = {{ validation = 0.25, test = 0.4 }}
size = 32
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 2
steps = 1
batch = 2
deterministic = true
[evaluation]
follow = "visit"
"""


@pytest.fixture(scope="module")
def run(module_path) -> Path:
    home = module_path
    make_toy(home / "data", seed=1, patients={"NORTH": 4, "EAST": 4}, slices=4, size=64)
    study = parse_study(STUDY.replace("{{", "{").replace("}}", "}"), where="test", folder=home)
    run_study(study, home / "RUN")
    return home / "RUN"


class Page(HTMLParser):
    """What a page asks for, and the words of its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.pictures: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.addresses += [values[k] or "" for k in ("src", "href", "xlink:href") if k in values]
        if tag == "img":
            self.pictures.append(values.get("alt") or "")
        if values.get("role") == "img":
            self.pictures.append(values.get("aria-label") or "")


@pytest.mark.slow
def test_the_head_of_the_run_stands_on_the_page_and_in_the_terminal(run, capsys):
    ended(json.loads((run / "summary.json").read_text()), run, json_=False)
    head = json.loads((run / "closing.json").read_text())["digest"]

    assert head in (run / "report.html").read_text()
    assert f"The run's head, to note down beside its figures:  {head}" in capsys.readouterr().out


def test_a_run_ends_in_a_page_that_needs_nothing_else(run):
    text = (run / "report.html").read_text()
    page = Page(text)

    assert all(a.startswith(("#", "data:")) for a in page.addresses)
    assert "@import" not in text and "<script" not in text
    assert len(page.pictures) >= 8 and all(page.pictures)
    assert sorted(p.suffix for p in (run / "figures").iterdir())[0] == ".svg"
    for method in ("cwt", "swt", "fedavg", "local"):
        assert f"{method}: " in text
    for words in (
        "Forgetting",
        "Who could subtract",
        "cwt less swt",
        "No verdict",
        "Still running",
    ):
        assert (words in text) is (words != "Still running"), words
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_the_summary_holds_what_the_page_says(run):
    summary = json.loads((run / "summary.json").read_text())

    assert [row["method"] for row in summary["methods"]] == ["cwt", "swt", "fedavg", "local"]
    assert [one["second"] for one in summary["comparisons"]] == ["swt", "fedavg", "local"]
    assert all("No verdict" in one["no_verdict"] for one in summary["comparisons"])
    by_label = {row["label"]: row for row in summary["arms"]}
    assert summary["methods"][0]["dice_mean"] == pytest.approx(
        by_label["cwt-0"]["test"]["dice_mean"]
    )
    assert set(summary["forgetting"]) >= {"cwt-0", "swt-0", "fedavg-0"}
    model = by_label["swt-0"]["bytes_planned"] / 2
    for label, models in (("swt-0", 2), ("cwt-0", 4), ("fedavg-0", 8)):
        assert by_label[label]["bytes_passed"] == pytest.approx(models * model, rel=0.01)


@pytest.mark.slow
def test_an_unfinished_run_shows_what_is_there(run, tmp_path):
    shutil.copytree(run, tmp_path / "RUN")
    (tmp_path / "RUN" / "summary.json").unlink()
    shutil.rmtree(tmp_path / "RUN" / "arms" / "local-0-NORTH")
    (tmp_path / "RUN" / "arms" / "fedavg-0" / "scores.json").unlink()

    text = write_report(tmp_path / "RUN").read_text()

    assert "Still running." in text and "fedavg-0 has 2 of 2 legs" in text
    assert "1 more to begin" in text and "cwt: cyclic weight transfer" in text


@pytest.mark.slow
def test_a_damaged_ledger_is_a_red_line_never_silence(run, tmp_path):
    shutil.copytree(run, tmp_path / "RUN")
    ledger = tmp_path / "RUN" / "arms" / "cwt-0" / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"slices":', '"slices":1', 1))

    text = write_report(tmp_path / "RUN").read_text()

    assert text.index('class="problem"') < text.index("<h1>")
    assert "cwt-0" in text[text.index('class="problem"') : text.index("<h1>")]


@pytest.mark.slow
def test_runs_side_by_side_are_of_one_cohort(run, tmp_path):
    shutil.copytree(run, tmp_path / "OTHER")

    text = write_reports([run, tmp_path / "OTHER"], tmp_path / "BOTH").read_text()
    assert "2 runs side by side" in text and "cwt of RUN" in text and "swt of OTHER" in text
    assert "No verdict from 1 seed and" in text

    record = tmp_path / "OTHER" / "run.json"
    facts = json.loads(record.read_text())
    record.write_text(json.dumps({**facts, "cohort": "0" * 64}))
    with pytest.raises(RunFolderError, match="different cohorts"):
        write_reports([run, tmp_path / "OTHER"], tmp_path / "NEVER")
    assert not (tmp_path / "NEVER").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="not a run"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_opens_it_without_a_word_of_complaint(run, width, scheme):
    browser_path = next((p for n in ("chromium", "chromium-browser", "google-chrome")
                         if (p := shutil.which(n))), None)  # fmt: skip
    if browser_path is None:
        pytest.skip("no Chromium on this machine")
    sync = pytest.importorskip("playwright.sync_api")
    complaints, requests = [], []
    with sync.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on("request", lambda r: requests.append(r.url))
        page.goto((run / "report.html").as_uri())
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        shown = page.evaluate(
            "(({color, backgroundColor}) => [color, backgroundColor])"
            "(getComputedStyle(document.body))"
        )
        browser.close()
    assert not complaints
    assert all(url.startswith(("file:", "data:")) for url in requests)
    assert overflow <= 0, "the page is wider than the screen"
    assert contrast(*shown) >= 7


def contrast(first: str, second: str) -> float:
    """WCAG 2.2 contrast ratio of two CSS colours rgb(r, g, b)."""

    def light(colour: str) -> float:
        parts = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((light(first), light(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)
