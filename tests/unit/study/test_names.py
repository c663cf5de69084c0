"""Names from outside, parsed once; and what stands for them in paths."""

import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundelay.plan.arms import Arm
from roundelay.records.layout import arm_folder
from roundelay.study.names import PatientId, SiteName, alike, confusable, file_name, visible

HOSTILE = [
    "../evil", "../../../evil", "N/A", "Uni/Klinik", "[bold]", "[/A]", "Mainz [icu]", "A$_$B",
    "$_$", "$x^2", "=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "a,b;c", 'a"b', "a'b", "<b>&amp;</b>",
    "<script>alert(1)</script>", ":heart:", "%s{0}{site}", "C:\\Users\\x", "NUL", "con", "com1.txt",
    "aux .x", "name.", "~root", "-rf", ".hidden", "München", "東京大学病院", "🏥", "👩‍⚕️ Klinik",
    "בית חולים", "مستشفى", "می‌خواهم", "figures", "report.html", "tmp~0123456789ab", "ﬁx", "x" * 64,
    "Ω" * 64, "🏥" * 64, "#1c2127", "url(#a)", "a|b", "a*?b", "`id`", "$(id)", "a  b",
]  # fmt: skip
"""Names that are odd and yet names: each works whole."""

REFUSED = {
    "": "empty",
    "  \t ": "empty",
    ".": "names a folder",
    "..": "names a folder",
    "a\0b": r"U\+0000",
    "a\nb": r"U\+000A",
    "\x1b[2Jx": r"U\+001B",
    "a\u202eb": r"U\+202E",
    "a\u2066b": r"U\+2066",
    "a\ufeffb": r"U\+FEFF",
    "a\u00adb": r"U\+00AD",
    "a\u2028b": r"U\+2028",
    "a\udcfcb": "no Unicode text",
    "a\uffffb": r"U\+FFFF",
    "\u0301\u0301": "nothing in it",
    "\u200d": "nothing in it",
    "Server": "kept",
    "POOLED": "kept",
    "x" * 65: "64 at most",
    "a\u0301" * 65: "64 at most",
}
"""Names that can't be right, with what is said of them."""

ODD = st.one_of(
    st.text(min_size=1, max_size=70),
    st.text(alphabet="aA.~/\\ -_$[]<>=:|*\u0301éé\u202e\0\ud800🏥", min_size=1, max_size=12),
    st.builds(lambda a, b: a + b, st.sampled_from(HOSTILE), st.text(max_size=3)),
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_that_is_odd_works_whole(text):
    assert SiteName(text) == PatientId(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("text", REFUSED)
def test_a_name_that_cannot_be_right_is_refused(text):
    with pytest.raises(ValueError, match=REFUSED[text]) as refused:
        SiteName(text)

    str(refused.value).encode("ascii", "strict")


def test_a_name_is_one_text_however_its_letters_are_composed():
    assert SiteName("Mu\u0308nchen") == SiteName(" M\u00fcnchen ") == "München"


def test_names_that_read_alike_are_told():
    assert confusable(["EAST", "WEST", "EAST"]) is None
    for one, other in (("Mainz", "mainz"), ("Straße", "STRASSE"), ("a b", "a\u00a0 b"),
                       ("Ｍainz", "Mainz"), ("ab", "a\u200db")):  # fmt: skip
        assert confusable([one, "x", other]) == (one, other)


PLAIN = ["EAST", "local-0-EAST", "cwt-0", "chunk-1", "cwt--1-there-and-back", "Mainz ICU", "a.b_c"]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_is_its_own_file_name(text):
    assert file_name(text) == text


@settings(max_examples=2000, deadline=None)
@given(ODD)
def test_any_text_becomes_one_plain_part_of_a_path(text):
    made = file_name(text)

    assert made.isascii() and made.isprintable() and len(made) <= 80
    assert PurePosixPath(made).parts == PureWindowsPath(made).parts == (made,)
    assert made[0] not in ".~- " and made[-1] not in ". "
    for kind in (SiteName, PatientId):
        try:
            name = kind(text)
        except ValueError:
            continue
        assert kind(name) == name and name.file_name == file_name(name)
        assert unicodedata.is_normalized("NFC", name)
        assert name == unicodedata.normalize("NFC", text).strip()


@settings(max_examples=2000, deadline=None)
@given(ODD, ODD)
def test_two_names_share_a_file_name_only_where_they_are_told(one, other):
    if file_name(one).lower() == file_name(other).lower():
        assert alike(one) == alike(other)


@given(ODD)
def test_an_arms_folder_lies_directly_below_the_arms(text):
    out = Path("/runs/one")

    assert arm_folder(out, Arm("local", 0, (), text).label).parent == out / "arms"


@given(ODD)
def test_what_is_shown_on_a_terminal_steers_nothing_and_hides_nothing(text):
    shown = visible(text)

    shown.encode()
    assert not any(
        c < " " or "\x7f" <= c < "\xa0" or c == "\u202e" for c in shown if c not in "\n\t"
    )
    assert visible("Mainz [icu] 🏥 $x \u200d") == "Mainz [icu] 🏥 $x \u200d"
    assert visible("a\x1b[2J\udcfc") == "a\\x1b[2J\\xfc"


DEVICES = [
    "NUL",
    "con",
    "Aux.txt",
    "com1",
    "LPT9.tif",
    "PRN .x",
    "CONIN$",
    "nul..",
    "COM¹",
    "clock",
]


@pytest.mark.parametrize("text", [*DEVICES, "figures", "Report.html", "x" * 81, "a.", "a ", "a  b"])
def test_a_name_that_some_system_takes_for_something_else_is_mapped(text):
    readable, _, digest = file_name(text).partition("~")

    assert len(digest) == 12 and readable and "." not in readable
