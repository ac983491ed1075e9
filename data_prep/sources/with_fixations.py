"""People's fixations on the pictures of any source, as a map of their own: `compact SOURCE OUT --saliency fixations`.

The table has the columns image,subject,x,y (pixels of the picture, the first pixel's centre being 0), as
`data_prep.fixations` writes it. A picture is named by its split and its id (`train/cat/7.jpg`) or by its id alone. The
map is the density of all fixations, blurred by one degree of visual angle (3 % of the picture's width). A picture
without fixations has a map of zeros: nobody looked at it, and a network is taught nothing about it.
"""

import csv
import hashlib
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_prep.sources.source import Picture, Source, UnusableMap
from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import DEGREE_SHARE
from saliency_keras.data.listing import name_key
from saliency_keras.metrics.points import Density, FixationPoints, inside_picture

MAP = "fixations"
TABLES = ("fixations.csv", "gaze.csv")  # that are looked for beside the pictures
MOST_OUTSIDE = 1 / 3  # above this share outside their pictures, coordinates are another screen's


class PlaceWithFixations(NamedTuple):
    """Where a picture is: the source's own `Picture`, and the fixations on it, `((x, y), …)`."""

    picture: Picture
    points: tuple

    def __str__(self):
        return str(self.picture.place)


class SourceWithFixations(Source):
    """A source whose pictures have fixations in a table.

    Args:
        source: The source of the pictures.
        table: The table, or `None` for `fixations.csv` or `gaze.csv` in the folder of the source.

    Raises:
        UserError: If there is no such table, it is malformed, or names no picture of the source.
    """

    def __init__(self, source, table=None):
        self._source, self._table = source, Path(table) if table else _table_of(source)
        self._points = _read(self._table)
        self.classes, self.notes = source.classes, source.notes
        self.own_maps = (MAP, *source.own_maps)
        self.description = {**source.description, MAP: self._table.name}
        if not any(picture.place.points for split in ("train", "val") for picture in self.pictures(split)):
            first = next(iter(self._points), "")
            raise UserError(
                f"{self._table} is about no picture of the source: its first row names {first!r}, "
                "where a picture is named by split and id, such as train/CLASS/FILE."
            )

    @property
    def upright(self):
        """Whether the pictures are turned as their orientation tags say."""
        return self._source.upright

    def pictures(self, split):
        """The source's pictures with the fixations on them."""
        folder = self._source.folder_of(split)
        found = []
        for picture in self._source.pictures(split):
            names = (f"{folder}/{picture.id}", f"{split}/{picture.id}", picture.id)
            points = next((self._points[name_key(name)] for name in names if name_key(name) in self._points), ())
            found.append(picture._replace(place=PlaceWithFixations(picture, tuple(points))))
        return found

    def identity(self, picture):
        """The picture's and a checksum of its fixations, so that other ones make another data set."""
        inner, points = picture.place
        return [*self._source.identity(inner), hashlib.sha256(repr(points).encode()).hexdigest()[:16]]

    def content(self, picture):
        """The bytes of the picture's file."""
        return self._source.content(picture.place.picture)

    def changed(self, picture):
        """When the picture's file was last changed; other fixations make another data set by `identity`."""
        return self._source.changed(picture.place.picture)

    def read(self, picture, content=None):
        """Decodes one picture and makes the map of its fixations.

        Args:
            picture: The `Picture`.
            content: As for every source.

        Returns:
            The pixels, and a dict of float32 maps `(height, width)`.

        Raises:
            UnreadablePicture: If the picture is none.
            UnusableMap: If most fixations lie outside the picture.
        """
        inner, points = picture.place
        pixels, own_maps = self._source.read(inner, content)
        return pixels, {MAP: self._map_of(picture, points, *pixels.shape[:2]), **own_maps}

    def made_of(self, name):
        """The map is one of the whole picture."""
        return "picture" if name == MAP else self._source.made_of(name)

    def boxes(self, picture):
        """The boxes that the source of the pictures has."""
        return self._source.boxes(picture.place.picture)

    def _map_of(self, picture, points, height, width):
        x, y = np.array(points, np.float64).reshape(-1, 2).T
        inside = inside_picture(x, y, width, height)
        if len(points) and (~inside).mean() > MOST_OUTSIDE:
            raise UnusableMap(
                f"{(~inside).sum()} of {len(points)} fixations on {picture.id} lie outside its {width}x{height} px; "
                f"the table {self._table} is in other coordinates."
            )
        found = FixationPoints(x[inside], y[inside], width, height)
        return Density.of(found, DEGREE_SHARE * width).values.astype(np.float32)


def _table_of(source):
    folder = getattr(source, "folder", None)
    for name in TABLES:
        if folder is not None and (Path(folder) / name).is_file():
            return Path(folder) / name
    raise UserError(f"there is no {' or '.join(TABLES)} beside the pictures; name the table: --fixations FILE.")


def _read(path):
    """From the name of a picture to its fixations, a list of `(x, y)`."""
    found = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if lacking := [name for name in ("image", "x", "y") if name not in (rows.fieldnames or ())]:
                raise UserError(f"{path} lacks the column {lacking[0]}; it needs image,subject,x,y.")
            for row in rows:
                try:
                    x, y = float(row["x"]), float(row["y"])
                except (TypeError, ValueError):
                    received = f"{row['x']!r}, {row['y']!r}"
                    raise UserError(f"{path}, line {rows.line_num}: {received} is not a pair of numbers.") from None
                if math.isfinite(x) and math.isfinite(y):  # a lost sample is none
                    found.setdefault(name_key(row["image"]), []).append((x, y))
    except FileNotFoundError:
        raise UserError(f"there is no table of fixations {path}.") from None
    except (UnicodeDecodeError, csv.Error, IsADirectoryError) as error:
        raise UserError(f"{path} is no table of fixations: {error}.") from None
    return found
