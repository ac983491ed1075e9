"""Saliency maps of pictures, as PNG.

    python -m saliency_keras.predict PREDICTOR IMAGES OUT [--upright]

Writes a saliency map for every picture: an 8-bit grey PNG of the picture's size and stem in the folder OUT, where 255
is the map's greatest value and 0 is 0. IMAGES is a folder of pictures or one picture. Subfolders are entered and
repeated in OUT, so that the maps of an image folder are those that `data_prep.compact --maps` takes. Prints each
picture that could not be read, with the reason, and how many maps were written and files left out.
"""

import sys
from pathlib import Path

from saliency_keras import console
from saliency_keras.console import UserError, progress
from saliency_keras.files import check_folder, claimed, not_there, whole_file
from saliency_keras.saliency import PREDICTORS, predictor

BATCH = 16
# Pictures that may wait for others of their size, and their bytes: they bound the memory where all sizes differ.
WAITING = 64
WAITING_BYTES = 64 * 2**20


def main(arguments=None):
    """Parses, predicts, prints."""
    parser = console.parser(__spec__.name, __doc__)
    who = f"who predicts: {', '.join(PREDICTORS)}, or a run folder"
    parser.add_argument("predictor", metavar="PREDICTOR", help=who)
    parser.add_argument("images", metavar="IMAGES", type=Path, help="a folder of pictures, or one picture")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the maps; it is created if it is not there")
    parser.add_argument("--upright", action="store_true", help="turn pictures as their orientation tags say")
    options = parser.parse_args(arguments)

    predict = predictor(options.predictor)
    files, refused, left_out, turned = pictures_to_predict(options.images, options.out)
    below = options.images if options.images.is_dir() else None
    with claimed(options.out):
        written, refusals = predict_files(predict, files, options.out, below, options.upright)
    refusals = [*refused, *refusals]
    total = len(files) + len(refused)
    if total == len(refusals) == 1:
        raise UserError(str(refusals[0]))
    for refusal in refusals:
        print(refusal, file=sys.stderr)
    if not written:
        raise UserError(f"none of the {total} pictures could be read{left_out}.")
    if turned and not options.upright:
        told = f"{turned} of {len(files)} pictures have an orientation tag and are read as stored"
        console.tell(f"{told}; --upright turns them")
    skipped = f"; {len(refusals)} of {total} pictures skipped" if refusals else ""
    console.tell(f"{written} maps of {predict.name} in {options.out}{skipped}{left_out}")
    if below is not None:
        words = options.images, f"{options.images.name}-compact", "--saliency", options.predictor
        print(console.next_step("compact", *words, why="a data set with such maps, of train/CLASS and val/CLASS"))


def pictures_to_predict(images, out):
    """Lists the pictures and checks that each has a map of its own to be written.

    Args:
        images: Path of a folder, or of one picture.
        out: Folder for the maps. If it is in the other one, it is not entered.

    Returns:
        Paths, sorted by name; `UnreadablePicture` of files that are named like pictures and are none; what to say of
        the other files; and the number of pictures with an orientation tag.

    Raises:
        UserError: If there is no picture, two of them have one stem, or a map would overwrite a picture.
    """
    from saliency_keras.data import pictures

    if not images.exists():
        raise UserError(not_there(images, "picture or folder"))
    check_folder(out)
    refused, left_out, turned = [], "", 0
    if images.is_dir():
        without = [] if out.resolve() == images.resolve() else [out]
        found = pictures.pictures_in(images, without)
        files = [images / name for name in found.names]
        refused, left_out = found.named(), pictures.left_out(found)
        turned = sum(orientation != 1 for orientation in found.orientations)
    else:
        files = [images]
    if not files and not refused:
        raise UserError(f"the folder {images} has no pictures{left_out}.")
    pictures.check_pngs(files, out, "map", images if images.is_dir() else None)
    return files, refused, left_out, turned


def predict_files(predict, files, out, below=None, upright=False):
    """Predicts the maps of picture files, in batches of pictures of one size, and writes them.

    Args:
        predict: A predictor.
        files: Paths of pictures.
        out: Folder for the maps; it exists.
        below: The folder whose tree `out` repeats, or `None`: then all maps lie in `out` itself.
        upright: Whether pictures are turned as their orientation tags say.

    Returns:
        The number of maps written, and the `UnreadablePicture` errors of the others.
    """
    from saliency_keras.data.pictures import UnreadablePicture, read_picture

    waiting, refusals, written = {}, [], 0

    with progress(total=len(files), label="maps") as bar:

        def flush(shape):
            group = waiting.pop(shape)
            _write_maps(predict, group, out, below)
            bar.update(len(group))
            return len(group)

        for path in files:
            try:
                image = read_picture(path, upright)
            except UnreadablePicture as refusal:
                refusals.append(refusal)
                bar.update()
                continue
            waiting.setdefault(image.shape, []).append((path, image))
            if len(waiting[image.shape]) == BATCH or len(waiting[image.shape]) * image.nbytes > WAITING_BYTES:
                written += flush(image.shape)
            while sum(map(len, waiting.values())) > WAITING or _bytes(waiting) > WAITING_BYTES:
                written += flush(max(waiting, key=lambda shape: len(waiting[shape]) * waiting[shape][0][1].nbytes))
        for shape in list(waiting):
            written += flush(shape)
    return written, refusals


def _bytes(waiting):
    return sum(len(group) * group[0][1].nbytes for group in waiting.values())


def _write_maps(predict, group, out, below=None):
    import numpy as np
    from PIL import Image

    from saliency_keras.data.pictures import png_of

    maps = predict(np.stack([image for _, image in group]))
    for (path, _), one in zip(group, maps, strict=True):
        grey = np.rint(255 * (one / (one.max() or 1))).astype(np.uint8)
        made = png_of(path, out, below)
        made.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(made) as file:
            Image.fromarray(grey).save(file, "PNG")


if __name__ == "__main__":
    console.run(main)
