"""What a trained network sees in photographs.

    python -m saliency_keras.classify RUN PHOTO… [--out DIR] [--predictor NAME] [--layer NAME]
    python -m saliency_keras.classify SCALE1+SCALE2+SCALE3 PHOTO…

Prints the five best labels of each photograph with their probabilities, and the saliency map that the network was
shown; draws picture, map and Grad-CAM (the places that the best label rests on) to DIR/PHOTO.png. Each photograph is
prepared as the run's data set was: its central square, the map of that, the stored side, and a centre crop. Runs of
`classifier_attention` look again at what the one before attends to; then boxes and attention are drawn, and the
probabilities are the mean of all.
"""

import sys
from pathlib import Path

from saliency_keras import console, files
from saliency_keras.console import UserError


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    run = "folder of a finished run of a classifier; RUN+RUN for classifiers of what the one before attends to"
    parser.add_argument("run", metavar="RUN", help=run)
    parser.add_argument("photos", metavar="PHOTO", type=Path, nargs="+", help="pictures of any size")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the figures go (default: RUN/photos)")
    who = "who predicts the saliency map: a predictor or a run folder (default: as in the run's data set)"
    parser.add_argument("--predictor", metavar="NAME", help=who)
    parser.add_argument("--layer", metavar="NAME", help="layer for Grad-CAM (default: the last convolutional one)")
    options = parser.parse_args(arguments)
    from saliency_keras.runs.ensemble import parts_of

    runs = parts_of(options.run)
    out = options.out or runs[-1] / "photos"
    _check(options.photos, out)

    from saliency_keras.data.pictures import UnreadablePicture, png_of, read_picture
    from saliency_keras.figures import style
    from saliency_keras.runs.learned import warnings
    from saliency_keras.runs.run import Run

    classify, figure_of = _attending(runs, options) or _single(runs, options)
    for caution in (caution for run in runs for caution in warnings(Run.load(run))):
        console.say(f"caution: {caution}")
    refusals = []
    with files.claimed(out):
        for photo in options.photos:
            try:
                pixels = read_picture(photo)
            except UnreadablePicture as refusal:
                refusals.append(refusal)
                continue
            found = classify(pixels)
            style.save(figure_of(found, photo.name), png_of(photo, out))
            print(f"\n{style.one_line(photo)}: {style.one_line(png_of(photo, out))}")
            for name, probability in zip(found.classes, found.probabilities, strict=True):
                print(f"{100 * probability:6.1f} %  {style.one_line(name)}")
    shown = len(options.photos) - len(refusals)
    if shown:
        print()
        console.tell(f"{shown} of {len(options.photos)} pictures classified; picture, map and Grad-CAM are in {out}")
        print(console.next_step("report", options.run, why="what the run got right, and its surest mistakes"))
    for refusal in refusals[: len(options.photos) - 1]:
        print(refusal, file=sys.stderr)
    if len(refusals) == len(options.photos):
        raise refusals[-1]


def _single(runs, options):
    """The classifier that a run is, and the function that draws what it says."""
    from saliency_keras.figures.photograph import photograph_figure
    from saliency_keras.runs.classifier import Classifier

    classifier = Classifier(runs[0], options.predictor, options.layer)
    console.tell(f"saliency map: {classifier.map_source}")
    return classifier, lambda found, name: photograph_figure(found, name, classifier.map_source, classifier.layer)


def _attending(runs, options):
    """The same of runs that look again at what they attend to; `None` of a single run of another kind."""
    from saliency_keras.figures.looks import photograph_looks_figure
    from saliency_keras.runs.looks import Looker
    from saliency_keras.runs.run import Run

    loaded = [Run.load(run) for run in runs]
    if len(runs) == 1 and (loaded[0].config["experiment"].get("task") != "classifier_attention" or options.layer):
        return None
    if options.predictor or options.layer:
        raise UserError("runs that look again make their own maps: leave --predictor and --layer out.")
    print(f"looks: {len(runs)}, each at what the one before attends to")
    return Looker(runs), photograph_looks_figure


def _check(photos, out):
    """Refuses, before a network is loaded, photographs that are not there, share a figure or would be overwritten."""
    from saliency_keras.data.pictures import check_pngs

    for photo in photos:
        if not photo.is_file():
            raise UserError(files.not_there(photo, "picture"))
    files.check_folder(out)
    check_pngs(photos, out, "figure")


if __name__ == "__main__":
    console.run(main)
