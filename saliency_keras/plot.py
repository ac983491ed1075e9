"""The curves of several runs in one picture, or what each gained over its baseline.

    python -m saliency_keras.plot RUN RUN … [--gains] [--published] [--out comparison.png]

Draws Top-1 and Top-5 on the validation pictures over the epochs, one line a run; for a single run also its training
curves, loss and learning rate. A published figure is a dashed line where the run repeats the paper's (its number of
classes, size, schedule and network), and for every run of a paper's strategy with `--published`. With `--gains`, draws
instead by how many points each run is better at Top-1 than its baseline, which is to be among them, beside the
published difference. Runs that differ by their seed only are one line: the mean, each seed, and the 95 % interval over
seeds and pictures; with one seed of each run, the interval is over pictures only. Prints the picture's name.
"""

from pathlib import Path

from saliency_keras import console


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="folders of finished runs")
    gains = "draw gains over the baselines among the runs, with intervals, instead of curves"
    parser.add_argument("--gains", action="store_true", help=gains)
    published = "draw what the papers print even if classes or schedule differ from the paper's"
    parser.add_argument("--published", action="store_true", help=published)
    where = "a .png, .pdf or .svg (default: %(default)s)"
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("comparison.png"), help=where)
    options = parser.parse_args(arguments)

    from saliency_keras.figures import style

    style.check_path(options.out)
    style.save(plot(options.runs, gains=options.gains, published=options.published), options.out)
    print(options.out)


def plot(runs, *, gains=False, published=False):
    """Draws the curves of runs, or what each gained over its baseline.

    Args:
        runs: A `Run` or the folder of one, for all its curves; or a list of them, to compare Top-1 and Top-5.
        gains: Draw gains over the baselines among the runs, with intervals, instead of curves.
        published: Whether a paper's figure stands beside every run of its strategy, whatever the data set.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        UserError: If one is no finished run, or the runs cannot be compared.
    """
    from saliency_keras.figures import curves
    from saliency_keras.figures.intervals import gain_panels, intervals_figure
    from saliency_keras.runs.run import Run

    runs = [Run.of(one) for one in (runs if isinstance(runs, list | tuple) else [runs])]
    if gains:
        return intervals_figure(gain_panels(runs))
    if len(runs) == 1:
        return curves.run_figure(runs[0].config, runs[0].history, published)
    return curves.comparison_figure(runs, published=published)


if __name__ == "__main__":
    console.run(main)
