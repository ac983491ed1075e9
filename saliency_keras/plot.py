"""The curves of several runs in one picture, or what each gained over its baseline.

    python -m saliency_keras.plot RUN RUN … [--gains] [--out comparison.png]

Draws Top-1 and Top-5 on the validation pictures over the epochs, one line a run, with the published figures dashed;
for a single run also its training curves, loss and learning rate. With `--gains`, draws instead by how many points each
run is better at Top-1 than its baseline, which is to be among them: the paired difference with its 95 % interval over
pictures, beside the published one. Prints the picture's name.
"""

from pathlib import Path

from saliency_keras import console


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="folders of finished runs")
    gains = "draw gains over the baselines among the runs, with intervals, instead of curves"
    parser.add_argument("--gains", action="store_true", help=gains)
    where = "a .png, .pdf or .svg (default: %(default)s)"
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("comparison.png"), help=where)
    options = parser.parse_args(arguments)

    from saliency_keras.figures import curves, style
    from saliency_keras.figures.gains import gains_figure
    from saliency_keras.runs.run import Run

    style.check_path(options.out)
    runs = [Run.load(folder) for folder in options.runs]
    if options.gains:
        figure = gains_figure(runs)
    elif len(runs) == 1:
        figure = curves.run_figure(runs[0].config, runs[0].history)
    else:
        figure = curves.comparison_figure(runs)
    style.save(figure, options.out)
    print(options.out)


if __name__ == "__main__":
    console.run(main)
