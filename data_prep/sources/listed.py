"""Pictures named by a list: `compact LIST.csv`, with path and label of each, and perhaps its split and box.

The first line names the columns, in any order: `path` (or file, filename, image, id, ...), `label` (or class, category,
...), and perhaps `split` and the box to which a picture is cropped, in its own pixels, the first pixel lying between 0
and 1: `x,y,width,height` or `xmin,ymin,xmax,ymax`. Paths are those below the list's folder; one that is not there is
looked for by its name, with or without suffix, in all folders below (Kaggle's lists name pictures so). A list without a
column `split` needs `--hold-out`. A picture's id is its path.
"""

import csv
import os
from pathlib import Path

from data_prep.sources.source import FilesSource, Picture, distinct_names, human_names
from data_prep.sources.splits import NAMES, check_share, held_out, named_split
from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import DELIMITERS, encoding_of
from saliency_keras.data.listing import composed, files_below, name_key, text_of

COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "image", "image_path", "image_name", "image_id", "id"),
    "label": ("label", "class", "class_name", "category", "target", "species", "breed", "labels"),
    "split": ("split", "set", "subset", "part"),
}
BOXES = (("x", "y", "width", "height"), ("xmin", "ymin", "xmax", "ymax"))
# How 7z, rar, gzip, bzip2, xz and Zstandard begin.
OTHER_ARCHIVES = (b"7z\xbc\xaf", b"Rar!", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
MOST_BAD = 0.1  # malformed lines; a list with more of them is no such list
MOST_MISSING = 0.1  # a list of which more is not there is a list of other pictures


class ListedSource(FilesSource):
    """What lists have in common.

    A subclass sets `folder` and `where` (what to call the list in sentences), has `rows()`, an iterable of
    `(split, class, path, box)` that can be asked for again, and calls `_read`.

    Attributes:
        notes: What is to be told of the list, sentences without a full stop.
    """

    def _read(self, classes=None, hold_out=None):
        """Goes through the rows once: which splits and classes there are.

        Args:
            classes: The classes in the order of their labels, or `None`: those of the rows, sorted, numbers as numbers.
            hold_out: Share of the pictures to hold out, or `None`.

        Raises:
            UserError: If there are fewer than two classes, or a split lacks pictures of a class.
        """
        counts = {}
        for split, name, *_ in self.rows():
            of_split = counts.setdefault(split, {})
            of_split[name] = of_split.get(name, 0) + 1
        if not counts:
            raise UserError(f"{self.where} has no pictures.")
        found = {name for of_split in counts.values() for name in of_split}
        self._names = list(classes) if classes else sorted(found, key=_as_number)
        self._labels = {name: label for label, name in enumerate(self._names)}
        self._hold_out = hold_out
        self._splits = self._splits_of(counts)
        left = {name: sum(of_split.values()) for name, of_split in counts.items() if name not in self._splits.values()}
        self.notes = tuple(f"{many:,} pictures of the split {name} are left out" for name, many in left.items())
        if len(self._names) < 2:
            raise UserError(f"{self.where} has one class only ({self._names[0]}); a classifier needs two or more.")
        for split in NAMES:
            of_split = counts[self._splits[split]]
            if missing := [name for name in self._names if not of_split.get(name)]:
                raise UserError(f"the class {missing[0]} of {self.where} has no {split} pictures.")
            if hold_out is not None and min(of_split.values()) < 2:
                name = min(of_split, key=of_split.get)
                raise UserError(f"the class {name} of {self.where} has a single picture, so that none can be held out.")
        human = human_names(self.folder / "classes.csv")
        self.classes = distinct_names([human.get(name_key(name), name) for name in self._names], self._names)

    def _splits_of(self, counts):
        """From `train` and `val` to what the list calls them."""
        if self._hold_out is not None:
            check_share(self._hold_out)
            if named_split(counts, "val") is not None:
                raise UserError(
                    f"{self.where} says which pictures are for validation; --hold-out is for sources that do not."
                )
            return dict.fromkeys(NAMES, named_split(counts, "train") or next(iter(counts)))
        splits = {split: named_split(counts, split) for split in NAMES}
        if missing := [split for split, name in splits.items() if name is None]:
            there = ", ".join(sorted(str(name) for name in counts if name)) or "no splits"
            raise UserError(
                f"{self.where} has no {' and no '.join(missing)} pictures (it has {there}); --hold-out 0.1 holds a "
                "tenth of each class out for validation, or give each picture its split, train or val."
            )
        return splits

    def pictures(self, split):
        """Every picture of a split.

        Raises:
            UserError: If more than a tenth of them are not there.
        """
        wanted = self._splits[split]
        found = [self._picture(of_class, path, box) for name, of_class, path, box in self.rows() if name == wanted]
        found = self._named(found, wanted)
        if self._hold_out is not None:
            out = held_out(found, self._hold_out)
            found = [one for one in found if (one.id in out) == (split == "val")]
        missing = [one for one in found if one.bytes < 0]
        if len(missing) > MOST_MISSING * len(found):
            raise UserError(
                f"{len(missing):,} of {len(found):,} {split} pictures of {self.where} are not there, the first: "
                f"{self.folder / str(missing[0].place)}."
            )
        return [one if one.bytes >= 0 else one._replace(bytes=0) for one in found]

    def _named(self, found, split):
        """Gives the pictures of a split their ids, where paths do not make them unique."""
        return found

    def folder_of(self, split):
        """Empty: a picture's id is its path below the list's folder."""
        return ""

    def _picture(self, of_class, path, box):
        try:
            size = os.stat(os.path.join(self.folder, path)).st_size
        except OSError:
            size = -1
        identifier = text_of(os.path.normpath(path)).replace(os.sep, "/").lstrip("/")
        return Picture(identifier, self._labels[of_class], path, size, box)


def _as_number(name):
    return (0, int(name), "") if str(name).lstrip("-").isdecimal() else (1, 0, str(name))


class CsvSource(ListedSource):
    """The pictures that a CSV file lists."""

    def __init__(self, path, hold_out=None, label=None):
        self.path, self.folder, self.where = Path(path), Path(path).absolute().parent, str(path)
        self._at, self._delimiter, self._box_columns = _columns(self.path, label)
        self._by_name = None
        self._read(hold_out=hold_out)
        self.description = {"kind": "list", "name": self.path.name, "class_folders": self._names}
        if hold_out is not None:
            self.description["held_out"] = hold_out

    def rows(self):
        """Yields `(split, class, path, box)` of each line, the path as it is written."""
        at = self._at
        self._bad, self._lines = [], 0
        try:
            with open(self.path, newline="", encoding=encoding_of(self.path)) as file:
                reader = csv.reader(file, delimiter=self._delimiter)
                fields = len(next(reader))
                for row in reader:
                    if not row:
                        continue
                    self._lines += 1
                    place = f"{self.path}, line {reader.line_num}"
                    if len(row) != fields:
                        self._bad.append(f"{place} has {len(row)} fields, the first line has {fields}")
                        continue
                    path, name = row[at["path"]].strip(), composed(row[at["label"]].strip())
                    if not path or not name:
                        self._bad.append(f"{place} has no {'label' if path else 'path'}")
                        continue
                    split = row[at["split"]].strip().lower() if "split" in at else ""
                    try:
                        box = self._box(row) if self._box_columns else None
                    except ValueError as error:
                        self._bad.append(f"{place}: {error}")
                        continue
                    yield split, name, path, box
        except UnicodeDecodeError as error:
            where = f"{error.reason} at byte {error.start}"
            raise UserError(f"{self.path} is not UTF-8 text: {where}; save it as UTF-8.") from None
        except csv.Error as error:
            raise UserError(f"{self.path} is malformed: {error}.") from None

    def _picture(self, of_class, path, box):
        picture = super()._picture(of_class, path, box)
        if picture.bytes < 0 and (found := self._found(path)) is not None:
            return super()._picture(of_class, found, box)
        return picture

    def _found(self, path):
        """The one file below the list's folder that has that path or name, with or without suffix, or `None`."""
        if self._by_name is None:
            self._by_name = {}
            for file, _ in files_below(self.folder):
                key = name_key(file).replace(os.sep, "/")
                base = os.path.basename(key)
                for name in {key, base, os.path.splitext(key)[0], os.path.splitext(base)[0]}:
                    self._by_name[name] = None if name in self._by_name else file
        key = os.path.normpath(name_key(path).replace("\\", "/")).replace(os.sep, "/")
        return self._by_name.get(key) or self._by_name.get(os.path.basename(key))

    def _read(self, classes=None, hold_out=None):
        try:
            super()._read(classes, hold_out)
        except UserError:
            self._check_bad()  # what is missing may be in the malformed lines
            raise
        self._check_bad()
        if self._bad:
            many = f"{len(self._bad):,} of {self._lines:,} lines are malformed and are left out; the first: "
            self.notes += (many + self._bad[0],)

    def _check_bad(self):
        if len(self._bad) > MOST_BAD * self._lines:
            more = f" So are {len(self._bad):,} of {self._lines:,} lines." if len(self._bad) > 1 else ""
            raise UserError(f"{self._bad[0]}.{more}")

    def _box(self, row):
        kind, places = self._box_columns
        texts = [row[place].strip() for place in places]
        if not any(texts):
            return None
        try:
            box = tuple(map(float, texts))
        except ValueError:
            raise ValueError(f"{', '.join(texts)} is no box") from None
        return (box[0], box[1], box[0] + box[2], box[1] + box[3]) if kind == BOXES[0] else box

    def __getstate__(self):
        return {**self.__dict__, "_by_name": None}  # workers read by place


def _columns(path, label=None):
    """Places of the columns, the delimiter, and kind and places of the box's columns or `None`.

    Args:
        path: The list.
        label: What the column of the classes is called, or `None`: one of the usual names.
    """
    with open(path, "rb") as file:
        head = file.read(1024)
    if head.startswith(OTHER_ARCHIVES):
        raise UserError(f"{path} is an archive or compressed; only zip and tar are read in place: unpack it first.")
    try:
        with open(path, newline="", encoding=encoding_of(path)) as file:
            line = file.readline(10_000)
    except UnicodeDecodeError as error:
        if b"\0" in head:
            raise UserError(f"{path} is no list of pictures; SOURCE is a folder, a LIST.csv, a zip or tar.") from None
        raise UserError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}; save it as UTF-8.") from None
    for delimiter in DELIMITERS:
        header = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
        at = {}
        for column, names in ({**COLUMNS, "label": (label.strip().lower(),)} if label else COLUMNS).items():
            if found := [name for name in names if name in header]:
                at[column] = header.index(found[0])
        if "path" in at and "label" in at:
            boxes = [(kind, [header.index(one) for one in kind]) for kind in BOXES if set(kind) <= set(header)]
            return at, delimiter, boxes[0] if boxes else None
    raise UserError(
        f"{path} names no pictures: its first line is {line.strip()[:100]!r}; a list has the columns path and "
        f"{label or 'label'}, and perhaps split (train, val) and x, y, width, height."
    )
