"""OSIE (Xu et al. 2014): `eye/fixations.mat` and `stimuli/` as the authors publish them.

`fixations` is a cell array of structs: `img`, the picture's name, and `subjects`, a cell array of structs with `fix_x`,
`fix_y` and `fix_duration` (ms). Positions are pixels of 800x600, the first pixel being 1.
"""

from data_prep.importers.gathered import Gathered, PictureFolder, field, files_called, first_folder, read_mat, unwrapped
from saliency_keras.console import UserError

SIZE = 800, 600
PIXELS_PER_DEGREE = 24


def gather(source, choices):
    """Gathers the fixations of OSIE; SOURCE is the authors' folder, or `fixations.mat` itself."""
    path = files_called(source, "fixations.mat", "the folder with OSIE's eye/fixations.mat and stimuli/")[0]
    above = path.parent.parent
    pictures = PictureFolder(first_folder(choices, source / "stimuli", above / "stimuli", path.parent))
    gathered = Gathered(pictures, path, PIXELS_PER_DEGREE)
    content = read_mat(path)
    if "fixations" not in content:
        raise UserError(f"{path} has no variable fixations; it has {', '.join(content) or 'none'}.")
    try:
        for one in content["fixations"].ravel():
            image = str(field(one, "img").item())
            for number, subject in enumerate(field(one, "subjects").ravel(), 1):
                if unwrapped(subject) is None:
                    continue
                x, y, duration = (field(subject, name).ravel() for name in ("fix_x", "fix_y", "fix_duration"))
                gathered.add(image, number, x - 1.0, y - 1.0, duration, measured=SIZE)
    except KeyError as error:
        raise UserError(f"{path} is not OSIE's file: a struct has no field {error.args[0]}.") from None
    return gathered
