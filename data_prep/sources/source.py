"""Where pictures come from: an image folder, a list, an archive, a published set, TFDS or the built-in `popout`.

A source lists its pictures without decoding them and reads one when asked to. It has

- `description`: what the manifest says of it, words and numbers only;
- `classes`: class names, a label being an index into them;
- `pictures(split)`: a list of `Picture`, in any order;
- `content(picture)`: the bytes of the picture's file, or `None` where pictures are drawn; `UnreadablePicture` if there
  are none;
- `one_by_one`: whether one picture can be read without reading others; if not, `data_prep.spool` uses
- `contents(pictures)`: yields the number of each of some pictures and its bytes, in the order that costs least;
- `changed(picture)`: when they were last changed, in seconds as `os.stat` gives them, or `None`;
- `read(picture, content)`: the pixels, uint8 `(height, width, 3)`, and a dict of the maps that the source itself has,
  of the same height and width or, where `made_of` says so, those of the square; all of the picture, whether it has a
  box or not;
  `UnreadablePicture` for a picture that is none, `UnusableMap` for a map that is none;
- `own_maps`: names of those maps;
- `made_of(name)`: `"picture"` where that map is one of the whole picture, `"square"` where it was made on the square,
  `"stored"` where it was made on the picture as it is stored;
- `identity(picture)`: what makes it another picture, its box aside;
- `boxes(picture)`: the boxes of its objects, `(xmin, ymin, xmax, ymax)` as shares of the picture's width and height.

A source is sent to the worker processes, so it holds names and places, no open files. The image folder is here, the
others have files of their own; a further source is one class and one entry in `data_prep.sources.open_source`.
"""

import csv
import io
import itertools
import os
import re
from pathlib import Path
from typing import NamedTuple

from data_prep.sources.object_boxes import boxes_of
from data_prep.sources.splits import NAMES, check_share, held_out, named_split
from saliency_keras.console import UserError
from saliency_keras.data.listing import files_below, name_key, shown, text_of
from saliency_keras.data.manifest import SPLITS
from saliency_keras.data.shown import SWAPS
from saliency_keras.files import absent


class Unusable(UserError):
    """What comes with a picture and does not fit it: the run stops, because the picture would be stored wrongly."""


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
    """What every source is unless it says otherwise: pictures in files, without maps and boxes of their own.

    Attributes:
        upright: Whether pictures are turned as their orientation tag says.
        one_by_one: Whether one picture can be read without reading others.
        notes: What is to be told of the source, sentences without a full stop.
        maps_notes: The same of its own maps, known once its pictures were asked for.
    """

    own_maps = ()
    notes = ()
    maps_notes = ()
    upright = False
    one_by_one = True

    def content(self, picture):
        """The bytes of a picture's file; `None` where pictures are drawn."""
        return None

    def contents(self, pictures):
        """Yields the number of each of some pictures among them, and the bytes of its file, none where there is none.

        Args:
            pictures: `Picture`s.
        """
        from saliency_keras.data.pictures import UnreadablePicture

        for number, picture in enumerate(pictures):
            try:
                yield number, self.content(picture)
            except UnreadablePicture:
                yield number, b""

    def changed(self, picture):
        """When a picture's file was last changed, in seconds, or `None` where that means nothing."""
        return None

    def read(self, picture, content=None):
        """Decodes one picture; `UnreadablePicture` if it is none.

        Args:
            picture: The `Picture`.
            content: What `content(picture)` gave, or `None`: then it is asked for here.

        Returns:
            The pixels, uint8 `(height, width, 3)`, and the maps that the source itself has, by name.
        """
        from saliency_keras.data.pictures import read_picture

        file = io.BytesIO(self.content(picture) if content is None else content)
        file.name = str(picture.place)
        return read_picture(file, self.upright), {}

    def identity(self, picture):
        """What makes a picture another one, and a data set with it another data set: a list of words and numbers."""
        return [picture.id, picture.label, picture.bytes]

    def folder_of(self, split):
        """What the folder with the pictures of a split is called; empty for the source's own folder."""
        return split

    def path_of(self, picture):
        """The picture's path below the source's folder; `None` where it is no file in a folder."""
        return None

    def made_of(self, name):
        """What a map of the source's own was made of, one of `saliency_keras.data.manifest.MADE_OF`."""
        return "picture"

    def boxes(self, picture):
        """The boxes of a picture's objects: none."""
        return ()


class FilesSource(Source):
    """A source whose pictures are files below a folder: `place` is the path below `folder`."""

    folder: Path

    def path_of(self, picture):
        """Its place."""
        return text_of(picture.place)

    def content(self, picture):
        """The bytes of a picture's file; `UnreadablePicture` where there is none."""
        from saliency_keras.data.pictures import content_of

        return content_of(self.folder / picture.place)

    def changed(self, picture):
        """The later time of the file's content and of its entry; `None` of a link that leads nowhere."""
        return changed_at(self.folder / picture.place)


class FolderSource(FilesSource):
    """An image folder: `train/CLASS/*` and `val/CLASS/*`, whatever the files are called.

    Every regular file of a class folder and its subfolders that is not hidden counts as a picture; one that cannot be
    decoded ends up in `skipped.csv`. A picture's id is `CLASS/file name`, with the subfolders in between. A file
    `classes.csv` beside `train/` (columns `class,name`) gives the classes human names, a `boxes.csv` or
    `bounding_boxes.csv` the boxes of objects (`object_boxes`). `val/` may be called `valid/`, `validation/` or `test/`.

    Args:
        folder: The folder.
        hold_out: Share of the pictures of each class that is held out as `val` where the folder has `train/` alone, or
            class folders alone; `None` where it has both splits.
    """

    def __init__(self, folder, hold_out=None):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(
                f"{absent(folder)}; SOURCE is a folder with train/CLASS/* and val/CLASS/*, a LIST.csv, "
                "a zip or tar, tfds:NAME, imagenet:DIR, a published set such as cub:DIR, or popout."
            )
        self._hold_out = hold_out
        self._split_folders = self._find_splits()
        self._folders = self._class_folders()
        folders = list(self._folders["train"].values())
        self.notes += tuple(self._beside_classes())
        names = human_names(self.folder / "classes.csv")
        self.classes = distinct_names([names.get(name_key(name), text_of(name)) for name in folders], folders)
        self._object_boxes = boxes_of(self.folder)
        texts = [text_of(name) for name in folders]
        self.description = {"kind": "folder", "name": self.folder.resolve().name, "class_folders": texts}
        if hold_out is not None:
            self.description["held_out"] = hold_out

    def pictures(self, split):
        """Every file of the split's class folders."""
        found = []
        for label, key in enumerate(self._folders["train"]):
            name = self._folders[split][key]
            for file, size in files_below(self.folder / self._split_folders[split] / name):
                place = os.path.join(self._split_folders[split], name, file)
                found.append(Picture(f"{text_of(name)}/{text_of(file)}", label, place, size))
        if self._hold_out is not None:
            out = held_out(found, self._hold_out)
            found = [one for one in found if (one.id in out) == (split == "val")]
        return found

    def boxes(self, picture):
        """The boxes that `boxes.csv` or `bounding_boxes.csv` of the folder has; none of a picture that was turned."""
        boxes = self._object_boxes.get(name_key(picture.place).replace(os.sep, "/"), ())
        if not boxes:
            return ()
        from saliency_keras.data.pictures import UPRIGHT, picture_header

        (width, height), orientation = picture_header(self.folder / picture.place)
        if self.upright and orientation in UPRIGHT:
            return ()
        return [(box[0] / width, box[1] / height, box[2] / width, box[3] / height) for box in boxes]

    def folder_of(self, split):
        """What the folder of a split is called; empty where class folders lie in the source's folder itself."""
        return self._split_folders[split]

    def _find_splits(self):
        """From `train` and `val` to the folders that have their pictures, below the source's folder."""
        there = [entry.name for entry in os.scandir(self.folder) if entry.is_dir()]
        named = {split: named_split(there, split) for split in SPLITS}
        if self._hold_out is not None:
            check_share(self._hold_out)
            if named["val"]:
                raise UserError(f"{self.folder} has a folder {named['val']}/; --hold-out is for folders without one.")
            return dict.fromkeys(SPLITS, named["train"] or "")
        for split, name in named.items():
            if name is None:
                raise UserError(
                    f"{self.folder} has no folder {split}/; SOURCE needs train/CLASS/* and val/CLASS/* (or valid/, "
                    f"validation/, test/).{_way_out(self.folder, there)}"
                )
        known = {name for names in NAMES.values() for name in names}
        left = [name for name in sorted(there) if name in known and name not in named.values()]
        self.notes = tuple(f"{self.folder / name} is left out; {named['val']}/ is val" for name in left)
        return named

    def _beside_classes(self):
        """Sentences about files that lie beside the class folders, in none of them."""
        for split in dict.fromkeys(self._split_folders.values()):
            folder = self.folder / split
            with os.scandir(folder) as entries:
                names = sorted(one.name for one in entries if one.is_file() and not one.name.startswith("."))
            names = [name for name in names if split or name != "classes.csv"]
            if names:
                yield f"{len(names):,} files of {folder} lie in no class folder and are left out ({shown(names)})"

    def _class_folders(self):
        """By split, the class folders in order, from what their names are compared by to their names on disk."""
        names = {}
        for split in SPLITS:
            folder = self.folder / self._split_folders[split]
            names[split] = class_folders(folder)
            if not names[split]:
                raise UserError(f"{folder} has no class folders; SOURCE needs {split}/CLASS/*.")
        for split, other in (SPLITS, SPLITS[::-1]):
            if missing := [names[split][key] for key in names[split] if key not in names[other]]:
                name = text_of(missing[0])
                here, there = self._split_folders[split], self._split_folders[other]
                raise UserError(f"the class {name} is in {here}/ but missing in {there}/ of {self.folder}.")
        for split in SPLITS:
            for name in names[split].values():
                folder = self.folder / self._split_folders[split] / name
                files = list(itertools.islice(files_below(folder), 2))
                if not files:
                    raise UserError(f"the class folder {folder} has no pictures.")
                if self._hold_out is not None and len(files) < 2:
                    raise UserError(f"the class folder {folder} has a single picture, so that none can be held out.")
        if len(names["train"]) < 2:
            name = text_of(*names["train"].values())
            raise UserError(f"{self.folder} has one class only ({name}); a classifier needs two or more.")
        return names


def _way_out(folder, there):
    """What to say where a folder has no splits: how its pictures can be read otherwise."""
    if (folder / "images.txt").is_file() and (folder / "train_test_split.txt").is_file():
        return f" This is CUB-200-2011 as downloaded: cub:{folder} reads it."
    if lists := sorted(one.name for one in folder.iterdir() if one.suffix.lower() == ".csv" and one.stem != "classes"):
        return f" It has {lists[0]}: if that names pictures and labels, {folder / lists[0]} is a SOURCE too."
    if there:
        return " --hold-out 0.1 holds a tenth of each class out where there are class folders alone."
    return ""


def class_folders(folder):
    """The folders in a folder, sorted: from what their names are compared by to their names on disk."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    found = {}
    for name in names:
        if name_key(name) in found:
            raise UserError(
                f"{folder} has two class folders whose names differ in Unicode composition only, both called "
                f"{text_of(name)}; put their pictures into one."
            )
        found[name_key(name)] = name
    return found


def changed_at(path):
    """When a file was last changed, content or entry, in seconds; `None` if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return max(status.st_mtime, status.st_ctime)


def human_names(path):
    """Names of class folders from a `classes.csv` (columns class,name); none where there is no such file."""
    if not path.is_file():
        return {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return {name_key(row["class"]): row["name"] for row in csv.DictReader(file) if row["class"] and row["name"]}
    except (KeyError, ValueError, csv.Error):
        raise UserError(f"{path} is no table with the columns class,name; correct it or remove it.") from None


def distinct_names(names, folders):
    """Adds the folder's name where two classes have one human name (ImageNet has two cranes)."""
    pairs = zip(names, folders, strict=True)
    return tuple(f"{name} ({text_of(folder)})" if names.count(name) > 1 else name for name, folder in pairs)


def check_map_name(name):
    """Refuses a name for a map that could not be part of a shard's name, or would hide a choice of `--maps`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) or name in SWAPS:
        raise UserError(
            f"a map's name has letters, digits, - and _, and is none of {', '.join(SWAPS)}; received {name!r}."
        )
