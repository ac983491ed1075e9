"""The curves of several runs in one picture.

    python -m saliency_keras.plot RUN RUN … [--out comparison.png]

Draws Top-1 and Top-5 on the validation pictures over the epochs, one line a run, with the published figures dashed;
for a single run also its training curves, loss and learning rate. Prints the picture's name.
"""

import argparse
from pathlib import Path

from saliency_keras import console


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    what = "The curves of several runs in one picture."
    parser = argparse.ArgumentParser(prog="python -m saliency_keras.plot", description=what)
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="folders of finished runs")
    where = "a .png, .pdf or .svg (default: %(default)s)"
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("comparison.png"), help=where)
    options = parser.parse_args(arguments)

    from saliency_keras.figures import curves, style
    from saliency_keras.training.runs import Run

    style.check_path(options.out)
    runs = [Run.load(folder) for folder in options.runs]
    one = len(runs) == 1
    figure = curves.run_figure(runs[0].config, runs[0].history) if one else curves.comparison_figure(runs)
    style.save(figure, options.out)
    print(options.out)


if __name__ == "__main__":
    console.run(main)
