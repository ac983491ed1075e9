"""Saliency maps of pictures, as PNG.

    python -m saliency_keras.predict PREDICTOR IMAGES OUT

Writes a saliency map for every picture: an 8-bit grey PNG of the picture's size and stem in the folder OUT, where 255
is the map's greatest value and 0 is 0. IMAGES is a folder of pictures or one picture. Prints each picture that could
not be read, with the reason, and how many maps were written.
"""

import sys
from pathlib import Path

from saliency_keras import console
from saliency_keras.console import UserError, progress
from saliency_keras.files import check_folder, whole_file
from saliency_keras.saliency import PREDICTORS, predictor

BATCH = 16
# Pictures that may wait for others of their size: it bounds the memory where all sizes differ.
WAITING = 64


def main(arguments=None):
    """Parses, predicts, prints."""
    parser = console.parser(__spec__.name, __doc__)
    who = f"who predicts: {', '.join(PREDICTORS)}, or a run folder"
    parser.add_argument("predictor", metavar="PREDICTOR", help=who)
    parser.add_argument("images", metavar="IMAGES", type=Path, help="a folder of pictures, or one picture")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the maps; it is made if need be")
    options = parser.parse_args(arguments)

    predict = predictor(options.predictor)
    files = pictures_to_predict(options.images, options.out)
    options.out.mkdir(parents=True, exist_ok=True)
    written, refusals = predict_files(predict, files, options.out)
    if len(files) == len(refusals) == 1:
        raise UserError(str(refusals[0]))
    for refusal in refusals:
        print(refusal, file=sys.stderr)
    if not written:
        raise UserError(f"none of the {len(files)} pictures could be read.")
    skipped = f"; {len(refusals)} of {len(files)} pictures skipped" if refusals else ""
    print(f"{written} maps of {predict.name} in {options.out}{skipped}")


def pictures_to_predict(images, out):
    """Lists the pictures and checks that each has a map of its own to be written.

    Args:
        images: Path of a folder, or of one picture.
        out: Folder for the maps.

    Returns:
        Paths, sorted by name.

    Raises:
        UserError: If there is no picture, two of them have one stem, or a map would overwrite a picture.
    """
    from saliency_keras.data.pictures import check_pngs, picture_files

    if not images.exists():
        raise UserError(f"there is no picture or folder {images}.")
    check_folder(out)
    files = picture_files(images) if images.is_dir() else [images]
    if not files:
        raise UserError(f"the folder {images} has no pictures.")
    check_pngs(files, out, "map")
    return files


def predict_files(predict, files, out):
    """Predicts the maps of picture files, in batches of pictures of one size, and writes them.

    Args:
        predict: A predictor.
        files: Paths of pictures.
        out: Folder for the maps; it exists.

    Returns:
        The number of maps written, and the `UnreadablePicture` errors of the others.
    """
    from saliency_keras.data.pictures import UnreadablePicture, read_picture

    waiting, refusals, written = {}, [], 0

    with progress(total=len(files), label="maps") as bar:

        def flush(shape):
            group = waiting.pop(shape)
            _write_maps(predict, group, out)
            bar.update(len(group))
            return len(group)

        for path in files:
            try:
                image = read_picture(path)
            except UnreadablePicture as refusal:
                refusals.append(refusal)
                bar.update()
                continue
            waiting.setdefault(image.shape, []).append((path, image))
            if len(waiting[image.shape]) == BATCH:
                written += flush(image.shape)
            elif sum(map(len, waiting.values())) > WAITING:
                written += flush(max(waiting, key=lambda shape: len(waiting[shape])))
        for shape in list(waiting):
            written += flush(shape)
    return written, refusals


def _write_maps(predict, group, out):
    import numpy as np
    from PIL import Image

    from saliency_keras.data.pictures import png_of

    maps = predict(np.stack([image for _, image in group]))
    for (path, _), one in zip(group, maps, strict=True):
        grey = np.rint(255 * (one / (one.max() or 1))).astype(np.uint8)
        with whole_file(png_of(path, out)) as file:
            Image.fromarray(grey).save(file, "PNG")


if __name__ == "__main__":
    console.run(main)
