"""What a run got right, and whether it is better than another.

    python -m saliency_keras.evaluate RUN [--against RUN] [--out DIR]
    python -m saliency_keras.evaluate RUN+RUN+RUN

Prints Top-1 and Top-5 with 95 % intervals and the accuracy of each class; with `--against` also the difference over the
same pictures with its paired bootstrap interval, McNemar's exact test and the classes that gained and lost most. The
same text goes to `evaluation.md` and the classes to `per_class.csv` in the run folder or in DIR. Several runs joined by
+ are judged as one classifier, the mean of their probabilities; their folder is one of that name beside the first.
"""

from pathlib import Path

from saliency_keras import console, files


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a finished run; RUN+RUN for several as one classifier")
    parser.add_argument("--against", metavar="RUN", help="another run, or several, tested on the same pictures")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the tables go (default: the run folder)")
    options = parser.parse_args(arguments)

    from saliency_keras.figures.document import markdown, terminal
    from saliency_keras.figures.evaluation import class_table, verdict
    from saliency_keras.figures.table import write_csv
    from saliency_keras.runs.ensemble import classifier_of

    run = classifier_of(options.run)
    against = classifier_of(options.against) if options.against else None
    out = options.out or run.folder
    files.check_folder(out)
    found = evaluate(run, against)
    with files.claimed(out):
        with files.whole_file(out / "evaluation.md", "w", encoding="utf-8") as file:
            file.write(markdown(found))
        write_csv(out / "per_class.csv", *class_table(run, against))
    print(terminal(found))
    print(f"written: evaluation.md and per_class.csv in {out}")
    console.say(verdict(run, against))
    print(console.next_step("report", *filter(None, [options.against, options.run]), why="one page with figures"))


def evaluate(run, against=None):
    """Tells what a run got right: Top-1 and Top-5 with intervals, and the accuracy of each class.

    Args:
        run: A `Run` of a classifier, the folder of one, or several folders joined by `+` as one classifier.
        against: Another one to compare it with, tested on the same pictures, or `None`.

    Returns:
        A `figures.document.Document`, which shows itself in a notebook and in print.

    Raises:
        UserError: If one is no finished run of a classifier, or the two were not tested on the same pictures.
    """
    from saliency_keras.figures.document import Document
    from saliency_keras.figures.evaluation import evaluation
    from saliency_keras.runs.ensemble import classifier_of

    return Document(evaluation(classifier_of(run), None if against is None else classifier_of(against)))


if __name__ == "__main__":
    console.run(main)
