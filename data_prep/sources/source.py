"""Where pictures come from: an image folder, TFDS, ImageNet's tars or the built-in `popout`.

A source lists its pictures without decoding them and reads one when asked to. It has

- `description`: what the manifest says of it, words and numbers only;
- `classes`: class names, a label being an index into them;
- `pictures(split)`: a list of `Picture`, in any order;
- `read(picture)`: the pixels, uint8 `(height, width, 3)`, and a dict of the maps that the source itself has, of the
  same height and width; all of the picture, whether it has a box or not;
  `UnreadablePicture` for a picture that is none, `UnusableMap` for a map that is none;
- `own_maps`: names of those maps;
- `made_of(name)`: `"picture"` where that map is one of the whole picture, `"square"` where it was made on the square;
- `identity(picture)`: what makes it another picture, its box aside;
- `boxes(picture)`: the boxes of its objects, `(xmin, ymin, xmax, ymax)` as shares of the picture's width and height.

A source is sent to the worker processes, so it holds names and places, no open files. The image folder is here, the
others have files of their own; a further source is one class and one entry in `data_prep.sources.open_source`.
"""

import csv
import os
from pathlib import Path
from typing import NamedTuple

from saliency_keras.console import UserError
from saliency_keras.data.manifest import SPLITS


class Unusable(UserError):
    """What comes with a picture and does not fit it: the run stops, for the picture would be stored wrongly."""


class UnusableMap(Unusable):
    """A map a source has itself that is no map of its picture."""

    what = "maps"


class UnusableBox(Unusable):
    """A box that is none, or lies outside its picture."""

    what = "boxes"


class Picture(NamedTuple):
    """One picture of a source.

    Attributes:
        id: Unique in its split.
        label: Index of its class.
        place: What `read` needs.
        bytes: Its size.
        box: `(left, top, right, bottom)` in the picture's own pixels: the part of it that is stored, as
            `saliency_keras.data.geometry.box_in_pixels` rounds it and cuts it off. `None` for the whole picture.
    """

    id: str
    label: int
    place: object
    bytes: int
    box: tuple[float, float, float, float] | None = None


class Source:
    """What every source is unless it says otherwise: one without maps and boxes of its own."""

    own_maps = ()

    def identity(self, picture):
        """What makes a picture another one, and a data set with it another data set: a list of words and numbers."""
        return [picture.id, picture.label, picture.bytes]

    def made_of(self, name):
        """What a map of the source's own was made of, one of `saliency_keras.data.manifest.MADE_OF`."""
        return "picture"

    def boxes(self, picture):
        """The boxes of a picture's objects: none."""
        return ()


class FolderSource(Source):
    """An image folder: `train/CLASS/*` and `val/CLASS/*`, whatever the files are called.

    Every regular file of a class folder that is not hidden counts as a picture; one that cannot be decoded ends up in
    `skipped.csv`. A picture's id is `CLASS/file name`. A file `classes.csv` beside `train/` (columns `class,name`)
    gives the classes human names.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(
                f"there is no folder {folder}; SOURCE is a folder with train/CLASS/* and val/CLASS/*, tfds:NAME, "
                "imagenet:DIR or popout."
            )
        self._folders = self._class_folders()
        names = human_names(self.folder / "classes.csv")
        self.classes = distinct_names(
            [names.get(text_of(name), text_of(name)) for name in self._folders], self._folders
        )
        folders = [text_of(name) for name in self._folders]
        self.description = {"kind": "folder", "name": self.folder.resolve().name, "class_folders": folders}

    def pictures(self, split):
        """Every file of the split's class folders."""
        found = []
        for label, name in enumerate(self._folders):
            for file, size in files_in(self.folder / split / name):
                place = os.path.join(split, name, file)
                found.append(Picture(f"{text_of(name)}/{text_of(file)}", label, place, size))
        return found

    def read(self, picture):
        """Decodes one picture; `UnreadablePicture` if it is none."""
        from saliency_keras.data.pictures import read_picture

        return read_picture(self.folder / picture.place), {}

    def _class_folders(self):
        """Names of the class folders, sorted; the same in both splits, none of them empty."""
        names = {}
        for split in SPLITS:
            if not (self.folder / split).is_dir():
                raise UserError(f"{self.folder} has no folder {split}/; SOURCE needs train/CLASS/* and val/CLASS/*.")
            with os.scandir(self.folder / split) as entries:
                names[split] = {entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")}
            if not names[split]:
                raise UserError(f"{self.folder / split} has no class folders; SOURCE needs {split}/CLASS/*.")
        for split, other in (SPLITS, SPLITS[::-1]):
            if missing := sorted(names[split] - names[other]):
                name = text_of(missing[0])
                raise UserError(f"the class {name} is in {split}/ but missing in {other}/ of {self.folder}.")
        for split in SPLITS:
            for name in sorted(names[split]):
                if next(files_in(self.folder / split / name), None) is None:
                    raise UserError(f"the class folder {self.folder / split / name} has no pictures.")
        if len(names["train"]) < 2:
            name = text_of(*names["train"])
            raise UserError(f"{self.folder} has one class only ({name}); a classifier needs two or more.")
        return sorted(names["train"])


def files_in(folder):
    """Name and bytes of every regular file of a folder that is not hidden; of a link that leads nowhere 0 bytes."""
    with os.scandir(folder) as entries:
        for entry in entries:
            lost = entry.is_symlink() and not os.path.exists(entry.path)
            if (lost or entry.is_file()) and not entry.name.startswith("."):
                yield entry.name, 0 if lost else entry.stat().st_size


def text_of(name):
    """A file name as text that can be written as UTF-8, even where the name on disk is not."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def human_names(path):
    """Names of class folders from a `classes.csv` (columns class,name); none where there is no such file."""
    if not path.is_file():
        return {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return {row["class"]: row["name"] for row in csv.DictReader(file) if row["class"] and row["name"]}
    except (KeyError, ValueError, csv.Error):
        raise UserError(f"{path} is no table with the columns class,name; mend it or take it away.") from None


def distinct_names(names, folders):
    """Two classes of one human name (ImageNet has two cranes) are told apart by their folders' names."""
    pairs = zip(names, folders, strict=True)
    return tuple(f"{name} ({text_of(folder)})" if names.count(name) > 1 else name for name, folder in pairs)
