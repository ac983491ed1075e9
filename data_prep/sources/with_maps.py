"""Maps that somebody else computed, beside the pictures of any source: `compact --maps NAME=DIR`.

`DIR` holds one grey picture for each picture, brighter where people look, of the same relative stem: the picture
`train/cat/7.jpg` of an image folder has the map `DIR/train/cat/7.png` (or .jpg, .tif, ...). A picture of another source
has its id in place of `cat/7.jpg`. Maps go through the geometry of `saliency_keras.data.geometry` as pictures do.
"""

import os
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np

from data_prep.shards import check_map_name
from data_prep.sources.source import Picture, Source, UnusableMap, text_of
from saliency_keras.console import UserError
from saliency_keras.data.map_folder import read_map
from saliency_keras.data.pictures import PICTURE_SUFFIXES, UnreadablePicture


class PlaceWithMaps(NamedTuple):
    """Where a picture and its maps are: the source's own `Picture`, and paths of the maps within their folders."""

    picture: Picture
    maps: tuple

    def __str__(self):
        return str(self.picture.place)


class SourceWithMaps(Source):
    """A source whose pictures have maps in folders.

    Args:
        source: The source of the pictures.
        folders: From a map's name to its folder.

    Raises:
        UserError: If a name is none for a map, the source has a map of that name, or there is no such folder.
    """

    def __init__(self, source, folders):
        self._source = source
        self._folders = {name: Path(folder) for name, folder in folders.items()}
        for name, folder in self._folders.items():
            check_map_name(name)
            if name in source.own_maps:
                raise UserError(f"the pictures have a map {name} of their own; give the maps of {folder} another name.")
            if not folder.is_dir():
                raise UserError(
                    f"{folder} is {'a file, not a' if folder.is_file() else 'not there: no'} folder of maps."
                )
        self.classes = source.classes
        self.own_maps = (*self._folders, *source.own_maps)
        names = {name: folder.resolve().name for name, folder in self._folders.items()}
        self.description = {**source.description, "maps": names}

    def pictures(self, split):
        """The source's pictures with the places of their maps.

        Raises:
            UserError: If a picture that can be read has no map, or two have the same one.
        """
        pictures = self._source.pictures(split)
        stems = [os.path.splitext(picture.id)[0] for picture in pictures]
        _check_stems(stems, pictures, split)
        found = [self._maps_of(name, split, stems, pictures) for name in self._folders]
        rows = zip(pictures, *found, strict=True)
        return [picture._replace(place=PlaceWithMaps(picture, tuple(maps))) for picture, *maps in rows]

    def identity(self, picture):
        """The picture's and a checksum of its maps, so that other maps make another data set."""
        inner, paths = picture.place
        content = google_crc32c.Checksum()
        for folder, path in zip(self._folders.values(), paths, strict=True):
            content.update((folder / path).read_bytes() if path else b"")
        return [*self._source.identity(inner), content.hexdigest().decode()]

    def read(self, picture):
        """Decodes one picture and its maps: float32 arrays `(height, width)` of the picture's size.

        Raises:
            UnreadablePicture: If the picture is none.
            UnusableMap: If a map is not grey, not readable, or has another aspect than the picture.
        """
        inner, paths = picture.place
        pixels, own_maps = self._source.read(inner)
        for (name, folder), path in zip(self._folders.items(), paths, strict=True):
            own_maps = {**own_maps, name: _map_of_size(folder / path, *pixels.shape[:2])}
        return pixels, own_maps

    def made_of(self, name):
        """The maps of the folders are of whole pictures; the others are what their source says."""
        return "picture" if name in self._folders else self._source.made_of(name)

    def boxes(self, picture):
        """The boxes that the source of the pictures has."""
        return self._source.boxes(picture.place.picture)

    def _maps_of(self, name, split, stems, pictures):
        """The path of each picture's map in its folder; `None` for a picture without a map that cannot be read."""
        folder = self._folders[name]
        paths = _listed(folder, split)
        missing = [picture for stem, picture in zip(stems, pictures, strict=True) if stem not in paths]
        if any(self._readable(picture) for picture in missing):
            first = next(picture for picture in missing if self._readable(picture))
            raise UserError(
                f"{folder} lacks the maps of {len(missing):,} of {len(pictures):,} {split} pictures, the first is "
                f"that of {first.id}: {folder / split / os.path.splitext(first.id)[0]}.png."
            )
        return [paths.get(stem) for stem in stems]

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


def _listed(folder, split):
    """Paths in `folder` of the maps of a split, by their stem below the split."""
    paths = {}
    for place, folders, files in os.walk(folder / split):
        folders.sort()
        for name in sorted(files):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() not in PICTURE_SUFFIXES or name.startswith("."):
                continue
            below = os.path.relpath(place, folder / split)
            stem = text_of(stem if below == "." else os.path.join(below, stem)).replace(os.sep, "/")
            path = os.path.relpath(os.path.join(place, name), folder)
            if stem in paths:
                raise UserError(f"{folder} has two maps for one picture, {text_of(paths[stem])} and {text_of(path)}.")
            paths[stem] = path
    return paths


def _map_of_size(path, height, width):
    """A map at its picture's size."""
    from PIL import Image

    try:
        levels = read_map(path).astype(np.float32)
    except UserError as error:
        raise UnusableMap(str(error)) from None
    if not np.isfinite(levels).all() or levels.min() < 0:
        raise UnusableMap(f"{path} has values that are negative or no numbers; a saliency map has none.")
    if levels.shape == (height, width):
        return levels
    rows, columns = levels.shape
    # A map made at another size has that size rounded to whole pixels, by a pixel at most on either side.
    if (rows - 1) * width > (columns + 1) * height or (columns - 1) * height > (rows + 1) * width:
        raise UnusableMap(f"{path} is {columns}x{rows} and its picture {width}x{height}, which is another aspect.")
    return np.asarray(Image.fromarray(levels).resize((width, height), Image.Resampling.BILINEAR))
