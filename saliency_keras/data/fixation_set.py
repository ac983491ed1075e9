"""Sets of pictures with fixations: where people looked, as read from a folder.

A fixation set is a folder with `images/`, `fixations.csv` (columns image, subject, x, y; further ones are ignored; x, y
in pixels, pixel centres at integers, origin top left) and, where somebody knows it, `set.json` with
`pixels_per_degree`, the pixels of one degree of visual angle. What is made of fixations, points and densities, is in
`saliency_keras.metrics.points`; the metrics are in `saliency_keras.metrics.fixation_metrics`.
"""

import csv
import dataclasses
import functools
import hashlib
import json
import math
import warnings
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.pictures import UnreadablePicture, picture_files
from saliency_keras.metrics.points import FixationPoints, inside_picture

COLUMNS = ("image", "subject", "x", "y")
# One degree of visual angle as a share of the picture's width, where a set does not say: 24 of OSIE's 800 pixels
# (Xu et al. 2014), close to 35 of MIT1003's 1024 (Judd et al. 2009).
DEGREE_SHARE = 0.03
# What a position carried over to another size keeps from the far edge of the last pixel, so that it stays inside.
BORDER = 0.5 + 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class FixationSet:
    """Pictures and where people looked on them; made by `read_fixation_set`.

    Attributes:
        folder: Where the set lies.
        images: File names of the pictures, sorted.
        sizes: `(width, height)` of each picture in pixels.
        x: float64 `(fixations,)`, all inside their pictures, ordered by picture.
        y: float64 `(fixations,)`.
        subjects: str array `(fixations,)`, who looked.
        starts: int64 `(pictures + 1,)`: picture i owns the fixations from `starts[i]` up to `starts[i + 1]`.
        outside: Number of fixations outside their picture, left out.
        pixels_per_degree: Pixels of one degree of visual angle, or `None` where the set does not say.
    """

    folder: Path
    images: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    x: np.ndarray
    y: np.ndarray
    subjects: np.ndarray
    starts: np.ndarray
    outside: int
    pixels_per_degree: float | None

    def __post_init__(self):
        object.__setattr__(self, "_index", {image: index for index, image in enumerate(self.images)})
        object.__setattr__(self, "_carried", functools.lru_cache(maxsize=4)(self._carry))

    def path(self, image):
        """Path of the picture of that name."""
        return self.folder / "images" / image

    def size(self, image):
        """`(width, height)` of the picture of that name."""
        return self.sizes[self._index[image]]

    def sigma(self, image):
        """One degree of visual angle on that picture, in pixels: what the set says, else 3 % of its width."""
        return self.pixels_per_degree or DEGREE_SHARE * self.size(image)[0]

    def observers(self, image):
        """Names of those who looked at that picture, sorted."""
        return tuple(str(name) for name in np.unique(self.subjects[self._own(image)]))

    def points(self, image, only=None, without=None):
        """The fixations on one picture.

        Args:
            image: Name of the picture.
            only: Name of the observer to take, or `None` for all.
            without: Name of an observer to leave out.

        Returns:
            `FixationPoints`.
        """
        own = self._own(image)
        taken = np.ones(own.stop - own.start, bool)
        if only is not None:
            taken &= self.subjects[own] == only
        if without is not None:
            taken &= self.subjects[own] != without
        return FixationPoints(self.x[own][taken], self.y[own][taken], *self.size(image))

    def others(self, image, sample=None, seed=0):
        """The fixations on the other pictures, carried over to this one.

        Positions are carried over relative to the size (x / width, y / height). Where the sizes agree they stay what
        they are; where rounding would put one beyond the border, it moves to the border.

        Args:
            image: Name of the picture.
            sample: Number of other pictures to take, drawn by seed, or `None` for all of them.
            seed: Seed of the draw.

        Returns:
            `FixationPoints` on this picture; none if no other picture has any.
        """
        own, size = self._own(image), self.size(image)
        x, y = self._carried(size)
        if sample is None:
            return FixationPoints(np.delete(x, own), np.delete(y, own), *size)
        index = self._index[image]
        candidates = [i for i in np.flatnonzero(np.diff(self.starts)) if i != index]
        generator = np.random.default_rng([seed, index])
        drawn = generator.choice(candidates, min(sample, len(candidates)), replace=False) if candidates else []
        taken = np.concatenate([np.arange(self.starts[i], self.starts[i + 1]) for i in sorted(drawn)] or [np.arange(0)])
        return FixationPoints(x[taken], y[taken], *size)

    def sample(self, limit, images=None):
        """Names of at most `limit` pictures (of `images`, or all), keyed by their names alone; sorted."""

        def key(image):
            return hashlib.sha256(image.encode()).digest()

        return tuple(sorted(sorted(self.images if images is None else images, key=key)[:limit]))

    def _own(self, image):
        index = self._index[image]
        return slice(int(self.starts[index]), int(self.starts[index + 1]))

    def _carry(self, size):
        width, height = size
        widths, heights = np.repeat(np.array(self.sizes, np.float64), np.diff(self.starts), axis=0).T
        x = np.where(widths == width, self.x, np.clip(self.x * (width / widths), -0.5, width - BORDER))
        y = np.where(heights == height, self.y, np.clip(self.y * (height / heights), -0.5, height - BORDER))
        return x, y


def read_fixation_set(folder):
    """Reads a fixation set.

    Args:
        folder: Folder with `images/`, `fixations.csv` and perhaps `set.json`.

    Returns:
        The `FixationSet`. A picture without fixations belongs to it; fixations outside their picture are counted in
        `outside` and left out.

    Raises:
        UserError: If a part of the set is missing or malformed, fixations name pictures that are not there, a
            coordinate is not a finite number, or a picture's size cannot be read. The sentence names the place.
    """
    folder = Path(folder)
    if folder.is_file():
        raise UserError(f"{folder} is a file; a fixation set is a folder with images/ and fixations.csv.")
    for part, there in (("", folder.is_dir()), ("images", (folder / "images").is_dir())):
        if not there:
            raise UserError(f"there is no folder {folder / part}; a fixation set has images/ and fixations.csv.")
    if not (folder / "fixations.csv").is_file():
        raise UserError(f"there is no file {folder / 'fixations.csv'}; a fixation set has images/ and fixations.csv.")
    paths = picture_files(folder / "images")
    if not paths:
        raise UserError(f"{folder / 'images'} has no pictures.")
    images = tuple(path.name for path in paths)
    sizes = tuple(_picture_size(path) for path in paths)
    owners, subjects, x, y = _read_csv(folder / "fixations.csv", {image: i for i, image in enumerate(images)})
    widths, heights = np.array(sizes, np.float64)[owners].T
    inside = inside_picture(x, y, widths, heights)
    order = np.flatnonzero(inside)[np.argsort(owners[inside], kind="stable")]
    return FixationSet(
        folder=folder,
        images=images,
        sizes=sizes,
        x=x[order],
        y=y[order],
        subjects=subjects[order],
        starts=np.searchsorted(owners[order], np.arange(len(images) + 1)),
        outside=int(len(x) - len(order)),
        pixels_per_degree=_pixels_per_degree(folder / "set.json"),
    )


def _read_csv(path, index_of):
    """Owners (indices of pictures), subjects, x and y of every row."""
    owners, subjects, xs, ys, absent = [], [], [], [], {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = [name.strip() for name in next(rows, [])]
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise UserError(f"{path} has no column {', '.join(missing)}; its first line names image,subject,x,y.")
            at_image, at_subject, at_x, at_y = (header.index(name) for name in COLUMNS)
            for row in rows:
                if not row:
                    continue
                place = f"{path}, line {rows.line_num}"
                if len(row) != len(header):
                    raise UserError(f"{place} has {len(row)} fields, the first line has {len(header)}.")
                try:
                    x, y = float(row[at_x]), float(row[at_y])
                except ValueError:
                    raise UserError(f"{place}: {row[at_x]!r}, {row[at_y]!r} is not a pair of numbers.") from None
                if not (math.isfinite(x) and math.isfinite(y)):
                    raise UserError(f"{place}: the fixation at {row[at_x]}, {row[at_y]} is not finite.")
                owner = index_of.get(row[at_image])
                if owner is None:
                    absent.setdefault(row[at_image], rows.line_num)
                    continue
                owners.append(owner)
                subjects.append(row[at_subject])
                xs.append(x)
                ys.append(y)
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num} is malformed: {error}.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    if absent:
        first, line = next(iter(absent.items()))
        count = "1 picture that is" if len(absent) == 1 else f"{len(absent)} pictures that are"
        raise UserError(f"{path} names {count} not in images/, the first {first!r} in line {line}.")
    if not owners:
        raise UserError(f"{path} has no fixations.")
    return np.array(owners), np.array(subjects), np.array(xs), np.array(ys)


def _picture_size(path):
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                return picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadablePicture(path, str(error).rstrip(".")) from None


def _pixels_per_degree(path):
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        value = fields.get("pixels_per_degree")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path} is not a JSON object: {error}.") from None
    if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
        raise UserError(f"{path}: pixels_per_degree is {value!r}, not a positive number.")
    return value
