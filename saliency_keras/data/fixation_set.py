"""Sets of pictures with fixations: where people looked, as read from a folder.

A fixation set is a folder with `images/`, `fixations.csv` (columns image, subject, x, y; further ones are ignored; x, y
in pixels, pixel centres at integers, origin top left) and, where somebody knows it, `set.json` with
`pixels_per_degree` (the pixels of one degree of visual angle), `coordinates` (`"shares"` where x and y are shares of
width and height) and `upright` (true where pictures are to be read as their orientation tags say). What is made of
fixations, points and densities, is in `saliency_keras.metrics.points`; the metrics are in
`saliency_keras.metrics.fixation_metrics`.

One bad picture or row does not lose the others: it is left out, and `FixationSet.notes` counts and names it. What looks
wrong as a whole (shares, screen coordinates, x and y exchanged, pictures on their side) is refused with the way out.
"""

import csv
import dataclasses
import functools
import hashlib
import json
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError, progress
from saliency_keras.data.listing import name_key, shown, stem_key, text_of
from saliency_keras.data.pictures import ON_THEIR_SIDE, UnreadablePicture, pictures_in, read_picture
from saliency_keras.metrics.points import FixationPoints, inside_picture

COLUMNS = ("image", "subject", "x", "y")
# One degree of visual angle as a share of the picture's width, where a set does not say: 24 of OSIE's 800 pixels
# (Xu et al. 2014), close to 35 of MIT1003's 1024 (Judd et al. 2009).
DEGREE_SHARE = 0.03
# What a position carried over to another size keeps from the far edge of the last pixel, so that it stays inside.
BORDER = 0.5 + 1e-6
DELIMITERS = (",", ";", "\t", "|")
COORDINATES = ("pixels", "shares")
# How a row says that the eye was not seen: blinks, lost samples.
NO_POSITION = ("", ".", "-", "nan", "na", "n/a", "none", "null", "missing")
# Above this share of bad rows, or of rows about pictures that are not there, it is another table than it is taken for.
MOST_BAD = 0.1
# Above this share outside their pictures, coordinates are another screen's; above the smaller one it is suspected.
LEAST_LOOKS, LEAST_LOOKED_AT = 40, 3  # fixations and pictures from which on their place as a whole says something
MOST_OUTSIDE, MANY_OUTSIDE = 1 / 3, 0.05
SMALLEST = 16  # pixels of a side below which shares cannot be distinguished from pixels


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
        upright: Whether pictures are read as their orientation tags say.
        on_disk: Names on disk of pictures, below `images/`, where they differ from `images`.
        notes: Sentences without a full stop about what was left out or looks odd.
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
    upright: bool = False
    on_disk: dict = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "_index", {image: index for index, image in enumerate(self.images)})
        object.__setattr__(self, "_carried", functools.lru_cache(maxsize=4)(self._carry))

    def path(self, image):
        """Path of the picture of that name."""
        return self.folder / "images" / self.on_disk.get(image, image)

    def read(self, image):
        """The picture of that name, uint8 `(height, width, 3)`, of the size that `size` says.

        Raises:
            UnreadablePicture: If it cannot be decoded, or to another size than its header says.
        """
        picture = read_picture(self.path(image), self.upright)
        width, height = self.size(image)
        if picture.shape[:2] != (height, width):
            found = f"{picture.shape[1]}x{picture.shape[0]}"
            reason = f"it decodes to {found} pixels, its header says {width}x{height}"
            raise UnreadablePicture(self.path(image), reason)
        return picture

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


def read_fixation_set(folder, coordinates=None, upright=None):
    """Reads a fixation set.

    Args:
        folder: Folder with `images/`, `fixations.csv` and perhaps `set.json`.
        coordinates: `"pixels"`, or `"shares"` of width and height; `None` for what `set.json` says, else pixels.
        upright: Whether pictures are read as their orientation tags say; `None` for what `set.json` says, else not.

    Returns:
        The `FixationSet`. A picture without fixations belongs to it. Left out, and counted in `notes`, are fixations
        outside their picture (`outside` has their number), rows without a position, malformed rows, and pictures that
        cannot be read, with their fixations.

    Raises:
        UserError: If a part of the set is missing, more than a tenth of the rows are malformed or name pictures that
            are not there, or the coordinates are not those of the pictures. The sentence names the place.
    """
    folder = Path(folder)
    _check_parts(folder)
    said = _description(folder / "set.json")
    coordinates = coordinates or said["coordinates"]
    upright = said["upright"] if upright is None else upright
    pictures = pictures_in(folder / "images", upright=upright)
    if not pictures.names:
        refused = f": {pictures.refused[0]}" if pictures.refused else "."
        raise UserError(f"{folder / 'images'} has no pictures{refused}")
    images = tuple(text_of(name).replace(os.sep, "/") for name in pictures.names)
    on_disk = {image: name for image, name in zip(images, pictures.names, strict=True) if image != name}
    rows = _read_csv(folder / "fixations.csv", _index_of(images, folder), _index_of(_refused(pictures, folder), folder))
    sizes = np.array(pictures.sizes, np.float64)
    x, y = _in_pixels(rows, sizes, coordinates, folder)
    inside = inside_picture(x, y, *sizes[rows.owners].T)
    notes = [
        *_notes_on_pictures(pictures, rows, folder),
        *rows.notes(),
        *_plausible(x, y, inside, rows.owners, pictures, upright, folder),
    ]
    order = np.flatnonzero(inside)[np.argsort(rows.owners[inside], kind="stable")]
    return FixationSet(
        folder=folder,
        images=images,
        sizes=pictures.sizes,
        x=x[order],
        y=y[order],
        subjects=rows.subjects[order],
        starts=np.searchsorted(rows.owners[order], np.arange(len(images) + 1)),
        outside=int(len(x) - len(order)),
        pixels_per_degree=said["pixels_per_degree"],
        upright=upright,
        on_disk=on_disk,
        notes=tuple(notes),
    )


def readable(fixation_set):
    """A fixation set without the pictures that cannot be decoded: what learns from it must not stop half-way.

    Args:
        fixation_set: `FixationSet`.

    Returns:
        The same set if all pictures can be decoded, else one without the others and with a note about them.

    Raises:
        UserError: If no picture can be decoded.
    """
    from saliency_keras.data.fixation_split import subset

    refused = {}
    for image in progress(fixation_set.images, label="checking pictures"):
        try:
            fixation_set.read(image)
        except UnreadablePicture as error:
            refused[image] = error
    if not refused:
        return fixation_set
    if len(refused) == len(fixation_set.images):
        raise UserError(f"none of the pictures of {fixation_set.folder} can be read: {next(iter(refused.values()))}")
    kept = subset(fixation_set, [image for image in fixation_set.images if image not in refused])
    note = pictures_left_out(refused, len(fixation_set.images))
    return dataclasses.replace(kept, outside=fixation_set.outside, notes=(*fixation_set.notes, note))


def pictures_left_out(refused, of):
    """A sentence about pictures that cannot be read.

    Args:
        refused: From names of pictures to their `UnreadablePicture`.
        of: Number of pictures.

    Returns:
        The sentence, without a full stop.
    """
    first, error = next(iter(refused.items()))
    others = f" and {shown(list(refused)[1:])}" if len(refused) > 1 else ""
    return f"{len(refused):,} of {of:,} pictures cannot be read and are left out: {first} ({error.reason}){others}"


def _check_parts(folder):
    if folder.is_file():
        raise UserError(
            f"{folder} is a file; a fixation set is a folder with images/ and fixations.csv. `python -m "
            "data_prep.fixations` converts published files (pysaliency, SALICON, MIT1003 and others) to one."
        )
    convert = _convertible(folder) if folder.is_dir() else ""
    for part, there in (("", folder.is_dir()), ("images", (folder / "images").is_dir())):
        if not there:
            raise UserError(
                f"there is no folder {folder / part}; a fixation set has images/ and fixations.csv.{convert}"
            )
    if not (folder / "fixations.csv").is_file():
        raise UserError(
            f"there is no file {folder / 'fixations.csv'}; a fixation set has images/ and fixations.csv.{convert}"
        )


def _convertible(folder):
    """What to say where a folder has published files of fixations."""
    found = [one.name for one in sorted(folder.iterdir()) if one.suffix.lower() in (".json", ".mat", ".hdf5", ".h5")]
    found += [f"{name}/" for name in ("DATA", "ALLSTIMULI", "Stimuli", "FIXATIONLOCS") if (folder / name).is_dir()]
    if not found:
        return ""
    return (
        f" It has {shown(found)}: `python -m data_prep.fixations KIND {folder} OUT` converts what SALICON, MIT1003 and "
        "others publish."
    )


def _index_of(images, folder):
    """From what names are compared by to their places."""
    index = {}
    for place, image in enumerate(images):
        if name_key(image) in index:
            raise UserError(
                f"{folder / 'images'} has two pictures called {image}, which differ in Unicode composition only; "
                "rename one of them."
            )
        index[name_key(image)] = place
    return index


def _refused(pictures, folder):
    """Names of the files that are no pictures, as rows would name them."""
    names = [os.path.relpath(one.name, folder / "images") for one in pictures.refused]
    return [text_of(name).replace(os.sep, "/") for name in names]


@dataclasses.dataclass(frozen=True)
class _Rows:
    """What a table of fixations holds, and what of it could not be used.

    Attributes:
        path: The table.
        owners, subjects, x, y: Arrays `(fixations,)`: index of the picture, who looked, position as written.
        lost: Number of rows without a position.
        bad: Sentences about malformed rows.
        absent: From names of pictures that are not there to the first line that names them.
        absent_rows: Number of rows that name these.
        unreadable: From indices of refused files to the number of rows that name them.
        total: Number of rows.
    """

    path: Path
    owners: np.ndarray
    subjects: np.ndarray
    x: np.ndarray
    y: np.ndarray
    lost: int
    bad: list
    absent: dict
    absent_rows: int
    unreadable: dict
    total: int

    def check(self):
        """Refuses a table that is another one than it is taken for."""
        if len(self.bad) > MOST_BAD * self.total:
            more = f" So are {len(self.bad):,} of {self.total:,} rows." if len(self.bad) > 1 else ""
            raise UserError(self.bad[0] + more)
        if self.absent_rows > MOST_BAD * self.total:
            first, line = next(iter(self.absent.items()))
            count = "1 picture that is" if len(self.absent) == 1 else f"{len(self.absent)} pictures that are"
            raise UserError(f"{self.path} names {count} not in images/, the first {first!r} in line {line}.")
        if not len(self.owners):
            raise UserError(f"{self.path} has no fixations.")

    def notes(self):
        """What was left out."""
        notes, of = [], f"of {self.total:,} rows of {self.path.name}"
        if self.lost:
            notes.append(f"{self.lost:,} {of} have no position (blinks, lost samples) and are left out")
        if self.bad:
            notes.append(f"{len(self.bad):,} {of} are malformed and are left out; the first: {self.bad[0].rstrip('.')}")
        if self.absent:
            first, line = next(iter(self.absent.items()))
            notes.append(
                f"{self.absent_rows:,} {of} name pictures that are not in images/ and are left out; the first: "
                f"{first!r} in line {line}"
            )
        return notes


def _by_stem(names):
    """From stems to the names that have them, where that is one: tables leave suffixes out, or write others."""
    stems = Counter(map(stem_key, names))
    return {stem_key(name): name for name in names if stems[stem_key(name)] == 1}


def _read_csv(path, index_of, unreadable):
    """The `_Rows` of a table; `index_of` and `unreadable` are indices of pictures and of refused files."""
    owners, subjects, xs, ys, absent, bad = [], [], [], [], {}, []
    lost = total = absent_rows = 0
    on_unreadable = {}
    by_stem = _by_stem({**index_of, **unreadable})
    try:
        with path.open(encoding=encoding_of(path), newline="") as file:
            delimiter, at = _columns(path, file.readline())
            file.seek(0)
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            fields = len(next(rows, []))
            for row in rows:
                if not row:
                    continue
                total += 1
                place = f"{path}, line {rows.line_num}"
                if len(row) != fields:
                    bad.append(f"{place} has {len(row)} fields, the first line has {fields}.")
                    continue
                image, subject, x, y = (row[one] for one in at)
                try:
                    x, y = position_of(x, delimiter), position_of(y, delimiter)
                except ValueError:
                    bad.append(f"{place}: {x!r}, {y!r} is not a pair of numbers.")
                    continue
                if not (math.isfinite(x) and math.isfinite(y)):
                    lost += 1
                    continue
                key = name_key(image)
                if key not in index_of and key not in unreadable:
                    key = by_stem.get(stem_key(image), key)
                owner = index_of.get(key)
                if owner is None and key in unreadable:
                    on_unreadable[unreadable[key]] = on_unreadable.get(unreadable[key], 0) + 1
                elif owner is None:
                    absent.setdefault(image, rows.line_num)
                    absent_rows += 1
                else:
                    owners.append(owner)
                    subjects.append(subject)
                    xs.append(x)
                    ys.append(y)
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num} is malformed: {error}.") from None
    except UnicodeError as error:
        where = f"{error.reason} at byte {error.start}" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UserError(f"{path} is not UTF-8 text: {where}.") from None
    arrays = np.array(owners, np.int64), np.array(subjects), np.array(xs, np.float64), np.array(ys, np.float64)
    found = _Rows(path, *arrays, lost, bad, absent, absent_rows, on_unreadable, total)
    found.check()
    return found


def encoding_of(path):
    """UTF-8, or UTF-16 where the file begins with its mark, as Excel's "Unicode text" does."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _columns(path, line):
    """The delimiter of a table and the places of image, subject, x and y in its rows, from its first line."""
    headers = {delimiter: next(csv.reader([line], delimiter=delimiter), []) for delimiter in DELIMITERS}
    headers = {delimiter: [name.strip() for name in header] for delimiter, header in headers.items()}
    for delimiter, header in headers.items():
        if all(name in header for name in COLUMNS):
            return delimiter, [header.index(name) for name in COLUMNS]
    header = max(headers.values(), key=len)
    missing = [name for name in COLUMNS if name not in header]
    there = f"; it has {', '.join(header)}" if header else ""
    hint = " Where nobody knows who looked, give every row the same subject." if missing == ["subject"] else ""
    raise UserError(
        f"{path} has no column {', '.join(missing)}; its first line names image,subject,x,y, separated by commas, "
        f"semicolons, tabs or |{there}.{hint}"
    )


def position_of(text, delimiter):
    """A coordinate; NaN where there is none. Where commas do not separate fields, one may be a decimal comma."""
    text = text.strip()
    if text.lower() in NO_POSITION:
        return math.nan
    return float(text if delimiter == "," else text.replace(",", "."))


def _in_pixels(rows, sizes, coordinates, folder):
    """Positions in pixels, pixel centres at integers."""
    x, y = rows.x, rows.y
    within = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    looks_like_shares = (
        within.mean() >= 0.9
        and max(x.max(), y.max()) <= 2
        and (sizes.min() >= SMALLEST)
        and not (np.equal(np.mod(x, 1), 0) & np.equal(np.mod(y, 1), 0)).all()
    )
    if coordinates == "pixels":
        if looks_like_shares:
            raise UserError(
                f"{within.sum():,} of {len(x):,} fixations of {folder} ({within.mean():.0%}) lie between 0 and 1, "
                "which looks like shares of width and height, not pixels; read them by --coordinates shares, or write "
                '"coordinates": "shares" into set.json.'
            )
        return x, y
    if within.mean() < 0.5:
        raise UserError(
            f"only {within.sum():,} of {len(x):,} fixations of {folder} lie between 0 and 1, so that they are no "
            "shares of width and height; read them as pixels."
        )
    widths, heights = sizes[rows.owners].T
    return x * widths - 0.5, y * heights - 0.5


def _notes_on_pictures(pictures, rows, folder):
    """What to say of files that are no pictures; those that nobody looked at and no picture is called like are none."""
    named = set(pictures.named()) | {pictures.refused[place] for place in rows.unreadable}
    if not named:
        return []
    refused = {
        os.path.relpath(one.name, folder / "images"): one for one in pictures.refused if one in named
    }
    note = pictures_left_out(refused, len(pictures.names) + len(named))
    lost = sum(rows.unreadable.values())
    return [f"{note}, with {lost:,} fixations" if lost else note]


def _plausible(x, y, inside, owners, pictures, upright, folder):
    """Notes on coordinates and pictures that look odd.

    Raises:
        UserError: If they are not those of the pictures.
    """
    sizes, orientations = np.array(pictures.sizes, np.float64)[owners], np.array(pictures.orientations)
    total, outside = len(x), int((~inside).sum())
    share = f"{outside:,} of {total:,} fixations of {folder} ({_percent(outside, total)}) lie outside their picture"
    notes = []
    if not upright and (tagged := int((orientations != 1).sum())):
        on_side = np.isin(orientations, ON_THEIR_SIDE)[owners]
        if int((~inside_picture(x, y, *np.where(on_side[:, None], sizes[:, ::-1], sizes).T)).sum()) < outside / 2:
            raise UserError(
                f"{tagged:,} of {len(orientations):,} pictures of {folder} are stored on their side (orientation tag), "
                f"and fixations fit them upright: {outside:,} of {total:,} lie outside as they are stored; read them "
                'by --upright, or write "upright": true into set.json.'
            )
        notes.append(
            f"{tagged:,} of {len(orientations):,} pictures have an orientation tag (EXIF) and are read as stored; if "
            "people saw them turned upright, say --upright"
        )
    if _all_at_top_left(x, y, owners, sizes):
        raise UserError(
            f"all {total:,} fixations of {folder} lie in the top left quarter of their pictures, {_reach(x, y)}: these "
            "are coordinates of smaller pictures, or percentages; give positions in pixels of the pictures."
        )
    if not outside:
        return notes
    exchanged = int((~inside_picture(y, x, *sizes.T)).sum())
    if outside >= 3 and outside > 0.02 * total and exchanged <= outside / 10:
        raise UserError(
            f"{share}, and {exchanged:,} with x and y exchanged; exchange the names of these columns in the first line."
        )
    if outside == total:
        raise UserError(
            f"no picture of the set has a fixation in {folder}; {outside} fixations lie outside their pictures, "
            f"{_reach(x, y)}, as those of a larger screen do; give positions in pixels of the pictures."
        )
    if outside > MOST_OUTSIDE * total:
        raise UserError(
            f"{share}, {_reach(x, y)}: these are coordinates of another size, such as a screen's; give positions in "
            "pixels of the pictures (`python -m data_prep.fixations table` converts those of a screen)."
        )
    suspected = "; are these coordinates of the pictures?" if outside > MANY_OUTSIDE * total else ""
    notes.append(
        f"{outside:,} fixations of {total:,} ({_percent(outside, total)}) lie outside their picture and are left "
        f"out{suspected}"
    )
    return notes


def _all_at_top_left(x, y, owners, sizes):
    """Whether nobody looked right of, or below, the middle of any picture, which chance does not do."""
    many = len(x) >= LEAST_LOOKS and len(np.unique(owners)) >= LEAST_LOOKED_AT
    return many and bool((x < sizes[:, 0] / 2).all() and (y < sizes[:, 1] / 2).all())


def _percent(part, whole):
    return f"{part / whole:.0%}" if part >= 0.01 * whole else f"{part / whole:.2%}"


def _reach(x, y):
    return f"x from {x.min():g} to {x.max():g}, y from {y.min():g} to {y.max():g}"


def _description(path):
    """What `set.json` says, checked: `pixels_per_degree`, `coordinates` and `upright`."""
    said = {"pixels_per_degree": None, "coordinates": "pixels", "upright": False}
    if not path.exists():
        return said
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        said |= {name: fields[name] for name in said if name in list(fields.keys())}
    except (ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is not a JSON object: {error}.") from None
    value = said["pixels_per_degree"]
    if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
        raise UserError(f"{path}: pixels_per_degree is {value!r}, not a positive number.")
    if said["coordinates"] not in COORDINATES:
        raise UserError(f"{path}: coordinates is {said['coordinates']!r}, not {' or '.join(COORDINATES)}.")
    if not isinstance(said["upright"], bool):
        raise UserError(f"{path}: upright is {said['upright']!r}, not true or false.")
    return said
