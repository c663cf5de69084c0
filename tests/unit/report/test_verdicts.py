"""Pages and terminal give verdicts where there are seeds and patients enough, and else none."""

import re
import shutil
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest

from fakes import scored, write_run
from roundelay.cli import results
from roundelay.records.contents import read_run
from roundelay.records.left_out import combine_left_out, summarize_left_out
from roundelay.records.result import result_of
from roundelay.report.left_out import lay_left_out
from roundelay.report.page import render, write_report, write_reports
from surveys import SIZES, study

VERDICTS = ("chance explains", "may be chance", "p = ", "p < ", "ahead in", "better than", "is swt")
"""What no page says from too few seeds or patients."""
GAIN = {"cwt": 0.3, "swt": 0.0}


def scores_of(patients):
    """Scores by arm: patients in turn of all sites; cwt is ahead of swt by far, seeds by little."""

    def found(arm):
        name, seed = arm.label.split("-")
        dices = np.linspace(0.2, 0.6, patients) + GAIN[name] + int(seed) / 100
        sites = [list(SIZES)[i % len(SIZES)] for i in range(patients)]
        return [scored(f"p{i}", sites[i], float(dice)) for i, dice in enumerate(dices)]

    return found


def a_run(place, *, seeds, patients):
    plan = study(top={"arms": ("cwt", "swt"), "seeds": seeds})
    write_run(place, plan, {}, scores_of=scores_of(patients))
    return place


def pages(place, tmp_path):
    """The page of the run, of two such runs side by side, and of them as left out in turn."""
    shutil.copytree(place, tmp_path / "OTHER")
    runs = dict.fromkeys(SIZES, read_run(place))
    both = write_reports([place, tmp_path / "OTHER"], tmp_path / "BOTH").read_text()
    left_out = render(lay_left_out(combine_left_out(runs), runs, tmp_path))
    return {"run": write_report(place).read_text(), "both": both, "left out": left_out}


def printed(place, capsys):
    run = read_run(place)
    results.arms(result_of(run).as_json())
    runs = dict.fromkeys(SIZES, run)
    results.left_out(summarize_left_out(combine_left_out(runs), runs))
    return capsys.readouterr().out


def text_of(page):
    return unescape(re.sub(r"<style.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page, flags=re.S))


@pytest.mark.parametrize(
    ("seeds", "patients", "why"),
    [
        ((0,), 30, "No verdict from 1 seed:"),
        ((0, 1), 30, "No verdict from 2 seeds:"),
        ((0, 1, 2), 9, "No verdict from 9 patients:"),
    ],
)
def test_from_too_few_nothing_gives_a_verdict_and_all_say_why(
    seeds, patients, why, tmp_path, capsys
):
    place = a_run(tmp_path / "RUN", seeds=seeds, patients=patients)

    texts = {name: text_of(page) for name, page in pages(place, tmp_path).items()}
    texts["terminal"] = printed(place, capsys)

    for name, text in texts.items():
        said = why if patients > 9 or name not in ("left out", "terminal") else "No verdict from"
        assert said in text and re.search(r"cwt\b.{0,12} less swt\b.{0,12}: \+0\.\d+ Dice", text), (
            name
        )
        for verdict in VERDICTS:
            assert verdict not in text, (name, verdict)
    assert texts["terminal"].count(why) >= 1


def test_a_hospitals_own_model_has_no_place_where_hospitals_are_left_out(tmp_path):
    plan = study(top={"arms": ("cwt", "local")})
    write_run(
        tmp_path, plan, {}, scores_of=lambda arm: scores_of(9)(SimpleNamespace(label="cwt-0"))
    )
    runs = {"NORTH": read_run(tmp_path)}

    assert {arm.name for arm in runs["NORTH"].arms} == {"cwt", "local"}
    assert [one.method for one in combine_left_out(runs).judgement.methods] == ["cwt"]


def test_from_three_seeds_and_many_patients_all_give_the_same_verdict(tmp_path, capsys):
    place = a_run(tmp_path / "RUN", seeds=(0, 1, 2), patients=30)

    texts = {name: text_of(page) for name, page in pages(place, tmp_path).items()}
    texts["terminal"] = printed(place, capsys)

    sentence = str(read_run(place).judgement.comparisons[0])
    assert "more than chance explains (p < 0.001)" in sentence
    for name, text in texts.items():
        assert "more than chance explains" in text and "No verdict" not in text, name
    assert sentence in texts["run"] and sentence in texts["terminal"]
    assert "over seeds and patients" in texts["run"]


def test_while_seeds_are_still_to_come_the_page_waits_for_them(tmp_path):
    place = a_run(tmp_path / "RUN", seeds=(0, 1, 2), patients=30)
    (place / "summary.json").unlink()
    for label in ("cwt-2", "swt-2"):
        (place / "arms" / label / "scores.json").unlink()

    text = text_of(write_report(place).read_text())

    assert "No verdict yet: more of this study is still to come." in text
    assert "chance explains" not in text and "seeds = [0, 1, 2]" not in text


def test_hd95_stands_with_the_other_scores_and_in_no_first_table(tmp_path, capsys):
    place = a_run(tmp_path / "RUN", seeds=(0,), patients=12)

    page = text_of(write_report(place).read_text())
    terminal = printed(place, capsys)

    assert "HD95" not in terminal and " px" not in terminal
    scores, other = page[page.index("mean Dice") :].split("Other Dice scores", 1)
    assert "HD95" not in scores and "HD95, first seed" in other and " px" in other


def test_below_five_patients_an_interval_is_a_dash(tmp_path, capsys):
    place = a_run(tmp_path / "RUN", seeds=(0,), patients=4)

    row = next(x for x in printed(place, capsys).splitlines() if x.startswith("cwt "))
    page = text_of(write_report(place).read_text())

    assert row.split()[:4] == ["cwt", "0", row.split()[2], "–"]
    assert "Below five patients no interval is given." in page
    assert "95 % interval over" not in page and "to 0." not in page
