"""A zip or tar of class folders as a source: `compact PHOTOS.zip`, read where it lies.

It has what an image folder has, `train/CLASS/*` and `val/CLASS/*`, perhaps below one folder that holds all; with
`--hold-out` class folders alone will do. Ids are those of an image folder.
"""

from pathlib import Path

from data_prep.sources.listed import ListedSource
from data_prep.sources.source import Picture, changed_at
from data_prep.sources.splits import NAMES, named_split
from saliency_keras.console import UserError
from saliency_keras.data.archive import members_of, without_top
from saliency_keras.data.listing import shown


class ArchiveSource(ListedSource):
    """The pictures of an archive; `place` is the archive's `Member`."""

    def __init__(self, path, hold_out=None):
        self.path = Path(path).absolute()
        self.folder, self.where = self.path.parent, str(path)
        members = members_of(self.path)
        top = without_top([one.name for one in members])
        if named_split([top.rstrip("/")], "train"):
            top = ""  # the only folder is train/ itself
        self._members = members
        self._cut = top
        self._read(classes=self._class_names(hold_out), hold_out=hold_out)
        if self._beside:
            left = f"{len(self._beside):,} files of {self.where} lie in no class folder and are left out"
            self.notes += (f"{left} ({shown(self._beside)})",)
        self.description = {"kind": "archive", "name": self.path.stem, "class_folders": self._names}
        if hold_out is not None:
            self.description["held_out"] = hold_out

    def rows(self):
        """Yields `(split, class, member, None)` of each file of a class folder."""
        self._beside = []
        splits = {name for names in NAMES.values() for name in names}
        for member in self._members or members_of(self.path):
            split, _, below = member.name.removeprefix("./").removeprefix(self._cut).partition("/")
            if split.lower() not in splits:
                split, below = "", member.name.removeprefix("./").removeprefix(self._cut)
            name, _, file = below.partition("/")
            if file:
                yield split, name, member, None
            elif split:
                self._beside.append(member.name)

    def _class_names(self, hold_out):
        names = {}
        for split, name, *_ in self.rows():
            names.setdefault(split, set()).add(name)
        if not names:
            raise UserError(f"{self.where} has no class folders; SOURCE needs train/CLASS/* and val/CLASS/*.")
        wanted = [named_split(names, split) for split in NAMES] if hold_out is None else [named_split(names, "train")]
        chosen = [names[split] for split in wanted if split is not None] or list(names.values())
        return sorted(set().union(*chosen))

    def _picture(self, of_class, path, box):
        below = path.name.removeprefix("./").removeprefix(self._cut)
        return Picture(below[below.index(f"{of_class}/") :], self._labels[of_class], path, path.bytes, box)

    def folder_of(self, split):
        """What the archive calls a split."""
        return self._splits[split]

    def path_of(self, picture):
        """None: an archive is no folder."""
        return None

    def content(self, picture):
        """The bytes of a picture in the archive."""
        return picture.place.read()

    def changed(self, picture):
        """When the archive was last changed."""
        return changed_at(picture.place.archive)

    def __getstate__(self):
        return {**self.__dict__, "_members": None}  # workers read by place; a cluster's lists the archive again
