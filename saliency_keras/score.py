"""How well saliency maps predict where people looked.

    python -m saliency_keras.score FIXATIONS [--predictors gbvs,center,uniform] [--maps [NAME=]PLACE] [--log]
           [--out DIR] [--convention standard|mit] [--sigma PIXELS] [--other-images N] [--baseline others|center]
           [--seed N] [--held-out] [--limit N] [--coordinates pixels|shares] [--upright]

FIXATIONS is a folder with `images/` and `fixations.csv` (image,subject,x,y). Prints AUC-Judd, AUC-Borji, sAUC, NSS, CC,
SIM, KL and IG of every predictor with standard errors over pictures, and what people themselves reach; writes the same
table to `table.md`, every score to `scores.csv` (empty where a metric has no answer) and example maps to `figure.png`.
PLACE of `--maps` is a folder, tar, zip or HDF5 file with one map for each picture, of the same stem: a grey picture, a
`.npy` or a `.mat` file; with `--log`, log densities. What is left out of the set is counted and named. The row
`fixations` among the predictors is the human density itself. A network that was trained on FIXATIONS is to be judged by
`--held-out` pictures, which took no part; the others only lend their fixations to sAUC and IG.
"""

from pathlib import Path

from saliency_keras import console, files, run_folder


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    options = _parser().parse_args(arguments)

    from saliency_keras.figures import style
    from saliency_keras.figures.document import terminal
    from saliency_keras.figures.table import write_csv
    from saliency_keras.metrics.fixation_metrics import METRICS

    out = options.out or Path("scores") / options.fixations.resolve().name
    written = table_md, scores_csv, figure_png = out / "table.md", out / run_folder.SCORES, out / "figure.png"
    with files.claimed(out):
        scored = _score(options)
        with files.whole_file(table_md, "w", encoding="utf-8") as file:
            file.write(str(scored))
        write_csv(scores_csv, ["predictor", "image", *METRICS], scored.scores.table_rows())
        style.save(scored.figure(), figure_png)
    print(terminal(scored), flush=True)
    console.tell(f"written: {', '.join(map(str, written))}")
    console.say(scored.scores.conclusion())
    print(console.next_step("train", "readout_bi", "--data", options.fixations, why="learns maps from these fixations"))


def _score(options):
    """Scores saliency maps on a fixation set, as the command `score` does.

    All arguments but the first are the command's options, by keyword: `predictors`, `maps`, `convention`, `sigma`,
    `other_images`, `baseline`, `seed`, `held_out`, `limit`, `log`, `coordinates`, `upright`.

    Args:
        fixations: Folder of the set.
        predictors: Names, run folders, `Run`s or predictors: a list, or names separated by commas.
        maps: A list of folders or archives of maps.

    Returns:
        A `scoring.examples.Scored`: `scores`, the table in print and in a notebook, and `figure()`.

    Raises:
        UserError: If the set, a predictor or an option does not fit.
    """
    from saliency_keras.data.fixation_set import read_fixation_set
    from saliency_keras.scoring.examples import Scored
    from saliency_keras.scoring.fixation_scores import Protocol, score_set
    from saliency_keras.scoring.sources import sources_of

    protocol = Protocol(options.convention, options.sigma, options.other_images, options.baseline, options.seed)
    fixation_set = read_fixation_set(Path(options.fixations), options.coordinates, options.upright)
    images = _images(options, fixation_set)
    names = options.predictors.split(",") if isinstance(options.predictors, str) else options.predictors
    names = [name.strip() if isinstance(name, str) else name for name in names]
    sources = sources_of(list(filter(None, names)), options.maps, fixation_set, images, options.sigma, options.log)
    for note in fixation_set.notes:
        console.tell(note)
    return Scored(fixation_set, sources, score_set(fixation_set, sources, protocol, images))


def _parser():
    parser = console.parser(__spec__.name, __doc__)
    add = parser.add_argument
    add("fixations", metavar="FIXATIONS", type=Path, help="folder with images/ and fixations.csv (image,subject,x,y)")
    names = "predictors or run folders, separated by commas; `fixations` is the human density (default: %(default)s)"
    add("--predictors", metavar="NAMES", default="gbvs,center,uniform", help=names)
    maps = "also score maps of a folder, tar, zip or HDF5 file; may be repeated"
    add("--maps", metavar="[NAME=]PLACE", action="append", default=[], help=maps)
    add("--log", action="store_true", help="the maps of --maps are log densities")
    add("--out", metavar="DIR", type=Path, help="where results go (default: scores/NAME of the set)")
    convention = "convention of the metrics (default: standard)"
    add("--convention", choices=("standard", "mit"), default="standard", help=convention)
    add("--sigma", metavar="PIXELS", type=float, help="blur of the human density (default: one degree of visual angle)")
    add("--other-images", metavar="N", type=int, help="sAUC: take N other pictures' fixations (default: all)")
    baseline = "baseline of IG (default: the others' fixations)"
    add("--baseline", choices=("others", "center"), default="others", help=baseline)
    add("--seed", metavar="N", type=int, default=0, help="seed of the draw of other pictures (default: 0)")
    held_out = "score only the pictures that training on FIXATIONS holds out (about a fifth, by their names)"
    add("--held-out", action="store_true", help=held_out)
    add("--limit", metavar="N", type=int, help="score a sample of N pictures")
    shares = "of x and y; shares are those of width and height (default: what set.json says, else pixels)"
    add("--coordinates", choices=("pixels", "shares"), help=shares)
    upright = "turn pictures as their orientation tags say (default: what set.json says, else not)"
    add("--upright", action="store_true", default=None, help=upright)
    return parser


def _images(options, fixation_set):
    """Names of the pictures to score."""
    from saliency_keras.data.fixation_split import is_held_out

    if options.limit is not None and options.limit < 1:
        raise console.UserError(f"the limit is 1 picture or more, not {options.limit}.")
    images = fixation_set.images
    if options.held_out:
        images = tuple(filter(is_held_out, images))
        if not images:
            raise console.UserError(f"none of the pictures of {options.fixations} is one that training holds out.")
    return images if options.limit is None else fixation_set.sample(options.limit, images)


score = console.in_python(_score, _parser, "fixations", without=("out",))


if __name__ == "__main__":
    console.run(main)
