"""Draws curves of several runs, their gains over baselines, or a network's diagram.

    python -m saliency_keras.plot RUN RUN … [--gains] [--published] [--out comparison.png]
    python -m saliency_keras.plot --network fanin3 [--out fanin3.png]

Draws Top-1 and Top-5 on the validation pictures over the epochs, one line a run; for a single run also its training
curves, loss and learning rate. A published figure is a dashed line where the run repeats the paper's (its number of
classes, size, schedule and network), and for every run of a paper's strategy with `--published`. With `--gains`, draws
instead by how many points each run is better at Top-1 than its baseline, which is to be among them, beside the
published difference. Runs that differ by their seed only are one line: the mean, each seed, and the 95 % interval over
seeds and pictures; with one seed of each run, the interval is over pictures only. With `--network`, draws the layers of
an experiment's network, or of a run's, with their sizes and where the saliency map enters. Prints the picture's name.
"""

from pathlib import Path

from saliency_keras import console


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="*", help="run folders; curves also of unfinished ones")
    network = "draw the diagram of this network instead: an experiment's name, or a run folder"
    parser.add_argument("--network", metavar="NAME", help=network)
    gains = "draw gains over the baselines among the runs, with intervals, instead of curves"
    parser.add_argument("--gains", action="store_true", help=gains)
    published = "draw what the papers print even if classes or schedule differ from the paper's"
    parser.add_argument("--published", action="store_true", help=published)
    where = "a .png, .pdf or .svg (default: comparison.png, of a network NAME.png)"
    parser.add_argument("--out", metavar="FILE", type=Path, help=where)
    options = parser.parse_args(arguments)
    if bool(options.runs) == bool(options.network):
        parser.error("give the folders of runs, or --network and the name of one")

    from saliency_keras.experiments import EXPERIMENTS
    from saliency_keras.figures import style
    from saliency_keras.runs.run import Run

    out = options.out or Path(f"{Path(options.network).name}.png" if options.network else "comparison.png")
    style.check_path(out)
    style.save(plot(options.runs, gains=options.gains, published=options.published, network=options.network), out)
    print(out)
    if options.network:
        known = options.network in EXPERIMENTS
        print(console.next_step("train" if known else "evaluate", options.network))
        return
    console.say(_conclusion([Run.load(folder, begun=True) for folder in options.runs]))
    print(console.next_step("report", *options.runs, why="the same with maps and cases"))


def _conclusion(runs):
    """What came out, in a sentence or two; of runs whose predictions do not compare, the figures of each."""
    from saliency_keras.figures.verdict import conclusion

    try:
        return conclusion(runs)
    except console.UserError:
        return "; ".join(map(str, runs))


def plot(runs=(), *, gains=False, published=False, network=None):
    """Draws the curves of runs, what each gained over its baseline, or the diagram of a network.

    Args:
        runs: A `Run` or the folder of one, for all its curves; or a list of them, to compare Top-1 and Top-5.
        gains: Draw gains over the baselines among the runs, with intervals, instead of curves.
        published: Whether a paper's figure stands beside every run of its strategy, whatever the data set.
        network: Name of an experiment, or the folder of a run, whose network to draw instead of curves.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        UserError: If one is no run or has no epoch yet, a gain of an unfinished one is asked for, the runs cannot be
            compared, or there is no such network.
    """
    if network is not None:
        from saliency_keras.figures.diagram import network_diagram
        from saliency_keras.runs.networks import network_named

        return network_diagram(*network_named(str(network)))
    from saliency_keras.figures import curves
    from saliency_keras.figures.intervals import gain_panels, intervals_figure
    from saliency_keras.runs.run import Run

    runs = [Run.of(one, begun=not gains) for one in (runs if isinstance(runs, list | tuple) else [runs])]
    if gains:
        return intervals_figure(gain_panels(runs))
    if len(runs) == 1:
        return curves.run_figure(runs[0].config, runs[0].history, published)
    return curves.comparison_figure(runs, published=published)


if __name__ == "__main__":
    console.run(main)
