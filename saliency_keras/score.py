"""How well saliency maps predict where people looked.

    python -m saliency_keras.score FIXATIONS [--predictors gbvs,center,uniform] [--maps DIR] [--out DIR]
           [--convention standard|mit] [--sigma PIXELS] [--other-images N] [--baseline others|center] [--seed N]
           [--limit N]

FIXATIONS is a folder with `images/` and `fixations.csv` (image,subject,x,y). Prints AUC-Judd, AUC-Borji, sAUC, NSS, CC,
SIM, KL and IG of every predictor with standard errors over pictures, and what people themselves reach; writes the same
table to `table.md`, every score to `scores.csv` (empty where a metric has no answer) and example maps to `figure.png`.
A folder of `--maps` holds one grey picture for each picture, of the same stem. The row `fixations` among the predictors
is the human density itself.
"""

import argparse
from pathlib import Path

from saliency_keras import console


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    options = _parse(arguments)

    from saliency_keras.data.fixations import read_fixation_set
    from saliency_keras.figures import style
    from saliency_keras.figures.saliency import examples_figure
    from saliency_keras.figures.table import write_csv
    from saliency_keras.metrics.fixations import METRICS
    from saliency_keras.metrics.scoring import Protocol, score_set

    protocol = Protocol(options.convention, options.sigma, options.other_images, options.baseline, options.seed)
    fixation_set = read_fixation_set(options.fixations)
    sources = _sources(options, fixation_set)
    out = options.out or Path("scores") / fixation_set.folder.resolve().name
    out.mkdir(parents=True, exist_ok=True)
    if fixation_set.outside:
        print(f"{fixation_set.outside} fixations lie outside their picture and are left out")
    scores = score_set(fixation_set, sources, protocol, options.limit)
    table = scores.table()
    with console.whole_file(out / "table.md", "w", encoding="utf-8") as file:
        file.write(table)
    write_csv(out / "scores.csv", ["predictor", "image", *METRICS], scores.table_rows())
    style.save(examples_figure(fixation_set, sources, protocol, scores.images), out / "figure.png")
    print(table)
    print(f"written: {out / 'table.md'}, {out / 'scores.csv'}, {out / 'figure.png'}")


def _parse(arguments):
    what = "How well saliency maps predict where people looked."
    parser = argparse.ArgumentParser(prog="python -m saliency_keras.score", description=what)
    add = parser.add_argument
    add("fixations", metavar="FIXATIONS", type=Path, help="folder with images/ and fixations.csv (image,subject,x,y)")
    names = "predictors or run folders, separated by commas; `fixations` is the human density (default: %(default)s)"
    add("--predictors", metavar="NAMES", default="gbvs,center,uniform", help=names)
    add("--maps", metavar="DIR", type=Path, action="append", default=[], help="also score a folder of maps; repeatable")
    add("--out", metavar="DIR", type=Path, help="where results go (default: scores/NAME of the set)")
    add("--convention", choices=("standard", "mit"), default="standard", help="of the metrics (default: standard)")
    add("--sigma", metavar="PIXELS", type=float, help="blur of the human density (default: one degree of visual angle)")
    add("--other-images", metavar="N", type=int, help="sAUC: take N other pictures' fixations (default: all)")
    add("--baseline", choices=("others", "center"), default="others", help="of IG (default: the others' fixations)")
    add("--seed", metavar="N", type=int, default=0, help="of the draw of other pictures (default: 0)")
    add("--limit", metavar="N", type=int, help="score a sample of N pictures")
    return parser.parse_args(arguments)


def _sources(options, fixation_set):
    from saliency_keras.saliency import predictor
    from saliency_keras.saliency.fixations import Fixations
    from saliency_keras.saliency.map_folder import MapFolder

    names = [name.strip() for name in options.predictors.split(",") if name.strip()]
    images = fixation_set.images if options.limit is None else fixation_set.sample(max(0, options.limit))
    sizes = {image: fixation_set.size(image) for image in images if len(fixation_set.points(image))}
    return [
        *(Fixations(fixation_set, options.sigma) if name == "fixations" else predictor(name) for name in names),
        *(MapFolder(folder, sizes) for folder in options.maps),
    ]


if __name__ == "__main__":
    console.run(main)
