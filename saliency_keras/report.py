"""One page about one or several runs; the further ones are compared with the first.

    python -m saliency_keras.report RUN RUN … [--out report.html]

Writes one HTML file that needs nothing else: accuracies with intervals, curves, the cases each run was surest of, the
accuracy of each class, and each further run compared with the first over the same pictures. Prints the file's name.
"""

from pathlib import Path

from saliency_keras import console, files


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="folders of finished runs of classifiers")
    where = "the page (default: %(default)s)"
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("report.html"), help=where)
    options = parser.parse_args(arguments)

    from saliency_keras.figures.document import html_page
    from saliency_keras.figures.report import report
    from saliency_keras.runs.labels import labels_of
    from saliency_keras.runs.run import Run

    files.check_file(options.out)
    runs = [Run.load(folder) for folder in options.runs]
    page = html_page(" · ".join(labels_of(runs)), report(runs))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with files.whole_file(options.out, "w", encoding="utf-8") as file:
        file.write(page)
    print(options.out)


if __name__ == "__main__":
    console.run(main)
