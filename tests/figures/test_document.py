"""Documents: one text, as Markdown and as a page that needs nothing else and lets no name become markup."""

import html.parser

import numpy as np

from saliency_keras.figures import style
from saliency_keras.figures.document import (
    Case,
    Folded,
    Gallery,
    Heading,
    Table,
    figure_picture,
    html_page,
    markdown,
    photograph,
    terminal,
)

ODD = "<script>alert('1')</script> \"quoted\" & <b>bold</b>"
VOID = {"meta", "img", "br"}


class Page(html.parser.HTMLParser):
    """Collects a page's tags, attributes and texts, and checks that every tag is closed in its order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def a_document():
    figure = style.new_figure(2, 1)
    picture = photograph(np.zeros((8, 8, 3), "uint8"), ODD)
    return [
        Heading(ODD, level=1),
        f"paragraph {ODD}",
        Table(["class", "%"], [[ODD, 12.5], ["cat", float("nan")]]),
        figure_picture(figure, ODD),
        Gallery([Case([picture, picture, picture], [ODD, "second line"]), Case([], ["no picture"])]),
        Folded(ODD, [Table(["empty"], [])]),
    ]


def test_every_string_stays_text_in_the_page():
    page = Page(html_page(ODD, a_document()))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert page.texts.count(ODD) == 8  # title, heading, cell, case with the captions of its pictures, and fold
    assert ("alt", ODD) in page.attributes


def test_the_page_asks_for_nothing_outside_itself():
    text = html_page("title", a_document())
    page = Page(text)
    sources = [value for name, value in page.attributes if name in ("src", "href", "data", "srcset", "action")]
    assert len(sources) == 4
    assert all(source.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for source in sources)
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text


def test_numbers_are_aligned_right_in_both_renderings():
    table = Table(["class", "points"], [["cat", "+1.5"], ["dog", None]])
    assert "<td class=n>+1.5</td>" in html_page("title", [table])
    assert "<td class=n>–</td>" in html_page("title", [table])
    assert markdown([Heading("Title", 1), "words", table]).splitlines() == [
        "# Title",
        "",
        "words",
        "",
        "| class | points |",
        "| ----- | -----: |",
        "| cat   |   +1.5 |",
        "| dog   |      – |",
    ]


def test_a_terminal_gets_wide_tables_in_parts_that_fit_and_paragraphs_in_lines():
    """Each part begins with the columns that name a row, and all cells are there, in order."""
    header = ["row", *(f"column {number}" for number in range(1, 12))]
    rows = [[f"name{row}", *(f"{row}.{column}" for column in range(1, 12))] for row in range(2)]
    text = terminal([Heading("Title", 1), Table(header, rows), "word " * 60, Table(["a"], [["b"]])], width=60)
    assert max(map(len, text.splitlines())) <= 60
    parts = [part.splitlines() for part in text.split("\n\n") if part.startswith("| row")]
    cells = [[[cell.strip() for cell in line.strip("|").split("|")] for line in part] for part in parts]
    assert [name for part in cells for name in part[0][1:]] == header[1:]
    assert all(part[0][0] == "row" and part[2][0] == "name0" and part[3][0] == "name1" for part in cells)
    assert [cell for part in cells for cell in part[3][1:]] == rows[1][1:]
    assert " ".join(text.split()).count("word") == 60


def test_a_cell_wider_than_a_line_goes_on_in_further_rows():
    told = " ".join(f"[word{number}" for number in range(40))
    text = terminal([Table(["what", "value"], [["short", 1], ["long", told], ["last", "x"]])], width=60)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 60
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert " ".join(value for what, value in cells[3:-1]).replace("\\", "") == told
    assert [what for what, _ in cells if what] == ["what", "-" * 5, "short", "long", "last"]


def test_a_column_wider_than_the_terminal_has_a_part_of_its_own_and_keys_are_as_many_as_are_told():
    wide = "x" * 70
    text = terminal([Table(["a", "b", "c", "d"], [["p", "q", wide, "s"]], keys=2)], width=60)
    heads = [line for line in text.splitlines() if line.startswith("| a")]
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in heads] == [["a", "b", "c"], ["a", "b", "d"]]
