"""Tables as people read them (aligned Markdown) and as programs do (CSV); `metrics.digits` writes accuracies."""

import csv
import re
import textwrap

from saliency_keras.figures.style import one_line
from saliency_keras.files import whole_file
from saliency_keras.metrics.digits import is_missing

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a text begins with that a spreadsheet takes for a formula


def markdown_table(header, rows):
    """An aligned Markdown table: readable as text, and a table where Markdown is rendered.

    Args:
        header: Column names.
        rows: Lists of cells, one for each column. A column of numbers, or of texts that are numbers, is aligned right.
            `None` and NaN become a dash.

    Returns:
        The table's text, ending in a line break.
    """
    header = [_escaped(name) for name in header]
    rows = [[_escaped(value) for value in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]
    to_the_right = [aligns_right([row[index] for row in rows]) for index in range(len(header))]

    def line(cells):
        columns = zip(cells, widths, to_the_right, strict=True)
        cells = [cell.rjust(width) if right else cell.ljust(width) for cell, width, right in columns]
        return f"| {' | '.join(cells)} |\n"

    columns = zip(widths, to_the_right, strict=True)
    rule = ["-" * (width - 1) + ":" if right else "-" * width for width, right in columns]
    return "".join(map(line, [header, rule, *rows]))


def column_groups(header, rows, width, keys=1):
    """Columns in groups; each group fits a terminal as a Markdown table of its own.

    Args:
        header: Column names.
        rows: Lists of cells.
        width: Letters in a line of the terminal.
        keys: How many first columns name a row, and so begin every group.

    Returns:
        Lists of column numbers, each beginning with those of the keys; a column that does not fit beside the keys has
        a group of its own.
    """
    cells = [[_escaped(name) for name in header], *([_escaped(value) for value in row] for row in rows)]
    widths = [max(3, *(len(row[index]) for row in cells)) + 3 for index in range(len(header))]
    first = list(range(min(keys, len(header))))
    groups, left = [], width - 1 - sum(widths[:keys])
    room = 0
    for index in range(len(first), len(header)):
        if not groups or widths[index] > room:
            groups.append(list(first))
            room = left
        groups[-1].append(index)
        room -= widths[index]
    return groups or [first]


def fitting(header, *rows, width):
    """A table whose widest column is broken into lines, so that it fits a terminal; a long word stays whole.

    Args:
        header: Column names.
        *rows: Lists of cells.
        width: Letters in a line of the terminal.

    Returns:
        `(header, rows)`; what is left of a broken cell stands in rows of its own, whose other cells are empty.
    """
    columns = [[_escaped(cell) for cell in column] for column in zip(header, *rows, strict=True)]
    widths = [max(3, *map(len, column)) for column in columns]
    widest = widths.index(max(widths))
    room = max(20, width - 1 - sum(each + 3 for each in widths) + widths[widest])
    if room >= widths[widest]:
        return header, rows
    broken = []
    for row in rows:
        lines = textwrap.wrap(_escaped(row[widest]), room, break_long_words=False, break_on_hyphens=False)
        first, *further = [re.sub(r"\\(.)", r"\1", line) for line in lines] or [""]  # escaped again where it is written
        broken.append([*row[:widest], first, *row[widest + 1 :]])
        broken += [[line if place == widest else "" for place in range(len(row))] for line in further]
    return header, broken


def write_csv(path, header, rows):
    """Writes a CSV file, whole or not at all: UTF-8, a line of names first; `None` and NaN become empty cells.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, as OWASP advises ("CSV Injection").
    """
    with whole_file(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([["" if is_missing(value) else _no_formula(value) for value in row] for row in rows])


def _no_formula(value):
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) and not _is_number(value) else value


def plus_minus(mean, error):
    """A mean and its standard error, `"0.813 ± 0.003"`; without an error the mean alone."""
    if is_missing(mean):
        return "–"
    return f"{mean:.3f}" if is_missing(error) else f"{mean:.3f} ± {error:.3f}"


def plain_cell(value):
    """A cell's text: one line, a dash for `None` and NaN."""
    return "–" if is_missing(value) else one_line(value)


def aligns_right(cells):
    """Whether a column of texts is one of numbers (with sign, separators, percent or dash)."""
    return bool(cells) and all(map(_is_number, cells))


def _escaped(value):
    # A class name may contain what separates columns, or starts an HTML tag, a link or a picture.
    return re.sub(r"([\\|<\[])", r"\\\1", plain_cell(value))


def _is_number(cell):
    text = cell.replace("−", "-").replace(",", "").rstrip(" %")
    try:
        float(text)
    except ValueError:
        return cell in ("", "–")
    return True
