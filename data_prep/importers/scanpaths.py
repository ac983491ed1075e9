"""COCO-FreeView (Chen et al. 2022): a json list of scanpaths, on COCO's pictures scaled and padded to 1680x1050.

A scanpath has `name` (the picture's file), `subject`, `X` and `Y` (pixels, the first being 0) and `T` (ms). The
pictures lie in one folder a category, some in several: each is the same picture.
"""

import json

from data_prep.importers.gathered import Gathered, PictureFolder, files_called, first_folder
from saliency_keras.console import UserError

SIZE = 1680, 1050


def gather(source, choices):
    """Gathers the fixations of COCO-FreeView; SOURCE is its json, or the folder of it."""
    files = files_called(source, "*.json", "the json of COCO-FreeView")
    around = source if source.is_dir() else source.parent
    gathered = Gathered(PictureFolder(first_folder(choices, around / "images", around), any_copy=True), source)
    for path in files:
        try:
            for one in json.loads(path.read_text(encoding="utf-8")):
                gathered.add(one["name"], one["subject"], one["X"], one["Y"], one["T"], measured=SIZE)
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is no list of scanpaths: {error} is missing.") from None
        except ValueError as error:
            raise UserError(f"{path} is no list of scanpaths: {error}.") from None
    return gathered
