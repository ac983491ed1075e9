"""What a trained network sees in photographs.

    python -m saliency_keras.classify RUN PHOTO… [--out DIR] [--predictor NAME] [--layer NAME]

Prints the five best labels of each photograph with their probabilities, and the saliency map that the network was
shown; draws picture, map and Grad-CAM (the places that the best label rests on) to DIR/PHOTO.png. Each photograph is
prepared as the run's data set was: its central square, the map of that, the stored side, and a centre crop.
"""

import sys
from pathlib import Path

from saliency_keras import console, files
from saliency_keras.console import UserError


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of a finished run of a classifier")
    parser.add_argument("photos", metavar="PHOTO", type=Path, nargs="+", help="pictures of any size")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the figures go (default: RUN/photos)")
    who = "who predicts the saliency map: a predictor or a run folder (default: as in the run's data set)"
    parser.add_argument("--predictor", metavar="NAME", help=who)
    parser.add_argument("--layer", metavar="NAME", help="layer for Grad-CAM (default: the last convolutional one)")
    options = parser.parse_args(arguments)
    out = options.out or options.run / "photos"
    _check(options.photos, out)

    from saliency_keras.data.pictures import UnreadablePicture, png_of, read_picture
    from saliency_keras.figures import style
    from saliency_keras.figures.photograph import photograph_figure
    from saliency_keras.runs.classifier import Classifier

    classifier = Classifier(options.run, options.predictor, options.layer)
    print(f"saliency map: {classifier.map_source}")
    refusals = []
    with files.claimed(out):
        for photo in options.photos:
            try:
                pixels = read_picture(photo)
            except UnreadablePicture as refusal:
                refusals.append(refusal)
                continue
            found = classifier(pixels)
            figure = photograph_figure(found, photo.name, classifier.map_source, classifier.layer)
            style.save(figure, png_of(photo, out))
            print(f"\n{style.one_line(photo)}: {style.one_line(png_of(photo, out))}")
            for name, probability in zip(found.classes, found.probabilities, strict=True):
                print(f"{100 * probability:6.1f} %  {style.one_line(name)}")
    shown = len(options.photos) - len(refusals)
    if shown:
        print(f"\n{shown} of {len(options.photos)} pictures classified; picture, map and Grad-CAM are in {out}")
        print(console.next_step("report", options.run, why="what the run got right, and its surest mistakes"))
    for refusal in refusals[: len(options.photos) - 1]:
        print(refusal, file=sys.stderr)
    if len(refusals) == len(options.photos):
        raise refusals[-1]


def _check(photos, out):
    """Refuses, before a network is loaded, photographs that are not there, share a figure or would be overwritten."""
    from saliency_keras.data.pictures import check_pngs

    for photo in photos:
        if not photo.is_file():
            raise UserError(f"{files.absent(photo, 'picture')}.")
    files.check_folder(out)
    check_pngs(photos, out, "figure")


if __name__ == "__main__":
    console.run(main)
