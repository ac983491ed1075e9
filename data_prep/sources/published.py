"""Published sets of pictures, read as they are downloaded and unpacked, with their own splits and object boxes.

    cub:DIR            CUB-200-2011 (Wah et al. 2011): images.txt, image_class_labels.txt, train_test_split.txt,
                       classes.txt, bounding_boxes.txt, images/
    flowers102:DIR     Oxford Flowers-102 (Nilsback & Zisserman 2008): imagelabels.mat, setid.mat, jpg/
    cars:DIR           Stanford Cars (Krause et al. 2013): devkit/ with cars_meta.mat and cars_train_annos.mat,
                       cars_test_annos_withlabels.mat there or in DIR, cars_train/, cars_test/
    dogs:DIR           Stanford Dogs (Khosla et al. 2011): train_list.mat, test_list.mat (or in lists/), Images/,
                       Annotation/
    aircraft:DIR       FGVC-Aircraft (Maji et al. 2013): images_variant_*.txt, images_box.txt, images/, perhaps in data/
    tiny-imagenet:DIR  Tiny-ImageNet: wnids.txt, words.txt, train/, val/val_annotations.txt

The set's training pictures are learned from, and its test pictures are `val`, as for `tfds:`; pictures that its authors
set apart for validation besides are left out, and counted. (Tiny-ImageNet publishes no labels of its test pictures: its
`val` is `val`.) A picture's id is its path.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from data_prep.sources.listed import ListedSource
from data_prep.sources.source import changed_at
from saliency_keras.console import UserError
from saliency_keras.data import matlab

NUMBER = r"\s*(-?[\d.]+)\s*"


class Row(NamedTuple):
    """One picture of a published set.

    Attributes:
        split: `"train"`, `"val"`, or what else its authors call it.
        label: Its class.
        path: Path below the set's folder.
        boxes: `(left, top, right, bottom)` of its objects, in pixels from the picture's left and top edge.
    """

    split: str
    label: str
    path: str
    boxes: tuple = ()


class PlaceWithBoxes(NamedTuple):
    """Where a picture is, and the boxes of its objects in pixels."""

    path: str
    boxes: tuple

    def __str__(self):
        return self.path


class PublishedSource(ListedSource):
    """The pictures of a published set.

    Args:
        kind: Name of the set, a key of `SETS`.
        folder: Where it was unpacked.
    """

    def __init__(self, kind, folder):
        self.folder, self.where = Path(os.path.abspath(folder)), f"{kind}:{folder}"
        if not self.folder.is_dir():
            raise UserError(f"there is no folder {folder}; SOURCE is {kind}:DIR, DIR being where the set was unpacked.")
        self._kind = kind
        self._rows, names = SETS[kind](self.folder)
        self._boxes = {row.path: row.boxes for row in self._rows}
        self._read(classes=names or None)
        self.description = {"kind": kind, "name": self.folder.resolve().name, "class_folders": self._names}

    def rows(self):
        """Yields `(split, class, path, None)` of each picture."""
        if self._rows is None:
            self._rows, _ = SETS[self._kind](self.folder)
            self._boxes = {row.path: row.boxes for row in self._rows}
        for row in self._rows:
            yield row.split, row.label, row.path, None

    def _picture(self, of_class, path, box):
        picture = super()._picture(of_class, path, box)
        return picture._replace(place=PlaceWithBoxes(path, self._boxes[path]))

    def path_of(self, picture):
        """The path of its place."""
        return picture.place.path

    def content(self, picture):
        """The bytes of a picture's file; `UnreadablePicture` where there is none."""
        from saliency_keras.data.pictures import content_of

        return content_of(self.folder / picture.place.path)

    def changed(self, picture):
        """The later time of the file's content and of its entry."""
        return changed_at(self.folder / picture.place.path)

    def boxes(self, picture):
        """The boxes of the picture's objects, as shares of its width and height."""
        from saliency_keras.data.pictures import picture_header

        if not picture.place.boxes:
            return ()
        (width, height), _ = picture_header(self.folder / picture.place.path)
        sides = width, height, width, height
        return [
            tuple(min(max(edge / side, 0.0), 1.0) for edge, side in zip(box, sides, strict=True))
            for box in picture.place.boxes
        ]

    def __getstate__(self):
        # Workers read by place; a cluster's lists the set again.
        return {**self.__dict__, "_rows": None, "_boxes": None}


def cub(folder):
    """Rows and classes of CUB-200-2011."""
    paths = dict(_lines(folder / "images.txt", 2))
    labels = dict(_lines(folder / "image_class_labels.txt", 2))
    trained = dict(_lines(folder / "train_test_split.txt", 2))
    names = dict(_lines(folder / "classes.txt", 2))
    boxes = {}
    if (folder / "bounding_boxes.txt").is_file():
        for identifier, *numbers in _lines(folder / "bounding_boxes.txt", 5):
            x, y, width, height = map(float, numbers)
            boxes[identifier] = ((x, y, x + width, y + height),)
    names = {number: name.partition(".")[2].replace("_", " ") or name for number, name in names.items()}
    rows = []
    for number, path in paths.items():
        if number not in labels or number not in trained or labels[number] not in names:
            raise UserError(f"{folder}: picture {number} of images.txt has no label or no split.")
        split = "train" if trained[number] == "1" else "val"
        rows.append(Row(split, names[labels[number]], f"images/{path}", boxes.get(number, ())))
    return rows, _distinct(list(names.values()), folder / "classes.txt")


def flowers102(folder):
    """Rows of Flowers-102; its classes have numbers only."""
    labels = _numbers(folder / "imagelabels.mat", "labels")
    rows = []
    for split, name in (("train", "trnid"), ("validation", "valid"), ("val", "tstid")):
        for number in _numbers(folder / "setid.mat", name):
            if not 1 <= number <= len(labels):
                raise UserError(f"{folder / 'setid.mat'} names picture {number}, imagelabels.mat has {len(labels):,}.")
            rows.append(Row(_apart(split), str(labels[number - 1]), f"jpg/image_{number:05d}.jpg"))
    return rows, None


def cars(folder):
    """Rows and classes of Stanford Cars."""
    meta = _of_matlab(matlab.read_array, folder / "devkit" / "cars_meta.mat", "class_names")
    names = [str(one.item()) for one in meta.ravel()]
    rows = []
    for split, name in (("train", "cars_train_annos.mat"), ("val", "cars_test_annos_withlabels.mat")):
        path = folder / name if (folder / name).is_file() else folder / "devkit" / name
        for one in _of_matlab(matlab.read_structs, path, "annotations"):
            try:
                label, file = int(one["class"]), os.path.basename(one["fname"])
                left, top, right, bottom = (float(one[f"bbox_{side}"]) for side in ("x1", "y1", "x2", "y2"))
            except (KeyError, TypeError) as error:
                raise UserError(f"{path} is not what Stanford Cars publishes: {error}.") from None
            if not 1 <= label <= len(names):
                raise UserError(f"{path} has the class {label}, cars_meta.mat has {len(names)}.")
            place = f"cars_{'train' if split == 'train' else 'test'}/{file}"
            rows.append(Row(split, names[label - 1], place, ((left - 1, top - 1, right, bottom),)))
    return rows, _distinct(names, folder / "devkit" / "cars_meta.mat")


def dogs(folder):
    """Rows of Stanford Dogs."""
    rows = []
    for split, name in (("train", "train_list.mat"), ("val", "test_list.mat")):
        path = folder / "lists" / name if (folder / "lists" / name).is_file() else folder / name
        for one in _of_matlab(matlab.read_array, path, "file_list").ravel():
            file = str(one.item())
            breed = file.partition("/")[0].partition("-")[2].replace("_", " ") or file.partition("/")[0]
            annotation = folder / "Annotation" / Path(file).with_suffix("")
            rows.append(Row(split, breed, f"Images/{file}", _voc_boxes(annotation)))
    return rows, None


def aircraft(folder):
    """Rows and classes of FGVC-Aircraft, by variant."""
    below = "data/" if (folder / "data" / "images").is_dir() else ""
    boxes = {}
    if (folder / below / "images_box.txt").is_file():
        for identifier, *numbers in _lines(folder / below / "images_box.txt", 5):
            left, top, right, bottom = map(float, numbers)
            boxes[identifier] = ((left - 1, top - 1, right, bottom),)
    rows = []
    for split, name in (("train", "train"), ("validation", "val"), ("val", "test")):
        path = folder / below / f"images_variant_{name}.txt"
        if split == "validation" and not path.is_file():
            continue
        for identifier, variant in _lines(path, 2):
            place = f"{below}images/{identifier}.jpg"
            rows.append(Row(_apart(split), variant, place, boxes.get(identifier, ())))
    return rows, None


def tiny_imagenet(folder):
    """Rows of Tiny-ImageNet; a class is called by the first of its words."""
    wnids = [line[0] for line in _lines(folder / "wnids.txt", 1)]
    words = {}
    for line in _text(folder / "words.txt").splitlines() if (folder / "words.txt").is_file() else ():
        wnid, _, all_words = line.partition("\t")
        words[wnid] = all_words.partition(",")[0].strip()
    counts = [words.get(wnid, wnid) for wnid in wnids]
    names = {
        wnid: f"{name} ({wnid})" if counts.count(name) > 1 else name for wnid, name in zip(wnids, counts, strict=True)
    }
    rows = []
    for wnid, name in names.items():
        for file, *numbers in _lines(folder / "train" / wnid / f"{wnid}_boxes.txt", 5):
            rows.append(Row("train", name, f"train/{wnid}/images/{file}", (_to_edges(numbers),)))
    for file, wnid, *numbers in _lines(folder / "val" / "val_annotations.txt", 6):
        if wnid not in names:
            raise UserError(f"{folder / 'val' / 'val_annotations.txt'} has the class {wnid}, which wnids.txt does not.")
        rows.append(Row("val", names[wnid], f"val/images/{file}", (_to_edges(numbers),)))
    return rows, list(names.values())


SETS = {
    "cub": cub,
    "flowers102": flowers102,
    "cars": cars,
    "dogs": dogs,
    "aircraft": aircraft,
    "tiny-imagenet": tiny_imagenet,
}


def _apart(split):
    """A split's name; `validation` is called otherwise, so that it is not taken for `val`."""
    return "set apart for validation" if split == "validation" else split


def _to_edges(numbers):
    """A box of first and last pixels, from 0, as one of edges."""
    left, top, right, bottom = map(float, numbers)
    return left, top, right + 1, bottom + 1


def _text(path):
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"there is no {path}; DIR is where the set was unpacked, all files as they are.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from None


def _lines(path, fields):
    """The fields of each line, separated by spaces or tabs; the last one of two may have spaces in it."""
    found = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        parts = line.split(maxsplit=1) if fields == 2 else line.split()
        if len(parts) != fields:
            raise UserError(f"{path}, line {number} has {len(parts)} fields, not {fields}.")
        found.append([one.strip() for one in parts])
    return found


def _of_matlab(reader, path, name):
    """What a reader of `matlab` makes of a variable in a file."""
    try:
        return reader(path.read_bytes(), name)
    except FileNotFoundError:
        raise UserError(f"there is no {path}; DIR is where the set was unpacked, all files as they are.") from None
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def _numbers(path, name):
    return [int(one) for one in _of_matlab(matlab.read_array, path, name).ravel()]


def _voc_boxes(path):
    """The boxes of an annotation as PASCAL VOC has it, first and last pixels from 0; none where there is no file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    sides = "".join(rf"\s*<{side}>{NUMBER}</{side}>" for side in ("xmin", "ymin", "xmax", "ymax"))
    return tuple(tuple(map(float, one.groups())) for one in re.finditer(sides, text))


def _distinct(names, path):
    if len(set(names)) < len(names):
        name = next(one for one in names if names.count(one) > 1)
        raise UserError(f"{path} has the class {name} twice.")
    return names
