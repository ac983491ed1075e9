"""What importers gather, and how it becomes a fixation set: `images/`, `fixations.csv` and `set.json`."""

import csv
import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError, progress
from saliency_keras.data.fixation_set import MOST_BAD, read_fixation_set
from saliency_keras.data.listing import name_key, shown, text_of
from saliency_keras.data.pictures import pictures_in
from saliency_keras.files import check_claims, check_folder, claimed

SAME_ASPECT = 0.01  # sides may differ by that share where a picture was scaled and rounded


@dataclasses.dataclass(frozen=True)
class Choices:
    """What the user says beside KIND and SOURCE.

    Attributes:
        pictures: Folder of the pictures, or `None`: where the published set has them.
        columns: Of a table: from `image`, `x`, `y`, `subject`, `duration`, `fixation` to its columns' names.
        where: Of a table: `(column, value)` pairs; rows that have other values are left out.
        screen: Of a table: `(width, height)` of the screen in pixels where positions are those of the screen.
        picture_at: Of a table: where a screen shows the pictures, `(left, top)`, or `None` for its middle.
        shown: Of a table: `(width, height)` at which the screen shows the pictures, or `None` for their own size.
        coordinates: Of a table: `"pixels"`, or `"shares"` of the screen's width and height, or else of the picture's.
    """

    pictures: Path | None = None
    columns: dict = dataclasses.field(default_factory=dict)
    where: tuple = ()
    screen: tuple | None = None
    picture_at: tuple | None = None
    shown: tuple | None = None
    coordinates: str = "pixels"


class PictureFolder:
    """The pictures of a folder, found by what files of fixations call them.

    Args:
        folder: The folder; its subfolders are entered.
        any_copy: Whether the first of several pictures of one name will do.

    Attributes:
        temporary: Whether the files go away with this process, so that they cannot be linked to.
    """

    temporary = False

    def __init__(self, folder, any_copy=False):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(f"there is no folder {folder}; --pictures DIR says where the pictures are.")
        pictures = pictures_in(self.folder)
        if not pictures.names:
            raise UserError(f"{folder} has no pictures; --pictures DIR says where they are.")
        self._any_copy = any_copy
        self.names, self.sizes, self._places = [], {}, {}
        for place, size in zip(pictures.names, pictures.sizes, strict=True):
            name = text_of(place).replace(os.sep, "/")
            self.names.append(name)
            self.sizes[name] = size
            path = name_key(place).replace(os.sep, "/")
            base = path.rpartition("/")[2]
            for key in dict.fromkeys((path, os.path.splitext(path)[0], base, os.path.splitext(base)[0])):
                self._places.setdefault(key, []).append((name, place))

    def find(self, name):
        """The picture of that path, or of that file name, with or without suffix.

        Args:
            name: What a file of fixations calls it.

        Returns:
            Its name, a key of `sizes`; `None` if there is none.

        Raises:
            UserError: If there are several.
        """
        key = name_key(str(name).strip()).replace("\\", "/").removeprefix("./")
        base = key.rpartition("/")[2]
        for one in (key, os.path.splitext(key)[0], base, os.path.splitext(base)[0]):
            if found := self._places.get(one):
                if len(found) > 1 and not self._any_copy:
                    several = shown([name for name, _ in found])
                    raise UserError(f"{self.folder} has several pictures called {name}: {several}; rename them.")
                return found[0][0]
        return None

    def path(self, name):
        """The path of a picture."""
        places = self._places[name_key(name)]
        return self.folder / next(place for one, place in places if one == name)


class Gathered:
    """Fixations, gathered viewing by viewing.

    Args:
        pictures: `PictureFolder`, or what has its `find`, `sizes` and `path`.
        source: What the fixations come from, for `set.json`.
        pixels_per_degree: Pixels of one degree of visual angle on the pictures as they were measured, or `None`.

    Attributes:
        ordered: Whether rows come in the order in which people looked.
        absent: From names of pictures that are not there to the number of fixations on them.
        bad: Sentences about rows that are malformed.
        beside: Number of fixations that were left out because they were on the screen beside the picture.
    """

    def __init__(self, pictures, source, pixels_per_degree=None):
        self.pictures, self.source, self.pixels_per_degree = pictures, source, pixels_per_degree
        self.rows = []
        self.ordered, self.timed, self.beside = True, False, 0
        self.absent, self.bad, self._lost, self._scales, self._viewings = {}, [], 0, set(), {}

    def add(self, image, subject, x, y, durations=None, measured=None):
        """Adds the fixations of one person on one picture, in their order.

        Args:
            image: What the file calls the picture.
            subject: Who looked.
            x: Positions in pixels, pixel centres at integers from 0.
            y: Positions in pixels.
            durations: In milliseconds, or `None`.
            measured: `(width, height)` of the picture for which the positions hold, or `None`: the picture as it is.
        """
        x, y = np.asarray(x, np.float64).ravel(), np.asarray(y, np.float64).ravel()
        name = self.pictures.find(image)
        if name is None:
            self.absent[str(image)] = self.absent.get(str(image), 0) + len(x)
            return
        if measured is not None:
            x, y = self._on_picture(x, y, name, measured)
        else:
            self._scales.add(1.0)
        if durations is None:
            durations = [""] * len(x)
        else:
            self.timed = True
        at = (name, str(subject))
        for one, other, duration in zip(x, y, durations, strict=True):
            if not (np.isfinite(one) and np.isfinite(other)):
                self._lost += 1
                continue
            self._viewings[at] = self._viewings.get(at, 0) + 1
            self.rows.append((*at, one, other, duration, self._viewings[at]))

    def notes(self):
        """What was left out: sentences without a full stop."""
        notes = []
        if self._lost:
            notes.append(f"{self._lost:,} fixations have no position (blinks, lost samples) and are left out")
        if self.beside:
            total = len(self.rows) + self.beside
            notes.append(f"{self.beside:,} of {total:,} fixations are beside their pictures and are left out")
        if self.bad:
            first = self.bad[0].rstrip(".")
            notes.append(f"{len(self.bad):,} rows are malformed and are left out; the first: {first}")
        if self.absent:
            lost = sum(self.absent.values())
            notes.append(
                f"{lost:,} fixations are on {len(self.absent):,} pictures that are not in {self.pictures.folder} "
                f"and are left out: {shown(list(self.absent))}"
            )
        if self._scales - {1.0}:
            notes.append("positions were scaled to the pictures, which have another size than those that people saw")
        return notes

    def write(self, out, copy=False):
        """Writes the fixation set: all of it, or nothing.

        Args:
            out: Folder to make.
            copy: Whether pictures are copied; links are made otherwise, where the system has them.

        Returns:
            The `FixationSet`, as it is read from there.

        Raises:
            UserError: If there are no fixations, `out` has something in it, or the set is one that cannot be read.
        """
        out = check_out(out)
        if len(self.bad) > MOST_BAD * (len(self.rows) + len(self.bad)):
            more = f" So are {len(self.bad):,} rows." if len(self.bad) > 1 else ""
            raise UserError(self.bad[0] + more)
        if not self.rows:
            missing = f": {shown(list(self.absent))} are not in {self.pictures.folder}" if self.absent else ""
            raise UserError(f"{self.source} has no fixations on pictures that are there{missing}.")
        with claimed(out):
            check_out(out)
            temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
            try:
                self._write_parts(temporary, copy)
                try:
                    read_fixation_set(temporary)
                except UserError as error:
                    raise UserError(str(error).replace(str(temporary), str(out))) from None
                temporary.chmod(0o777 & ~_umask())
                check_claims(out)
                out.rmdir()
                temporary.rename(out)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
        return read_fixation_set(out)

    def _write_parts(self, folder, copy):
        for name in progress(sorted({row[0] for row in self.rows}), label="pictures"):
            path = folder / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._place(self.pictures.path(name), path, copy or self.pictures.temporary)
        columns = ["image", "subject", "x", "y", *["duration"] * self.timed, *["order"] * self.ordered]
        with open(folder / "fixations.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for image, subject, x, y, duration, order in self.rows:
                timed = [duration if duration == "" else f"{duration:g}"] * self.timed
                writer.writerow([image, subject, _decimals(x), _decimals(y), *timed, *[order] * self.ordered])
        said = {"source": str(Path(self.source).name)}
        if self.pixels_per_degree and len(self._scales) == 1:
            said["pixels_per_degree"] = self.pixels_per_degree * next(iter(self._scales))
        (folder / "set.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def _place(picture, path, copy):
        if not copy:
            try:
                os.symlink(os.path.abspath(picture), path)
                return
            except (OSError, NotImplementedError):
                pass  # this system, or this disk, has no links
        shutil.copyfile(picture, path)

    def _on_picture(self, x, y, name, measured):
        """Positions on a picture of another size: scaled about the picture's corner, not the first pixel's centre."""
        (width, height), (of_width, of_height) = self.pictures.sizes[name], measured
        scale = width / of_width, height / of_height
        if abs(scale[0] / scale[1] - 1) > SAME_ASPECT:
            raise UserError(
                f"{self.pictures.folder / name} has {width}x{height} pixels, the fixations are those of a picture of "
                f"{of_width:g}x{of_height:g}; use the pictures that come with the fixations."
            )
        self._scales.add(round(scale[0], 6))
        if (width, height) == (of_width, of_height):
            return x, y
        return (x + 0.5) * scale[0] - 0.5, (y + 0.5) * scale[1] - 0.5


def check_out(out):
    """Refuses, before any long work, a folder that has something in it or could not be made; the path of it."""
    check_folder(out)
    if Path(out).is_dir() and any(Path(out).iterdir()):
        raise UserError(f"{out} has files in it; give OUT a name that is free, or empty it.")
    return Path(os.path.abspath(out))


def first_folder(choices, *candidates):
    """The folder of the pictures: the one that the user names, else the first candidate that is there."""
    if choices.pictures is not None:
        return Path(choices.pictures)
    return next((one for one in candidates if one.is_dir()), candidates[-1])


def files_called(source, pattern, what):
    """The files below a folder whose names match, sorted; the file itself where SOURCE is one.

    Raises:
        UserError: If there are none.
    """
    source = Path(source)
    if source.is_file():
        return [source]
    found = sorted(one for one in source.rglob(pattern) if not one.name.startswith(".")) if source.is_dir() else []
    if not found:
        there = f"{source} has no {pattern}" if source.is_dir() else f"there is no {source}"
        raise UserError(f"{there}; SOURCE is {what}.")
    return found


def read_mat(path):
    """The variables of a MATLAB file.

    Raises:
        UserError: If it is none that SciPy reads.
    """
    import scipy.io

    try:
        content = scipy.io.loadmat(path)
    except OSError:
        raise
    except NotImplementedError:
        raise UserError(f"{path} is a MATLAB 7.3 file; save it in MATLAB with -v7.") from None
    except Exception as error:  # SciPy raises what it stumbles over
        raise UserError(f"{path} cannot be read as a MATLAB file: {error}.") from None
    return {name: value for name, value in content.items() if not name.startswith("__")}


def field(value, *names):
    """A field in structs of a MATLAB file, however deep SciPy wraps them.

    Args:
        value: What `read_mat` gave.
        *names: Names of the fields on the way.

    Returns:
        An array.

    Raises:
        KeyError: If a struct on the way has no such field, or is none.
    """
    for name in names:
        value = unwrapped(value)
        if value is None or value.dtype.names is None or name not in value.dtype.names:
            raise KeyError(name)
        value = value[name]
    value = unwrapped(value)
    return np.zeros((0, 2)) if value is None else value


def unwrapped(value):
    """What is in arrays of one object; `None` where there is none."""
    while (isinstance(value, np.ndarray) and value.dtype == object) or isinstance(value, np.void):
        if isinstance(value, np.void):
            return value
        if value.size != 1:
            return value if value.size else None
        value = value.ravel()[0]
    if isinstance(value, np.ndarray) and value.dtype.names and value.size == 1:
        return value.ravel()[0]
    return value


def _decimals(value):
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
