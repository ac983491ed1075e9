"""What a run got right, and whether it is better than another.

    python -m saliency_keras.evaluate RUN [--against RUN] [--out DIR]
    python -m saliency_keras.evaluate RUN RUN RUN --against RUN RUN RUN
    python -m saliency_keras.evaluate RUN+RUN+RUN

Prints Top-1 and Top-5 with 95 % intervals and the accuracy of each class; with `--against` also the difference over the
same pictures with its paired bootstrap interval, McNemar's exact test and the classes that gained and lost most. The
same text goes to `evaluation.md` and the classes to `per_class.csv` in the run folder or in DIR. Several runs that
differ by their seed only are one row: the mean, each seed, and the interval over seeds and pictures; rows are compared
seed by seed, and without --out their folder is NAME-seeds beside the first. Several runs joined by + are judged as one
classifier, the mean of their probabilities; their folder is one of that name beside the first.
"""

from pathlib import Path

from saliency_keras import console, files


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    several = "folder of a finished run; several seeds for one row, RUN+RUN for several as one classifier"
    parser.add_argument("runs", metavar="RUN", nargs="+", help=several)
    against = "what RUN is compared with, on the same pictures: another run, or the seeds of another row"
    parser.add_argument("--against", metavar="RUN", nargs="+", default=[], help=against)
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the tables go (default: the run folder)")
    options = parser.parse_args(arguments)

    from saliency_keras.figures.document import markdown, terminal
    from saliency_keras.figures.table import write_csv

    found, classes, sentence, folder = _judged(options.runs, options.against)
    out = options.out or folder
    files.check_folder(out)
    with files.claimed(out):
        with files.whole_file(out / "evaluation.md", "w", encoding="utf-8") as file:
            file.write(markdown(found))
        write_csv(out / "per_class.csv", *classes)
    print(terminal(found))
    print(f"written: evaluation.md and per_class.csv in {out}")
    console.say(sentence)
    print(console.next_step("report", *options.against, *options.runs, why="one page with figures"))


def _judged(words, against):
    """The document, the table of classes, the sentence, and the folder of some runs and those beside them."""
    from saliency_keras.figures import evaluation, seeds
    from saliency_keras.runs.ensemble import classifier_of

    runs, others = ([classifier_of(word) for word in one] for one in (words, against))
    if len(runs) == 1 and len(others) < 2:
        pair = runs[0], others[0] if others else None
        return evaluation.evaluation(*pair), evaluation.class_table(*pair), evaluation.verdict(*pair), runs[0].folder
    rows = seeds.rows_compared(runs, others)
    first = runs[0].folder
    folder = first if len(runs) == 1 else first.with_name(f"{first.name}-seeds")
    return seeds.seeds_evaluation(*rows), seeds.seeds_class_table(*rows), seeds.seeds_verdict(*rows), folder


def evaluate(run, against=None):
    """Tells what a run got right: Top-1 and Top-5 with intervals, and the accuracy of each class.

    Args:
        run: A `Run` of a classifier, the folder of one, or several folders joined by `+` as one classifier; or a list
            of runs that differ by their seed only, as one row.
        against: Another one to compare it with, tested on the same pictures, or `None`.

    Returns:
        A `figures.document.Document`, which shows itself in a notebook and in print.

    Raises:
        UserError: If one is no finished run of a classifier, the two were not tested on the same pictures, or runs of
            one row differ by more than their seed.
    """
    from saliency_keras.figures.document import Document

    runs, others = (list(one) if isinstance(one, list | tuple) else [one] for one in (run, against))
    return Document(_judged(runs, [] if against is None else others)[0])


if __name__ == "__main__":
    console.run(main)
