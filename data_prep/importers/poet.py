"""POET (Papadopoulos et al. 2014): `etData/etData_CLASS.mat` and `PascalImages/CLASS_NAME.jpg`.

`etData` is a struct array with `filename`, `dimensions` (`[height, width, …]`) and `fixations`, a struct array with one
element an observer: `imgCoord.fixR.pos` and `imgCoord.fixL.pos`, rows of `[x, y]` of the right and the left eye in
pixels of the picture. One eye is taken: the right one, or the left where the right has none. The first pixel is taken
as 1, as MATLAB counts. Five of 28 observers saw each picture, who is not known: they are numbered picture by picture.
Fixations beside the picture, on the rest of the screen, are left out.
"""

import numpy as np

from data_prep.importers.gathered import Gathered, PictureFolder, field, files_called, first_folder, read_mat
from saliency_keras.console import UserError

WHAT = "POET's folder etData with etData_CLASS.mat, or the folder of it"
EYES = ("fixR", "fixL")


def gather(source, choices):
    """Gathers the fixations of POET."""
    files = files_called(source, "etData_*.mat", WHAT)
    around = source if source.is_dir() else source.parent
    folder = first_folder(choices, around / "PascalImages", around.parent / "PascalImages", around)
    gathered = Gathered(PictureFolder(folder), source)
    for path in files:
        content = read_mat(path)
        if "etData" not in content:
            raise UserError(f"{path} has no variable etData; it has {', '.join(content) or 'none'}. SOURCE is {WHAT}.")
        of_class = path.stem.partition("_")[2]
        try:
            for one in content["etData"].ravel():
                _gather_picture(one, of_class, gathered)
        except (KeyError, ValueError) as error:
            raise UserError(f"{path} is not POET's file: a struct has no field {error.args[0]}.") from None
    return gathered


def _gather_picture(one, of_class, gathered):
    name = str(field(one, "filename").item())
    names = f"{of_class}_{name}", name
    image = next((each for each in names if gathered.pictures.find(each) is not None), names[0])
    height, width = np.ravel(field(one, "dimensions"))[:2].astype(float)
    for number, observer in enumerate(one["fixations"].ravel(), 1):
        for eye in EYES:
            points = np.asarray(field(observer, "imgCoord", eye, "pos"), np.float64)
            if points.size:
                x, y = points[:, 0] - 1, points[:, 1] - 1
                beside = (x <= -0.5) | (y <= -0.5) | (x >= width - 0.5) | (y >= height - 0.5)
                gathered.beside += int(beside.sum())
                gathered.add(image, number, x[~beside], y[~beside], measured=(width, height))
                break
