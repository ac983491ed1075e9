"""FIGRIM (Bylinskii et al. 2015): `allImages_release.mat` and `Targets/`, `allImages_fillers.mat` and `Fillers/`.

`allImages` is a struct array with `impath` (`Targets/CATEGORY/NAME.jpg`) and `userdata`, a struct array with one
element a participant of the whole study: `RECORDING_SESSION_LABEL`, and `fixations` with `enc`, `rec` and `rec2`, rows
of `[x, y]` of the first, second and third time that the picture was seen. The first time is taken, as the authors do
for their fixation maps. Positions are pixels of pictures of 1000x1000, the first being 1 (their
`compMapsLocsForImage.m` uses them as indices); they blur with 33 pixels, one degree of visual angle.
"""

from data_prep.importers.gathered import Gathered, PictureFolder, field, files_called, first_folder, read_mat
from saliency_keras.console import UserError

PIXELS_PER_DEGREE = 33
WHAT = "allImages_release.mat or allImages_fillers.mat of FIGRIM, or the folder of them"


def gather(source, choices):
    """Gathers the fixations of FIGRIM's targets, its fillers, or both."""
    files = files_called(source, "allImages_*.mat", WHAT)
    around = source if source.is_dir() else source.parent
    gathered = Gathered(PictureFolder(first_folder(choices, around)), source, PIXELS_PER_DEGREE)
    for path in files:
        content = read_mat(path)
        if "allImages" not in content:
            there = ", ".join(content) or "none"
            raise UserError(f"{path} has no variable allImages; it has {there}. SOURCE is {WHAT}.")
        try:
            for one in content["allImages"].ravel():
                image = str(field(one, "impath").item())
                for number, person in enumerate(one["userdata"].ravel(), 1):
                    if not person["fixations"].size:
                        continue  # this participant did not see the picture
                    points = field(person, "fixations", "enc")
                    if points.size:
                        gathered.add(image, number, points[:, 0] - 1.0, points[:, 1] - 1.0)
        except (KeyError, ValueError) as error:
            raise UserError(f"{path} is not FIGRIM's file: a struct has no field {error.args[0]}.") from None
    return gathered
