"""Sets that publish where anybody looked as one binary map a picture, nobody knows who: CAT2000 and Toronto.

CAT2000 (Borji & Itti 2015): `Stimuli/CATEGORY/*.jpg` and `FIXATIONLOCS/CATEGORY/*.mat`, each with one matrix of the
picture's size. Toronto (Bruce & Tsotsos 2009): `origfixdata.mat` with the cell array `white`, one matrix a picture, and
`Original Image Set/1.jpg` to `120.jpg`. A matrix is not zero where people looked; two fixations on one pixel are one.
"""

import os

import numpy as np

from data_prep.importers.gathered import Gathered, PictureFolder, files_called, first_folder, read_mat, unwrapped
from saliency_keras.console import UserError, progress

NOBODY = "all"


def gather_cat2000(source, choices):
    """Gathers the fixations of CAT2000; SOURCE is its `trainSet`, with `Stimuli/` and `FIXATIONLOCS/`."""
    locations = source / "FIXATIONLOCS"
    if not locations.is_dir():
        raise UserError(f"{source} has no folder FIXATIONLOCS; SOURCE is CAT2000's trainSet, with Stimuli/ beside it.")
    gathered = _gathered(choices, source, source / "Stimuli")
    for path in progress(files_called(locations, "*.mat", "CAT2000's trainSet"), label="reading", unit="file"):
        matrices = [one for one in read_mat(path).values() if one.ndim == 2 and min(one.shape) > 1]
        if len(matrices) != 1:
            raise UserError(f"{path} has {len(matrices)} matrices; a file of CAT2000 has one, fixLocs.")
        _add(gathered, os.fspath(path.relative_to(locations).with_suffix("")), matrices[0])
    return gathered


def gather_toronto(source, choices):
    """Gathers the fixations of Toronto; SOURCE is its `eyetrackingdata`, or the folder of `origfixdata.mat`."""
    path = files_called(source, "origfixdata.mat", "the folder with Toronto's origfixdata.mat")[0]
    content = read_mat(path)
    if "white" not in content:
        raise UserError(f"{path} has no variable white; it has {', '.join(content) or 'none'}.")
    gathered = _gathered(choices, path, path.parent / "Original Image Set", path.parent)
    for number, matrix in enumerate(content["white"].ravel(), 1):
        _add(gathered, str(number), unwrapped(matrix))
    return gathered


def _gathered(choices, source, *folders):
    gathered = Gathered(PictureFolder(first_folder(choices, *folders)), source)
    gathered.ordered = False
    return gathered


def _add(gathered, image, matrix):
    y, x = np.nonzero(matrix)
    gathered.add(image, NOBODY, x, y, measured=matrix.shape[::-1])
