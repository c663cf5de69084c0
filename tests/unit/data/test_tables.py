"""Tables from outside, in every spelling; and tables of ours, which a spreadsheet only shows."""

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roundelay.data.tables import read_attributes, read_table, unlike, write_table
from roundelay.errors import DataError

PLAIN = "Patient,Site,Split\nMünchen 1,a,test\nb,c d,train\n"
CELLS = [
    {"Patient": "München 1", "Site": "a", "Split": "test"},
    {"Patient": "b", "Site": "c d", "Split": "train"},
]


def written(tmp_path, data):
    path = tmp_path / "t.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def turned(text, **signs):
    for name, sign in signs.items():
        text = text.replace({"comma": ",", "end": "\n"}[name], sign)
    return text


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        PLAIN.encode("utf-8-sig"),
        turned(PLAIN, end="\r\n"),
        turned(PLAIN, end="\r"),
        turned(PLAIN, comma=";"),
        turned(PLAIN, comma="\t"),
        turned(PLAIN, comma="|"),
        turned(PLAIN, comma=" , "),
        "sep=;\n" + turned(PLAIN, comma=";"),
        ("sep=;\r\n" + turned(PLAIN, comma=";", end="\r\n")).encode("utf-8-sig"),
        PLAIN.replace("ü", "u\u0308"),
        PLAIN.replace("test", '"test"').replace("c d", "\u00a0c d\u00a0"),
        "\n\n" + turned(PLAIN, end="\n,,\n\n"),
        turned(PLAIN, end=",,\n"),
        ",".join(["", *PLAIN.splitlines()[0].split(",")]) + "\n0,München 1,a,test\n1,b,c d,train",
    ],
)
def test_every_spelling_of_a_table_is_the_same_table(data, tmp_path):
    table = read_table(written(tmp_path, data))

    assert [dict(row.cells) for row in table.rows] == CELLS
    assert table.columns == ("Patient", "Site", "Split")
    assert (table.column("patient", "subject_id"), table.column("age")) == ("Patient", None)


@pytest.mark.parametrize("name", ["Subject_ID", "subject id", " SUBJECT-ID ", "subject_id"])
def test_a_column_is_found_in_any_case_and_spelling(name, tmp_path):
    assert read_table(written(tmp_path, f"{name},x\n")).column("subject_id") == name.strip()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (PLAIN.encode("latin-1"), "no UTF-8 text .byte 0xFC in line 2.*CSV UTF-8"),
        (PLAIN.encode("utf-16"), "UTF-16"),
        (b"a,b\n1,\0\n", "no UTF-8"),
        (b"", "is empty"),
        (b"\n , \n", "is empty"),
        (b"a,A\n", "two columns 'a' and 'A'"),
        (b"a b,c,A_B\n", "two columns 'a b' and 'A_B'"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells"),
        (b'a,b\n1,2\n"1,2\n', "line .* no table"),
        (b"a\n" + b"x" * 200_000, "line .* no table"),
        (b"patient,subject_id\n", "say the same"),
    ],
)
def test_a_table_that_says_two_things_or_none_is_refused(data, says, tmp_path):
    with pytest.raises(DataError, match=says):
        read_table(written(tmp_path, data)).column("patient", "subject_id")


def test_a_row_may_end_early_and_knows_its_line(tmp_path):
    rows = read_table(written(tmp_path, 'a,b,c\n1,"2\n3"\n\n4\n')).rows

    assert [(row.line, dict(row.cells)) for row in rows] == [
        (3, {"a": "1", "b": "2\n3", "c": ""}),
        (5, {"a": "4", "b": "", "c": ""}),
    ]


FORMULAS = [
    "=1+1",
    "+A1",
    "-A1",
    "@x",
    "'=x",
    "''@",
    "＝x",
    "\t=x",
    " =x",
    " '=",
    "' '=x",
    "-",
    "=HYPERLINK(1)",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_would_run_is_written_as_text(text):
    assert list(csv.reader(io.StringIO(write_table(["a"], [[text]]))))[1] == [f"'{text}"]


@pytest.mark.parametrize(
    "cell", [-1.5, -1, "-1.5", "+1", "1e-3", None, True, "'s-Hertogenbosch", ""]
)
def test_numbers_and_plain_texts_are_written_as_they_are(cell):
    rows = list(csv.reader(io.StringIO(write_table(["a", "b"], [["x", cell]]))))

    assert rows[1] == ["x", "" if cell is None else str(cell)]


CELL = st.text(st.sampled_from("ab'=+-@＝ \t,;\"é1"), max_size=6) | st.sampled_from(FORMULAS)


@settings(max_examples=1000, deadline=None)
@example([("", " '=")])
@example([("", "'\t")])
@given(st.lists(st.tuples(CELL, CELL).filter(lambda row: any(c.strip() for c in row)), max_size=4))
def test_what_is_written_is_read_back_whole(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_text(write_table(["one", "two"], rows), encoding="utf-8", newline="")

    found = read_table(path).rows

    assert [tuple(row.cells.values()) for row in found] == [
        tuple(cell.strip() for cell in row) for row in rows
    ]


def test_attributes_stand_by_patient_and_two_rows_of_one_must_agree(tmp_path):
    same = "age;Patient;\nk;P1;\nk;P1;\n;P2;\n"
    assert read_attributes(written(tmp_path, same)) == {"P1": {"age": "k"}, "P2": {}}
    assert read_attributes(tmp_path / "none.csv") == {}

    for text, says in (("age,Patient\n1,P\n2,P\n", "line 3: patient 'P' has another row"),
                       ("age,Name\n1,P\n", "no column 'Patient'")):  # fmt: skip
        with pytest.raises(DataError, match=says):
            read_attributes(written(tmp_path, text))


def test_rows_without_folders_and_folders_without_rows_are_told():
    met = list(unlike({"a", "b"}, {"b", "c", "d"}, "data.csv"))

    assert [name for _, name in met] == ["a", "c", "d"]
    assert "without a folder" in met[0][0] and "no row of data.csv" in met[1][0]
