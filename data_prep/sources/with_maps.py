"""Maps that somebody else computed, beside pictures: `--maps NAME=PLACE` of `compact`, `beam` and `add_map`.

PLACE (a folder, tar, zip or HDF5 file; `saliency_keras.data.map_folder`) holds one map for each picture, brighter where
people look, of the same relative stem: the picture `train/cat/7.jpg` of an image folder has the map
`PLACE/train/cat/7.png` (or .npy, .tif, ...). A picture of another source has its id in place of `cat/7.jpg`.
PLACE may also have the tree of the pictures where that is another: `PLACE/valid/cat/7.png`, `PLACE/cat/7.png`.

The maps of a name are of the whole pictures, and go through the geometry of `saliency_keras.data.geometry` as pictures
do; or they are predicted on the pictures' squares (thesis, section 3.2.1), or on the pictures as they are stored, and
are kept as they are. Their size says which.
"""

import os
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np

from data_prep.sources.source import Picture, Source, UnusableMap, check_map_name
from saliency_keras.console import UserError
from saliency_keras.data.geometry import Framing
from saliency_keras.data.listing import shown, stem_key
from saliency_keras.data.map_folder import check_aspect, folders_of_models, map_files, one_map, same_aspect
from saliency_keras.data.pictures import UnreadablePicture

LOOKED_AT = 1000  # pictures that are decoded, at most, to find one that is not square
OF = {"picture": "the whole pictures", "square": "the pictures' central squares", "stored": "the pictures as stored"}


class NamedMaps:
    """The maps of one name: which file belongs to which picture, and what a map is of.

    Args:
        name: The map's name.
        place: Folder, tar, zip or HDF5 file.
        log: Whether these maps are log densities.
        framing: The `Framing` of the pictures.

    Attributes:
        made_of: `"picture"`, `"square"` or `"stored"`; `None` as long as nothing says which.

    Raises:
        UserError: If the name is none for a map, or there is no such set of maps.
    """

    def __init__(self, name, place, log=False, framing=None):
        check_map_name(name)
        self.name, self.place, self._log = name, Path(place), log
        framing = framing or Framing()
        # Where the square is stored as it is, a map is one of the square.
        self._kinds = {framing.stored: "stored"} | {framing.square: "square"}
        self._square = framing.square
        self.made_of = None
        if not self.place.is_dir():
            map_files(self.place)

    @property
    def note(self):
        """What the maps are of, a sentence without a full stop."""
        return f"the maps {self.name} are those of {OF[self.made_of or 'picture']}, as their size says"

    def find(self, split, trees, has_map=lambda index: True):
        """Finds the map of each picture of a split.

        Args:
            split: `"train"` or `"val"`.
            trees: From the folders inside the place where the maps may lie, `""` for itself, to the pictures' paths
                below that folder, in the order of the pictures. The first is the one that sentences name.
            has_map: Whether a map is to be there for the picture of that number; asked where there is none.

        Returns:
            A list of `MapFile`, `None` for a picture without one.

        Raises:
            UserError: If maps are missing, or two pictures or two files have one stem.
        """
        best = 0, {}, "", []
        for folder, paths in trees.items():
            listed, keys = map_files(self.place, folder), [stem_key(path) for path in paths]
            hits = len(listed.keys() & set(keys))
            if hits or not best[3]:
                best = hits, listed, folder, keys
            if hits:
                break
        hits, listed, folder, keys = best
        check_stems(keys, trees[folder], split)
        missing = [index for index, key in enumerate(keys) if key not in listed]
        if (first := next(filter(has_map, missing), None)) is not None:
            path = trees[folder][first]
            others = sorted(listed.keys() - set(keys)) if hits else sorted(map_files(self.place))
            wanted = {*keys, *(f"{folder}/{key}" for key in keys)}
            models = folders_of_models(self.place, others, wanted)
            there = f" It has {len(others):,} maps with other names ({shown(others)}){models}." if others else ""
            raise UserError(
                f"{self.place} lacks the maps of {len(missing):,} of {len(keys):,} {split} pictures, the first is that "
                f"of {path}: {self.place / folder / os.path.splitext(path)[0]}.png."
                f"{there if hits or others else ' It has no files.'}"
            )
        return [one_map(listed[key], self.place) if key in listed else None for key in keys]

    def find_what_they_are_of(self, maps):
        """Decides what the maps are of, unless that is decided: by the first picture that is not square.

        Where all pictures are square, a map that has not its picture's size, but exactly that of the square or of the
        stored picture, decides; where their sizes are not known, the first map that is not square.

        Args:
            maps: Iterable of a `MapFile` and its picture's `(height, width)`, or `None` where that is not known.
        """
        if self.made_of is not None:
            return
        kinds = []
        for file, size in maps:
            square = size is None or same_aspect((self._square, self._square), size[::-1])
            if size is not None and square and any(kinds):
                continue  # only a picture that is not square could still decide otherwise
            try:
                shape = file.read(self._log).shape
            except UserError:
                continue  # the worker that reads it says what is wrong with it
            kind = self._kinds.get(shape[0]) if shape[0] == shape[1] else None
            if not square or shape[0] != shape[1]:
                kinds = [kind]
                break
            kinds.append(kind if shape != size else None)
        if kinds:
            self.made_of = next(filter(None, kinds), "picture")

    def read(self, file, size):
        """Reads a map and checks that it is one of its picture.

        Args:
            file: The `MapFile`.
            size: `(height, width)` of the picture, or `None` where it is not known.

        Returns:
            float32 `(height, width)` of the picture's size (of the file's, where the picture's is not known), or the
            map of the square as it is.

        Raises:
            UnusableMap: If it is no map, or has another size than fits.
        """
        from PIL import Image

        try:
            levels = file.read(self._log).astype(np.float32)
            rows, columns = levels.shape
            if self.made_of not in (None, "picture"):
                if rows != columns or self._kinds.get(rows) != self.made_of:
                    side = next(side for side, kind in self._kinds.items() if kind == self.made_of)
                    raise UserError(
                        f"{file} is {columns}x{rows}; the other maps are those of {OF[self.made_of]}, {side}x{side}, "
                        "and all maps of a name are alike."
                    )
                return levels
            if size is None:
                return levels
            sides = " or ".join(f"{side}x{side}" for side in self._kinds)
            squares = f"maps are those of the whole pictures or of their squares, {sides} (data_prep.export_squares)"
            check_aspect(levels.shape, size[::-1], str(file), squares)
        except UserError as error:
            raise UnusableMap(str(error)) from None
        if levels.shape == tuple(size):
            return levels
        return np.asarray(Image.fromarray(levels).resize(size[::-1], Image.Resampling.BILINEAR))


class PlaceWithMaps(NamedTuple):
    """Where a picture and its maps are: the source's own `Picture`, and a `MapFile` or `None` for each map."""

    picture: Picture
    maps: tuple

    def __str__(self):
        return str(self.picture.place)


class SourceWithMaps(Source):
    """A source whose pictures have maps from elsewhere.

    Args:
        source: The source of the pictures.
        folders: From a map's name to its folder, tar, zip or HDF5 file.
        log: Whether these maps are log densities.
        framing: The `Framing` of the pictures, `None` for the default one.

    Raises:
        UserError: If a name is none for a map, the source has a map of that name, or there is no such set of maps.
    """

    def __init__(self, source, folders, log=False, framing=None):
        self._source = source
        self._maps = {name: NamedMaps(name, folder, log, framing) for name, folder in folders.items()}
        for name, one in self._maps.items():
            if name in source.own_maps:
                raise UserError(
                    f"the pictures have a map {name} of their own; give the maps of {one.place} another name."
                )
        self.classes = source.classes
        self.own_maps = (*self._maps, *source.own_maps)
        names = {name: one.place.resolve().name for name, one in self._maps.items()}
        self.description = {**source.description, "maps": names}
        if log:
            self.description["log_densities"] = True

    @property
    def upright(self):
        """Whether the pictures are turned as their orientation tags say."""
        return self._source.upright

    @property
    def maps_notes(self):
        """What the maps are of, a sentence each."""
        return tuple(one.note for one in self._maps.values())

    def pictures(self, split):
        """The source's pictures with the places of their maps.

        Raises:
            UserError: If a picture that can be read has no map, or two have the same one.
        """
        pictures = self._source.pictures(split)
        ids = [picture.id for picture in pictures]
        trees = {split: ids, self._source.folder_of(split): ids}
        paths = [self._source.path_of(picture) for picture in pictures]
        if "" not in trees and None not in paths:
            trees[""] = paths
        found = []
        for one in self._maps.values():
            # What computed the maps had to leave out a picture that cannot be read; compaction leaves it out too.
            files = one.find(split, trees, lambda index: self._size_of(pictures[index]) is not None)
            looked_at = zip(files[:LOOKED_AT], pictures, strict=False)
            sizes = ((file, self._size_of(picture)) for file, picture in looked_at if file is not None)
            one.find_what_they_are_of((file, size) for file, size in sizes if size is not None)
            found.append(files)
        rows = zip(pictures, *found, strict=True)
        return [picture._replace(place=PlaceWithMaps(picture, tuple(maps))) for picture, *maps in rows]

    def identity(self, picture):
        """The picture's and a checksum of its maps, so that other maps make another data set."""
        inner, files = picture.place
        content = google_crc32c.Checksum()
        for file in files:
            content.update(file.content() if file else b"")
        return [*self._source.identity(inner), content.hexdigest().decode()]

    def content(self, picture):
        """The bytes of the picture's file."""
        return self._source.content(picture.place.picture)

    @property
    def one_by_one(self):
        """Whether one picture can be read without reading others."""
        return self._source.one_by_one

    def contents(self, pictures):
        """Yields number and bytes of some pictures, as their source does."""
        return self._source.contents([picture.place.picture for picture in pictures])

    def changed(self, picture):
        """When the picture's file was last changed; other maps make another data set by `identity`."""
        return self._source.changed(picture.place.picture)

    def read(self, picture, content=None):
        """Decodes one picture and its maps.

        Args:
            picture: The `Picture`.
            content: As for every source.

        Returns:
            The pixels, and a dict of float32 maps: `(height, width)` of the picture's size, or those of its square as
            they are.

        Raises:
            UnreadablePicture: If the picture is none.
            UnusableMap: If a map is not grey, not readable, or has another aspect than the picture.
        """
        inner, files = picture.place
        pixels, own_maps = self._source.read(inner, content)
        for one, file in zip(self._maps.values(), files, strict=True):
            own_maps = {**own_maps, one.name: one.read(file, pixels.shape[:2])}
        return pixels, own_maps

    def made_of(self, name):
        """What the maps from elsewhere are of; of the others, what their source says."""
        if name in self._maps:
            return self._maps[name].made_of or "picture"
        return self._source.made_of(name)

    def boxes(self, picture):
        """The boxes that the source of the pictures has."""
        return self._source.boxes(picture.place.picture)

    def _size_of(self, picture):
        """`(height, width)` of a picture; `None` if it cannot be read."""
        try:
            return self._source.read(picture)[0].shape[:2]
        except UnreadablePicture:
            return None


def check_stems(stems, paths, split):
    """Two pictures of one stem would share one map."""
    found = {}
    for stem, path in zip(stems, paths, strict=True):
        if stem in found:
            raise UserError(f"the {split} pictures {found[stem]} and {path} would have one map; rename one of them.")
        found[stem] = path
