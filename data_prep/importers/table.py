"""Any delimited table with a row a fixation and named columns: EyeLink's and Tobii's exports, one's own.

Columns are named by the user. If none is named, those called image, x, y, subject, duration and fixation are taken.
Positions may be those of a screen: then the screen's size, and where it shows the pictures, say which pixels they are.
Where a row is a sample and no fixation (Tobii), the column that numbers fixations (`fixation=…`) takes the first row of
each.
"""

import csv

import numpy as np

from data_prep.importers.gathered import Gathered, PictureFolder, first_folder
from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import DELIMITERS, encoding_of, position_of

NEEDED = ("image", "x", "y")
KNOWN = (*NEEDED, "subject", "duration", "fixation")
NOBODY = "all"


def gather(source, choices):
    """Gathers the fixations of a table; the pictures are in `--pictures`, or below the table's folder."""
    if not source.is_file():
        raise UserError(f"there is no file {source}; SOURCE is a table with a row a fixation.")
    header = _header(source)[1]
    columns = choices.columns or {name: name for name in KNOWN if name in header}
    if missing := [name for name in NEEDED if name not in columns]:
        raise UserError(
            f"--columns has no {', '.join(missing)}; for example --columns image=PICTURE,x=FIX_X,y=FIX_Y. "
            f"The table has {', '.join(header)}."
        )
    if choices.screen is None and (choices.picture_at or choices.shown):
        raise UserError("--picture-at says where a screen shows the pictures; --screen WxH says how large it is.")
    gathered = Gathered(PictureFolder(first_folder(choices, source.parent / "images", source.parent)), source)
    gathered.ordered = "subject" in columns
    seen = set()
    for row in _rows(source, columns, choices.where, gathered.bad):
        if "fixation" in columns:
            key = row["image"], row.get("subject"), row["fixation"]
            if not row["fixation"].strip() or key in seen:
                continue
            seen.add(key)
        _add(row, gathered, choices)
    return gathered


def _add(row, gathered, choices):
    x, y = row["x"], row["y"]
    if (name := gathered.pictures.find(row["image"])) is not None:
        size = gathered.pictures.sizes[name]
        if choices.coordinates == "shares":
            width, height = choices.screen or size
            x, y = x * width - 0.5, y * height - 0.5
        if choices.screen is not None:
            x, y = on_picture(x, y, size, choices)
    durations = [row["duration"]] if "duration" in row else None
    gathered.add(row["image"], row.get("subject", NOBODY), [x], [y], durations)


def on_picture(x, y, size, choices):
    """A position on a screen as one on the picture that it shows.

    Args:
        x: Pixels of the screen, pixel centres at integers from 0.
        y: Pixels of the screen.
        size: `(width, height)` of the picture.
        choices: `Choices`, with `screen`, `picture_at` and `shown`.

    Returns:
        x and y in pixels of the picture.
    """
    width, height = choices.shown or size
    left, top = choices.picture_at or ((choices.screen[0] - width) / 2, (choices.screen[1] - height) / 2)
    return (x + 0.5 - left) * size[0] / width - 0.5, (y + 0.5 - top) * size[1] / height - 0.5


def _header(path):
    """The delimiter of a table and its columns."""
    try:
        with path.open(encoding=encoding_of(path), newline="") as file:
            line = file.readline()
    except UnicodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    rows = {one: next(csv.reader([line], delimiter=one), []) for one in DELIMITERS}
    delimiter = max(rows, key=lambda one: len(rows[one]))
    return delimiter, [name.strip() for name in rows[delimiter]]


def _rows(path, columns, where, bad):
    """Yields a dictionary of each row that `where` takes, by what its columns are for; malformed ones go to `bad`."""
    delimiter, header = _header(path)
    for name in (*columns.values(), *(name for name, _ in where)):
        if name not in header:
            raise UserError(f"{path} has no column {name}; it has {', '.join(header)}.")
    at = {what: header.index(name) for what, name in columns.items()}
    conditions = [(header.index(name), value) for name, value in where]
    with path.open(encoding=encoding_of(path), newline="") as file:
        rows = csv.reader(file, delimiter=delimiter)
        next(rows)
        try:
            for fields in rows:
                if not fields:
                    continue
                place = f"{path}, line {rows.line_num}"
                if len(fields) != len(header):
                    bad.append(f"{place} has {len(fields)} fields, the first line has {len(header)}.")
                    continue
                if any(fields[column].strip() != value for column, value in conditions):
                    continue
                row = {what: fields[column] for what, column in at.items()}
                if not row["image"].strip():
                    continue
                try:
                    for what in {"x", "y", "duration"} & set(row):
                        row[what] = np.float64(position_of(row[what], delimiter))
                except ValueError:
                    bad.append(f"{place}: {row[what]!r} is no number.")
                    continue
                yield row
        except UnicodeError:
            raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
        except csv.Error as error:
            raise UserError(f"{path}, line {rows.line_num} is malformed: {error}.") from None
