"""SALICON (Jiang et al. 2015): fixations of mouse tracking as json (as COCO's annotations) or one .mat a picture.

The json has `images` (`id`, `file_name`, `width`, `height`) and `annotations` (`image_id`, `worker_id`, `fixations`: a
list of `[row, column]`). A .mat has `image`, `resolution` (`[height, width]`) and `gaze`, a struct array with one
element a person and the field `fixations`, rows of `[x, y]`. The first pixel is 1 in both. Persons in a .mat are
numbered picture by picture: number 1 of one picture is not number 1 of another.
"""

import json
from pathlib import Path

import numpy as np

from data_prep.importers.gathered import Gathered, PictureFolder, field, files_called, first_folder, read_mat
from saliency_keras.console import UserError, progress

WHAT = "a SALICON json, a .mat, or a folder of either"


def gather(source, choices):
    """Gathers the fixations of SALICON; SOURCE is a json, a .mat, or a folder of either (json goes first)."""
    files = [source] if source.is_file() else sorted(source.rglob("*.json"))
    files = files or files_called(source, "*.mat", WHAT)
    around = source if source.is_dir() else source.parent
    gathered = Gathered(PictureFolder(first_folder(choices, around / "images", around)), source)
    for path in progress(files, label="reading", unit="file"):
        (_gather_json if path.suffix.lower() == ".json" else _gather_mat)(path, gathered)
    return gathered


def _gather_json(path, gathered):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images = {one["id"]: one for one in content["images"]}
        for one in content["annotations"]:
            image = images[one["image_id"]]
            rows, columns = np.array(one["fixations"], np.float64).reshape(-1, 2).T
            size = (image["width"], image["height"]) if "width" in image else None
            subject = one.get("worker_id", one.get("id", 1))
            gathered.add(image["file_name"], subject, columns - 1, rows - 1, measured=size)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is no json of SALICON: {error} is missing.") from None
    except ValueError as error:
        raise UserError(f"{path} is no json of SALICON: {error}.") from None


def _gather_mat(path, gathered):
    content = read_mat(path)
    if "gaze" not in content:
        raise UserError(f"{path} has no variable gaze; it has {', '.join(content) or 'none'}. SOURCE is {WHAT}.")
    image = str(np.ravel(content.get("image", [path.stem]))[0])
    size = None
    if "resolution" in content:
        height, width = np.ravel(content["resolution"])
        size = float(width), float(height)
    for number, person in enumerate(content["gaze"].ravel(), 1):
        try:
            points = field(person, "fixations")
        except KeyError:
            raise UserError(f"{path}: gaze has no field fixations.") from None
        if points.size:
            x, y = np.asarray(points, np.float64)[:, :2].T
            gathered.add(_stem(image), number, x - 1, y - 1, measured=size)


def _stem(image):
    return image.removesuffix(Path(image).suffix) if Path(image).suffix.lower() in (".jpg", ".mat") else image
