"""One page about one or several runs; the further ones are compared with the first.

    python -m saliency_keras.report BASELINE RUN … [--out report.html]

Writes one HTML file that needs nothing else: the answer and the gains with intervals on top, the set, what differs
between the runs, a diagram of each network, curves, each further run compared with the first over the same pictures,
those on which two runs disagree with map and Grad-CAM of both, confusion matrices, and the cases each run was surest
of. Prints the file's name.
"""

from pathlib import Path

from saliency_keras import console, files, run_folder


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    several = "folder of a run of a classifier; the first finished one is what the others are compared with"
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help=several)
    where = "the page (default: %(default)s)"
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("report.html"), help=where)
    options = parser.parse_args(arguments)

    from saliency_keras.figures.verdict import conclusion, what_is_compared
    from saliency_keras.runs.run import Run

    runs = [Run.load(folder, begun=True) for folder in options.runs]
    print(report(runs, out=options.out))
    finished = [run for run in runs if not run.unfinished]
    if len(finished) > 1:
        console.say(what_is_compared(finished))
    console.say(conclusion(finished) if finished else "; ".join(map(str, runs)))
    trained = [run.folder for run in runs if run_folder.has_network(run.folder)]
    if trained:
        print(console.next_step("classify", trained[-1], "photo.jpg", why="what it sees in a picture of yours"))
    else:
        print(console.next_step("evaluate", options.runs[-1], why="the accuracy of each class"))


def report(runs, *, out="report.html"):
    """Writes one page about runs, an HTML file that needs nothing else.

    Args:
        runs: A `Run` of a classifier or the folder of one, or a list of them; the first finished one is what the
            others are compared with, and unfinished ones are drawn.
        out: The file.

    Returns:
        The file's path.

    Raises:
        UserError: If one is no run of a classifier or has no epoch yet, the runs cannot be compared, or the file cannot
            be written.
    """
    from saliency_keras.figures import report as document
    from saliency_keras.figures.document import html_page
    from saliency_keras.runs.run import Run

    out = Path(out)
    files.check_file(out)
    runs = [Run.of(one, begun=True) for one in (runs if isinstance(runs, list | tuple) else [runs])]
    blocks = document.report(runs)
    page = html_page(blocks[0].text, blocks)
    out.parent.mkdir(parents=True, exist_ok=True)
    with files.whole_file(out, "w", encoding="utf-8") as file:
        file.write(page)
    return out


if __name__ == "__main__":
    console.run(main)
