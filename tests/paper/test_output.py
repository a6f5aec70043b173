"""Tables and figures of the paper's commands as files."""

import csv

import pytest

from scratchser.paper.output import Output, Table

MADE = Table("shares", ("class", "share %"), (("happi|ness, all", "18.0"), ("anger", "-")), ("a note",))


def test_a_table_as_text_csv_and_markdown(tmp_path):
    Output({"shares": MADE}).write(tmp_path)
    title, head, *rows, note = MADE.text().splitlines()
    assert (title, note) == ("shares", "a note")
    assert head.split() == ["class", "share", "%"] and [row.split()[-1] for row in rows] == ["18.0", "-"]
    with open(tmp_path / "shares.csv", newline="") as file:
        assert [tuple(row) for row in csv.reader(file)] == [MADE.columns, *MADE.rows]
    lines = (tmp_path / "shares.md").read_text().splitlines()
    assert "| happi\\|ness, all | 18.0 |" in lines and lines[-1] == "a note"  # a bar inside a cell


def test_a_short_row_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        Table("shares", ("a", "b"), (("1",),)).text()
