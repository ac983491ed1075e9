"""A text with tables and pictures, built once and rendered as Markdown or as one self-contained HTML page.

A document is a list of blocks: strings are paragraphs, the classes below everything else. The page needs no network, no
script and no other file; whatever comes from data (names of classes, of files, of runs) is escaped and stays text.
"""

import base64
import dataclasses
import html
import io
import textwrap

from saliency_keras.console import WIDTH
from saliency_keras.figures import style
from saliency_keras.figures.table import aligns_right, column_groups, fitting, markdown_table, plain_cell
from saliency_keras.metrics.digits import is_missing

PIXELS_AN_INCH = 85  # of a figure on a page, for those that stand beside one another


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


@dataclasses.dataclass(frozen=True)
class Caution:
    """A sentence that must not be overlooked, such as that a network learned nothing."""

    text: str

    def __str__(self):
        return f"Caution: {self.text}"


@dataclasses.dataclass(frozen=True)
class Answer:
    """The sentence that a page is there for, larger than the others."""

    text: str

    def __str__(self):
        return self.text


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: column names, and rows of cells as `table.markdown_table` takes them.

    Attributes:
        header: Column names.
        rows: Lists of cells.
        keys: How many first columns name a row; a terminal repeats them where a table does not fit its width.
    """

    header: list
    rows: list
    keys: int = 1


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        data: The bytes of a file.
        kind: `"png"` or `"jpeg"`.
        caption: What it shows, for those who do not see it too.
        width: Pixels of the page that it takes where there is room; 0 for all there are.
    """

    data: bytes
    kind: str
    caption: str
    width: int = 0


@dataclasses.dataclass(frozen=True)
class Figures:
    """Pictures beside one another, as many as fit, each as wide as a phone at the least."""

    pictures: list[Picture]


@dataclasses.dataclass(frozen=True)
class Case:
    """One photograph with what belongs to it: pictures side by side, each with its caption, above lines of text."""

    pictures: list[Picture]
    lines: list[str]


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Cases in a grid with as many columns as fit."""

    cases: list[Case]


@dataclasses.dataclass(frozen=True)
class Folded:
    """Blocks behind a line that opens them."""

    title: str
    blocks: list


class Document(list):
    """A document that shows itself: as HTML in a notebook, as Markdown in print."""

    def __str__(self):
        return markdown(self)

    def _repr_html_(self):
        return "\n".join(map(_html, self))


def figure_picture(figure, caption):
    """A Matplotlib figure as a `Picture`."""
    file = io.BytesIO()
    style.write(figure, file, "png")
    return Picture(file.getvalue(), "png", caption, round(PIXELS_AN_INCH * figure.get_figwidth()))


def photograph(pixels, caption):
    """Pixels, uint8 `(height, width, 3)`, as a `Picture`."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return Picture(file.getvalue(), "jpeg", caption)


def markdown(blocks):
    """Renders headings, paragraphs and tables as Markdown."""
    return "\n".join(_markdown(block) for block in blocks)


def terminal(blocks, width=WIDTH):
    """Renders headings, paragraphs and tables for a terminal.

    Args:
        blocks: The document.
        width: Letters in a line.

    Returns:
        The text: as Markdown, but with paragraphs in lines, and wide tables in parts, one below the other. A column
        that is empty in all rows is left out, and a cell that is wider than a line goes on in further rows.
    """
    return "\n".join(_in_terminal(block, width) for block in blocks)


def _in_terminal(block, width):
    if isinstance(block, Table):
        empty = {i for i in range(block.keys, len(block.header)) if all(is_missing(row[i]) for row in block.rows)}
        told = [i for i in range(len(block.header)) if i not in empty]
        header, rows = [block.header[i] for i in told], [[row[i] for i in told] for row in block.rows]
        groups = column_groups(header, rows, width, block.keys)
        parts = ([[header[i] for i in group], *([row[i] for i in group] for row in rows)] for group in groups)
        return "\n".join(markdown_table(*fitting(*part, width=width)) for part in parts)
    if isinstance(block, Heading):
        return _markdown(block)
    return textwrap.fill(str(block), width, break_long_words=False, break_on_hyphens=False) + "\n"


def html_page(title, blocks):
    """Renders a document as one HTML page.

    Args:
        title: Title of the page in the browser.
        blocks: The document.

    Returns:
        The page's text, everything in it.
    """
    body = "\n".join(_html(block) for block in blocks)
    return PAGE.format(title=html.escape(style.one_line(title)), style=STYLE, body=body)


def _markdown(block):
    if isinstance(block, Heading):
        return f"{'#' * block.level} {style.one_line(block.text)}\n"
    if isinstance(block, Table):
        return markdown_table(block.header, block.rows)
    if isinstance(block, Caution):
        return f"**Caution:** {block.text}\n"
    return f"{block}\n"


def _html(block):
    if isinstance(block, Heading):
        return f"<h{block.level}>{_escaped(block.text)}</h{block.level}>"
    if isinstance(block, Table):
        return _html_table(block)
    if isinstance(block, Picture):
        return f'<figure class="wide">{_image(block)}</figure>'
    if isinstance(block, Figures):
        return f'<div class="figures">{"".join(map(_html_figure, block.pictures))}</div>'
    if isinstance(block, Gallery):
        return f'<div class="gallery">{"".join(map(_html_case, block.cases))}</div>'
    if isinstance(block, Folded):
        inner = "\n".join(map(_html, block.blocks))
        return f"<details><summary>{_escaped(block.title)}</summary>\n{inner}\n</details>"
    if isinstance(block, Answer):
        return f'<p class="answer">{_prose(block.text)}</p>'
    if isinstance(block, Caution):
        return f'<p class="caution"><strong>Caution:</strong> {_prose(block.text)}</p>'
    return f"<p>{_prose(block)}</p>"


def _html_table(table):
    rows = [[plain_cell(cell) for cell in row] for row in table.rows]
    right = [aligns_right([row[index] for row in rows]) for index in range(len(table.header))]

    def cell(tag, text, number):
        look = "n" if number else "s" if len(text) <= SHORT else "t"
        return f"<{tag} class={look}>{_escaped(text)}</{tag}>"

    def cells(tag, texts):
        return "".join(cell(tag, text, number) for text, number in zip(texts, right, strict=True))

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', table.header)}</tr></thead>"
    return f'<div class="scroll" tabindex="0"><table>{head}\n<tbody>\n{body}\n</tbody></table></div>'


def _html_figure(picture):
    return f'<figure style="width: {picture.width}px">{_image(picture)}</figure>'


def _html_case(case):
    images = "".join(f"<div>{_image(one)}<small>{_escaped(one.caption)}</small></div>" for one in case.pictures)
    lines = "<br>".join(map(_escaped, case.lines))
    row = "row four" if len(case.pictures) == 4 else "row"
    return f'<figure><div class="{row}">{images}</div><figcaption>{lines}</figcaption></figure>'


def _image(picture):
    data = base64.b64encode(picture.data).decode("ascii")
    return f'<img src="data:image/{picture.kind};base64,{data}" alt="{_escaped(picture.caption)}">'


def _prose(text):
    """Text whose numbers stay in one line with their percent sign."""
    return _escaped(text).replace(" %", "&nbsp;%")


def _escaped(text):
    return html.escape(style.one_line(text))


SHORT = 30  # letters of a cell that shall not be broken into lines
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1a1a1a; font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .8rem 0; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .8rem; padding-top: .6rem; border-top: 2px solid #1a1a1a; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
p { max-width: 46rem; margin: .6rem 0; }
.answer { font-size: 1.2rem; line-height: 1.45; max-width: 54rem; }
.figures { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 1rem 2rem; margin: .8rem 0; }
.figures figure { margin: 0; max-width: 100%; }
.figures img { display: block; width: 100%; height: auto; }
.caution { border-left: 4px solid #b34700; background: #fff3e2; padding: .5rem .8rem; }
.scroll, .wide { overflow-x: auto; margin: .8rem 0; }
.wide img { display: block; width: 100%; min-width: 40rem; height: auto; }
/* Rows as high as whole pixels: else the cells that stay in place are drawn without the line below them. */
table { border-collapse: separate; border-spacing: 0; font-size: .9rem; line-height: 22px; overflow-wrap: normal; }
table { font-variant-numeric: tabular-nums; }
th, td { padding: 5px .8rem 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }
td.t { min-width: 14rem; max-width: 40rem; overflow-wrap: anywhere; }
td:first-child, th:first-child { position: sticky; left: 0; background: #fff; }
.n, .s { white-space: nowrap; }
th { border-bottom: 1px solid #1a1a1a; }
th.n, td.n { text-align: right; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1rem; margin: .8rem 0; }
.gallery figure { margin: 0; min-width: 0; }
.row { display: grid; grid-template-columns: repeat(3, 1fr); gap: 2px; }
.row.four { grid-template-columns: repeat(2, 1fr); }
.row img { width: 100%; height: auto; display: block; }
.row small { display: block; font-size: .7rem; line-height: 1.2; color: #444; overflow-wrap: anywhere; }
figcaption { font-size: .85rem; line-height: 1.4; margin-top: .3rem; }
details { margin: .8rem 0; }
summary { cursor: pointer; font-weight: 600; padding: .3rem 0; }
@media print {
  :root { font-size: 11px; }
  body { font-size: 1rem; }
  .gallery { grid-template-columns: repeat(3, 1fr); }
  main { max-width: none; padding: 0; }
  h2, h3, summary { break-after: avoid; }
  figure, tr, .answer { break-inside: avoid; }
  details::details-content { content-visibility: visible; display: block; }
  .scroll, .wide { overflow: visible; }
  table { line-height: 1.4; }
  th, td { padding-top: 3px; padding-bottom: 3px; }
  .wide img { min-width: 0; }
}
"""
