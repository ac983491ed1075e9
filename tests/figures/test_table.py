"""Tables: aligned Markdown that no name can break, CSV that reads back, digits that the pictures bear out."""

import csv
import re

import pytest

from saliency_keras.figures.table import markdown_table, write_csv
from saliency_keras.metrics.digits import percent, points


def test_markdown_columns_are_aligned_numbers_to_the_right():
    text = markdown_table(["class", "right", "points"], [["cat", 7, "+1.5"], ["French bulldog", 12, "-0.25"]])
    assert text.splitlines() == [
        "| class          | right | points |",
        "| -------------- | ----: | -----: |",
        "| cat            |     7 |   +1.5 |",
        "| French bulldog |    12 |  -0.25 |",
    ]


def test_names_cannot_break_the_table():
    text = markdown_table(["class", "top1"], [["a|b\nc", 0.5], ["<script>", float("nan")], [None, None]])
    lines = text.splitlines()
    assert len(lines) == 5
    assert {line.replace(r"\|", "").count("|") for line in lines} == {3}
    assert r"\<script>" in text
    for name in (r"\<img src=x>", "![x](http://tracker.example/x.png)", "[x](javascript:alert(1))"):
        cell = markdown_table(["class"], [[name]]).splitlines()[2]
        assert not re.search(r"(?<!\\)(\\\\)*[<\[]", cell)  # each is behind an odd number of backslashes
    assert lines[3].endswith("  – |")


def test_csv_reads_back_with_missing_values_empty(tmp_path):
    rows = [['a, "b"\nc', 0.25], ["鳥", float("nan")], ["", None]]
    write_csv(tmp_path / "table.csv", ["class", "top1"], rows)
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["class", "top1"], ['a, "b"\nc', "0.25"], ["鳥", ""], ["", ""]]


@pytest.mark.parametrize(
    ("pictures", "written"), [(1, "49"), (50, "49"), (100, "49"), (500, "49.0"), (1000, "49.0"), (50_000, "48.99")]
)
def test_a_percentage_has_no_digit_that_one_picture_would_not_change(pictures, written):
    assert percent(0.48994, pictures) == written


def test_differences_carry_their_sign_and_missing_ones_a_dash():
    assert points(0.1239, 50_000) == "+12.39"
    assert points(-0.04, 50) == "-4"
    assert points(-0.00001, 500) == points(0.0, 500) == "+0.0"
    assert points(float("nan"), 0) == percent(None, 0) == "–"


def test_a_class_name_cannot_become_a_formula_in_a_spreadsheet(tmp_path):
    names = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "cat = dog", "-0.25", "+12.39"]
    write_csv(tmp_path / "table.csv", ["class", "top1"], [[name, -0.5] for name in names])
    with open(tmp_path / "table.csv", newline="") as file:
        cells = [row[0] for row in csv.reader(file)][1:]
    assert cells == [f"'{name}" for name in names[:5]] + names[5:]
    assert (tmp_path / "table.csv").read_text().count(",-0.5\n") == len(names)  # a number stays one
