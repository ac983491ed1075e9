"""CUB-GHA (Rong et al. 2021): `Fixation_run1.txt` to `Fixation_run5.txt`, on the pictures of CUB-200-2011.

A line is `id,width,height` and then `x,y,milliseconds` of each fixation, in pixels of the picture, the first being 0.
`images.txt` of CUB-200-2011 says which picture has which id. Each run of the collection counts as one subject.
"""

import numpy as np

from data_prep.importers.gathered import Gathered, PictureFolder, files_called, first_folder
from saliency_keras.console import UserError

WHAT = "the folder with Fixation_run1.txt to Fixation_run5.txt of CUB-GHA"


def gather(source, choices):
    """Gathers the fixations of CUB-GHA; `--pictures` is CUB_200_2011, with `images.txt` and `images/`."""
    files = files_called(source, "Fixation_run*.txt", WHAT)
    folder = first_folder(choices, *(source if source.is_dir() else source.parent).glob("CUB_200_2011"), source)
    index = next((one / "images.txt" for one in (folder, folder.parent) if (one / "images.txt").is_file()), None)
    if index is None:
        raise UserError(f"{folder} has no images.txt; --pictures DIR is the folder CUB_200_2011 as downloaded.")
    names = dict(line.split(maxsplit=1) for line in index.read_text(encoding="utf-8").splitlines() if line.strip())
    images = folder / "images" if (folder / "images").is_dir() else folder
    gathered = Gathered(PictureFolder(images), source)
    for path in files:
        subject = path.stem.rpartition("_")[2]
        for number, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines(), 1):
            if line.strip():
                _gather_line(line, f"{path}, line {number}", subject, names, gathered)
    return gathered


def _gather_line(line, where, subject, names, gathered):
    identifier, *numbers = line.strip().split(",")
    try:
        width, height, *rest = map(int, numbers)
        x, y, durations = np.array(rest, np.float64).reshape(-1, 3).T
    except ValueError:
        raise UserError(
            f"{where} is not id,width,height and x,y,milliseconds of each fixation; SOURCE is {WHAT}."
        ) from None
    if identifier not in names:
        raise UserError(f"{where} is about picture {identifier}, which images.txt does not have.")
    gathered.add(names[identifier].strip(), subject, x, y, durations, measured=(width, height))
