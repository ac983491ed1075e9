"""ILSVRC2012 as it is published: the two tars, unpacked in part or in full, and the devkit's validation labels.

    ILSVRC2012_img_train.tar            a tar of 1,000 tars, one a class; or train/ with those tars, or with folders
    ILSVRC2012_img_val.tar              50,000 JPEGs; or val/ with the JPEGs, or with one folder a class
    ILSVRC2012_devkit_t12.tar.gz        validation labels and class names; or the folder it unpacks to

Or as Kaggle gives it: ILSVRC/Data/CLS-LOC/ with train/ and val/, LOC_val_solution.csv (validation labels) and
LOC_synset_mapping.txt (class names); DIR is the folder of all that, or CLS-LOC.

Pictures are read from inside the tars: nothing is ever unpacked. A class is called by the first of its words in the
devkit, or by its wnid (`n01440764`) where there is no devkit and no `classes.csv`.
"""

import csv
import os
import re
import tarfile
from pathlib import Path

from data_prep.sources.source import Picture, Source, changed_at, distinct_names, human_names
from saliency_keras.console import UserError, progress
from saliency_keras.data import matlab
from saliency_keras.data.archive import tar_members
from saliency_keras.data.listing import files_below, text_of

DEVKIT = "ILSVRC2012_devkit_t12"
WNID = re.compile(r"n\d{8}")
VALIDATION = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")
KAGGLE = Path("ILSVRC", "Data", "CLS-LOC")
TARS = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}


class ImagenetSource(Source):
    """The pictures of a folder with ILSVRC2012; ids are `wnid/file name`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(f"there is no folder {folder}; SOURCE is imagenet:DIR, DIR having the ILSVRC2012 tars.")
        self._beside = [self.folder]  # where labels and class names may be
        if (self.folder / KAGGLE).is_dir():
            self.folder = self.folder / KAGGLE
        elif self.folder.resolve().parts[-3:] == KAGGLE.parts:
            self._beside.append(self.folder.resolve().parents[2])
        self._layout = {split: self._find(split) for split in ("train", "val")}
        self._wnids = self._class_wnids()
        if len(self._wnids) < 2:
            raise UserError(f"{self.folder} has {len(self._wnids)} class(es); a classifier needs two or more.")
        words = {row["WNID"]: row["words"].split(",")[0] for row in self._devkit_classes()}
        words |= self._kaggle_words()
        words |= human_names(self.folder / "classes.csv")
        self.classes = distinct_names([words.get(wnid, wnid) for wnid in self._wnids], self._wnids)
        self.description = {"kind": "imagenet", "name": "ILSVRC2012", "class_folders": self._wnids}

    def pictures(self, split):
        """Every picture of a split; tars are listed without reading what is in them."""
        labels = {wnid: label for label, wnid in enumerate(self._wnids)}
        found = []
        for wnid, name, place, size in progress(self._listed(split), label=f"listing {split}"):
            if wnid not in labels:
                raise UserError(f"the class {wnid} is in val but missing in train of {self.folder}.")
            found.append(Picture(f"{wnid}/{text_of(name)}", labels[wnid], place, size))
        if missing := set(labels.values()) - {picture.label for picture in found}:
            wnid = self._wnids[min(missing)]
            raise UserError(f"the class {wnid} has no {split} pictures in {self.folder}.")
        return found

    def content(self, picture):
        """The bytes of one picture; `UnreadablePicture` where there are none."""
        from saliency_keras.data.pictures import content_of

        path, offset = picture.place
        if offset is None:
            return content_of(self.folder / path)
        with open(self.folder / path, "rb") as file:
            file.seek(offset)
            return file.read(picture.bytes)

    def path_of(self, picture):
        """Its path below the folder; of one in a tar, what it would be if the tars were unpacked."""
        path, offset = picture.place
        name = os.path.basename(picture.id)
        if offset is None:
            return text_of(path)
        return f"val/{name}" if VALIDATION.fullmatch(name) else f"train/{picture.id}"

    def changed(self, picture):
        """When the picture's file, or the tar that it lies in, was last changed."""
        return changed_at(self.folder / picture.place[0])

    def _find(self, split):
        """The tar of a split, else its folder; a sentence that says where to put what is missing."""
        for name in (TARS[split], split):
            if (self.folder / name).exists():
                return name
        raise UserError(
            f"{self.folder} has no {split} pictures: put {TARS[split]} of ILSVRC2012 (image-net.org) there, "
            f"or unpack it to {self.folder / split}."
        )

    def _class_wnids(self):
        """The wnids of the train split, sorted."""
        place = self.folder / self._layout["train"]
        names = map(_wnid, tar_members(place)) if place.is_file() else os.listdir(place)
        return sorted({name.removesuffix(".tar") for name in names if WNID.fullmatch(name.removesuffix(".tar"))})

    def _listed(self, split):
        """Yields `(wnid, file name, place, bytes)` of each picture, `place` being path and offset in a tar, or None."""
        layout = self._layout[split]
        place = self.folder / layout
        if split == "val":
            yield from self._listed_validation(layout)
        elif place.is_file():
            for tar in tar_members(place):
                yield from _listed_tar(place, layout, _wnid(tar), tar.offset_data, tar.size)
        else:
            for wnid in self._wnids:
                if (place / wnid).is_dir():
                    for name, size in files_below(place / wnid):
                        yield wnid, name, (os.path.join(layout, wnid, name), None), size
                else:
                    yield from _listed_tar(place / f"{wnid}.tar", os.path.join(layout, f"{wnid}.tar"), wnid)

    def _listed_validation(self, layout):
        place = self.folder / layout
        if place.is_file():
            flat = [(Path(one.name).name, (layout, one.offset_data), one.size) for one in tar_members(place)]
        else:
            folders = sorted(name for name in os.listdir(place) if WNID.fullmatch(name) and (place / name).is_dir())
            for wnid in folders:
                for name, size in files_below(place / wnid):
                    yield wnid, name, (os.path.join(layout, wnid, name), None), size
            flat = [
                (name, (os.path.join(layout, name), None), size)
                for name, size in files_below(place)
                if os.sep not in name
            ]
            flat = [one for one in flat if VALIDATION.fullmatch(one[0])]
        if flat:
            wnids = self._validation_wnids()
        for name, where, size in flat:
            matched = VALIDATION.fullmatch(name)
            if not matched or not 1 <= int(matched[1]) <= len(wnids):
                raise UserError(f"{place} has {name!r}, which the devkit's validation labels do not know.")
            yield wnids[int(matched[1]) - 1], name, where, size

    def _validation_wnids(self):
        """The wnid of each validation picture, in the order of their numbers, from Kaggle's table or the devkit."""
        if (solution := self._kaggle_file("LOC_val_solution.csv")) is not None:
            return _solution(solution)
        classes = {row["ILSVRC2012_ID"]: row["WNID"] for row in self._devkit_classes()}
        truth = self._devkit_file("ILSVRC2012_validation_ground_truth.txt")
        if not classes or truth is None:
            raise UserError(
                f"the validation pictures' labels are missing: put {DEVKIT}.tar.gz (image-net.org), or Kaggle's "
                f"LOC_val_solution.csv, into {self._beside[-1]}, or sort the pictures into one folder a class, "
                "val/n01440764/ and so on."
            )
        try:
            return [classes[int(line)] for line in truth.decode("ascii").split()]
        except (KeyError, ValueError) as error:
            raise UserError(f"the devkit's validation labels do not fit its meta.mat: {error}.") from None

    def _kaggle_file(self, name):
        return next((folder / name for folder in self._beside if (folder / name).is_file()), None)

    def _kaggle_words(self):
        """The first of the words of each class, from Kaggle's list."""
        path = self._kaggle_file("LOC_synset_mapping.txt")
        lines = path.read_text(encoding="utf-8").splitlines() if path else ()
        pairs = (line.partition(" ") for line in lines if line.strip())
        return {wnid: words.partition(",")[0].strip() or wnid for wnid, _, words in pairs}

    def _devkit_classes(self):
        """The rows of the devkit's meta.mat, or none where there is no devkit."""
        content = self._devkit_file("meta.mat")
        try:
            return matlab.read_structs(content, "synsets") if content is not None else []
        except ValueError as error:
            raise UserError(f"meta.mat of the devkit in {self.folder} cannot be read: {error}.") from None

    def _devkit_file(self, name):
        for folder in (self.folder / DEVKIT / "data", self.folder):
            if (folder / name).is_file():
                return (folder / name).read_bytes()
        path = self.folder / f"{DEVKIT}.tar.gz"
        if not path.is_file():
            return None
        try:
            with tarfile.open(path) as tar:
                return tar.extractfile(f"{DEVKIT}/data/{name}").read()
        except (tarfile.TarError, KeyError, EOFError, OSError, AttributeError) as error:
            reason = str(error).splitlines()[0].rstrip(":")  # tarfile tells of every kind of compression it tried
            raise UserError(f"{path} is damaged or no devkit: {reason}.") from None


def _solution(path):
    """The wnid of each validation picture, in the order of their numbers, from Kaggle's LOC_val_solution.csv."""
    found = {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            name, said = row.get("ImageId") or "", (row.get("PredictionString") or "").split()
            matched = VALIDATION.fullmatch(f"{name}.JPEG")
            if not matched or not said or not WNID.fullmatch(said[0]):
                raise UserError(f"{path} is not Kaggle's table of ImageId and PredictionString: it has {name!r}.")
            found[int(matched[1])] = said[0]
    if sorted(found) != list(range(1, len(found) + 1)):
        raise UserError(f"{path} lacks pictures: it has {len(found):,}, the last is number {max(found, default=0):,}.")
    return [found[number] for number in sorted(found)]


def _wnid(member):
    """The wnid of a class's tar in the tar of tars; whatever path it is stored under is of no account."""
    return Path(member.name).name.removesuffix(".tar")


def _listed_tar(path, relative, wnid, offset=0, size=None):
    for member in tar_members(path, offset, size):
        yield wnid, Path(member.name).name, (relative, member.offset_data), member.size
