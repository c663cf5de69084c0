"""Names in figures: as they are, whatever they look like to Matplotlib or a browser."""

import xml.etree.ElementTree as ElementTree

import pytest

from roundelay.report.blocks import Figure, Page, Section
from roundelay.report.drawing import LONGEST, draw, on_page, short
from roundelay.report.page import write_page

NAMES = [
    "A$_$B", "$x^2$", "$\\frac{", "[bold]", "<b>&amp;</b>", 'url(#a) id="x" href="#y"', "#1c2127",
    "#8a929c", "東京🏥", "בית חולים", "मराठी", "_hidden", "\\alpha", "%s {0}", "</text></svg>",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_writes_a_name_as_it_is(name):
    def paint(axes):
        axes.set_xticks([0, 1], [name, "plain"])
        axes.set_title(name)

    svg = on_page(draw(4, 2, paint), label="a label", key="key")

    texts = [part.text for part in ElementTree.fromstring(svg).iter() if part.tag.endswith("text")]
    assert texts.count(name) == 2 and "plain" in texts


def test_the_tags_of_a_figure_take_the_pages_colours_and_its_name():
    svg = on_page(draw(4, 2, lambda axes: axes.plot([0, 1])), label="a label", key="key")

    assert "#1c2127" not in svg and "var(--ink)" in svg
    assert svg.count('id="key-') == svg.count('id="') and svg.count("url(#") == svg.count(
        "url(#key-"
    )


def test_a_long_name_is_cut_in_a_figure_and_short_ones_are_not():
    assert short("x" * LONGEST) == "x" * LONGEST
    assert short("a" * 40 + "b" * 24) == "a" * 15 + "…" + "b" * 8


@pytest.mark.parametrize("key", ["../../evil", "/abs", 'a"><script>', "x" * 300, "matrix-cwt-0"])
def test_a_figure_lies_in_its_folder_whatever_its_key(key, tmp_path):
    figure = Figure(key, draw(1, 1, lambda axes: None), "text")

    write_page(Page("t", [], [Section("s", "S", [figure])]), tmp_path / "out")

    found = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*"))
    assert found == [f"out/figures/{figure.name}.svg", "out/report.html"]
    assert "<script>" not in (tmp_path / "out" / "report.html").read_text()
