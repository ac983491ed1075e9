"""The curves of several runs in one picture, or what each gained over its baseline.

    python -m saliency_keras.plot RUN RUN … [--gains] [--published] [--out comparison.png]

Draws Top-1 and Top-5 on the validation pictures over the epochs, one line a run; for a single run also its training
curves, loss and learning rate. A published figure is a dashed line where the run repeats the paper's (its number of
classes, size, schedule and network), and for every run of a paper's strategy with `--published`. With `--gains`, draws
instead by how many points each run is better at Top-1 than its baseline, which is to be among them: the paired
difference with its 95 % interval over pictures, beside the published one. Prints the picture's name.
"""

import argparse
from pathlib import Path

from saliency_keras import console


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    what = "The curves of several runs in one picture, or what each gained over its baseline."
    parser = argparse.ArgumentParser(prog="python -m saliency_keras.plot", description=what)
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="folders of finished runs")
    gains = "draw gains over the baselines among the runs, with intervals, instead of curves"
    parser.add_argument("--gains", action="store_true", help=gains)
    published = "draw what the papers print though classes or schedule differ from the paper's"
    parser.add_argument("--published", action="store_true", help=published)
    where = "a .png, .pdf or .svg (default: %(default)s)"
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("comparison.png"), help=where)
    options = parser.parse_args(arguments)

    from saliency_keras.figures import curves, style
    from saliency_keras.figures.intervals import gain_panels, intervals_figure
    from saliency_keras.runs.run import Run

    style.check_path(options.out)
    runs = [Run.load(folder) for folder in options.runs]
    if options.gains:
        figure = intervals_figure(gain_panels(runs))
    elif len(runs) == 1:
        figure = curves.run_figure(runs[0].config, runs[0].history, options.published)
    else:
        figure = curves.comparison_figure(runs, published=options.published)
    style.save(figure, options.out)
    print(options.out)


if __name__ == "__main__":
    console.run(main)
