"""Maps that somebody else computed, beside the pictures of any source: `compact --maps NAME=PLACE`.

PLACE (a folder, tar, zip or HDF5 file; `saliency_keras.data.map_folder`) holds one map for each picture, brighter where
people look, of the same relative stem: the picture `train/cat/7.jpg` of an image folder has the map
`PLACE/train/cat/7.png` (or .npy, .tif, ...). A picture of another source has its id in place of `cat/7.jpg`.
PLACE may also have the tree of the pictures where that is another: `PLACE/valid/cat/7.png`, `PLACE/cat/7.png`. Maps go
through the geometry of `saliency_keras.data.geometry` as pictures do. Maps that are predicted on the pictures' squares
(thesis, section 3.2.1) are known by their size where pictures are not square,
and are stored as they are.
"""

import os
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np

from data_prep.sources.source import Picture, Source, UnusableMap, check_map_name
from saliency_keras.console import UserError
from saliency_keras.data.geometry import Framing
from saliency_keras.data.listing import stem_key
from saliency_keras.data.map_folder import check_aspect, map_files, one_map, same_aspect
from saliency_keras.data.pictures import UnreadablePicture

LOOKED_AT = 1000  # pictures that are decoded, at most, to find one that is not square


class PlaceWithMaps(NamedTuple):
    """Where a picture and its maps are: the source's own `Picture`, and a `MapFile` or `None` for each map."""

    picture: Picture
    maps: tuple

    def __str__(self):
        return str(self.picture.place)


class SourceWithMaps(Source):
    """A source whose pictures have maps in folders.

    Args:
        source: The source of the pictures.
        folders: From a map's name to its folder, tar, zip or HDF5 file.
        log: Whether these maps are log densities.
        sides: Sides in pixels that a map of a picture's square may have.

    Raises:
        UserError: If a name is none for a map, the source has a map of that name, or there is no such set of maps.
    """

    def __init__(self, source, folders, log=False, sides=(Framing.square,)):
        self._source = source
        self._folders = {name: Path(folder) for name, folder in folders.items()}
        self._log, self._sides = log, sides
        self._of_square = {}
        for name, folder in self._folders.items():
            check_map_name(name)
            if name in source.own_maps:
                raise UserError(f"the pictures have a map {name} of their own; give the maps of {folder} another name.")
            if not folder.is_dir():
                map_files(folder)
        self.classes = source.classes
        self.own_maps = (*self._folders, *source.own_maps)
        names = {name: folder.resolve().name for name, folder in self._folders.items()}
        self.description = {**source.description, "maps": names}
        if log:
            self.description["log_densities"] = True

    @property
    def upright(self):
        """Whether the pictures are turned as their orientation tags say."""
        return self._source.upright

    def pictures(self, split):
        """The source's pictures with the places of their maps.

        Raises:
            UserError: If a picture that can be read has no map, or two have the same one.
        """
        pictures = self._source.pictures(split)
        stems = [stem_key(picture.id) for picture in pictures]
        _check_stems(stems, pictures, split)
        found = [self._maps_of(name, split, stems, pictures) for name in self._folders]
        self._find_squares(pictures, found)
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
        for name, file in zip(self._folders, files, strict=True):
            own_maps = {**own_maps, name: self._map_of(name, file, *pixels.shape[:2])}
        return pixels, own_maps

    def made_of(self, name):
        """The maps of the folders are of whole pictures or of their squares; the others are what their source says."""
        if name in self._folders:
            return "square" if self._of_square.get(name) else "picture"
        return self._source.made_of(name)

    def boxes(self, picture):
        """The boxes that the source of the pictures has."""
        return self._source.boxes(picture.place.picture)

    def _maps_of(self, name, split, stems, pictures):
        """The map of each picture in its folder; `None` for a picture without a map that cannot be read."""
        folder = self._folders[name]
        listed = map_files(folder, split)
        if not listed.keys() & set(stems) and (other := self._source.folder_of(split)) != split:
            listed = map_files(folder, other) or listed
        missing = [picture for stem, picture in zip(stems, pictures, strict=True) if stem not in listed]
        if any(self._readable(picture) for picture in missing):
            first = next(picture for picture in missing if self._readable(picture))
            others = len(listed.keys() - set(stems))
            there = f" It has {others:,} maps of no {split} picture." if others else ""
            raise UserError(
                f"{folder} lacks the maps of {len(missing):,} of {len(pictures):,} {split} pictures, the first is "
                f"that of {first.id}: {folder / split / os.path.splitext(first.id)[0]}.png.{there}"
            )
        return [one_map(listed[stem], folder) if stem in listed else None for stem in stems]

    def _find_squares(self, pictures, found):
        """Finds out which maps are those of the pictures' squares, from the first picture that is not square."""
        undecided = list(zip(self._folders, found, strict=True))
        undecided = [(name, maps) for name, maps in undecided if name not in self._of_square]
        if not undecided:
            return
        for index, picture in enumerate(pictures[:LOOKED_AT]):
            maps = [(name, maps[index]) for name, maps in undecided if maps[index]]
            try:
                height, width = self._source.read(picture)[0].shape[:2]
            except UnreadablePicture:
                continue
            if not maps or same_aspect((self._sides[0], self._sides[0]), (width, height)):
                continue
            for name, file in maps:
                try:
                    shape = file.read(self._log).shape
                except UserError:
                    shape = (0, 0)  # the worker that reads it says what is wrong with it
                self._of_square[name] = shape[0] == shape[1] and shape[0] in self._sides
            break

    def _map_of(self, name, file, height, width):
        """A map at its picture's size, or that of its square as it is."""
        from PIL import Image

        try:
            levels = file.read(self._log).astype(np.float32)
            if self._of_square.get(name):
                if levels.shape[0] != levels.shape[1] or levels.shape[0] not in self._sides:
                    raise UserError(
                        f"{file} is {levels.shape[1]}x{levels.shape[0]}; the other maps are those of the pictures' "
                        f"squares, {' or '.join(f'{side}x{side}' for side in self._sides)}."
                    )
                return levels
            check_aspect(levels.shape, (width, height), str(file))
        except UserError as error:
            raise UnusableMap(str(error)) from None
        if levels.shape == (height, width):
            return levels
        return np.asarray(Image.fromarray(levels).resize((width, height), Image.Resampling.BILINEAR))

    def _readable(self, picture):
        # What computed the maps had to leave out a picture that cannot be read; compaction leaves it out too.
        try:
            self._source.read(picture)
        except UnreadablePicture:
            return False
        return True


def _check_stems(stems, pictures, split):
    """Two pictures of one stem would share one map."""
    ids = {}
    for stem, picture in zip(stems, pictures, strict=True):
        if stem in ids:
            raise UserError(
                f"the {split} pictures {ids[stem]} and {picture.id} would have one map; rename one of them."
            )
        ids[stem] = picture.id
