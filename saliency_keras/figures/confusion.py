"""Which classes a network takes for which: the confusion matrix, or of many classes its largest entries."""

import numpy as np

from saliency_keras.figures import style
from saliency_keras.figures.document import Figures, Table, figure_picture

MOST = 20  # classes in a matrix that is legible on a phone; of more, the confusions are listed
LISTED = 12
LETTERS = 16  # of a class name


def confusion(predictions):
    """Counts what a network said of the pictures of each class.

    Args:
        predictions: `runs.run.Predictions`.

    Returns:
        int64 array `(classes, classes)`: row the true class, column the first choice.
    """
    classes = len(predictions.classes)
    pairs = predictions.labels.astype("int64") * classes + predictions.first[:, 0]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def confusion_blocks(run, label):
    """The confusion matrix of a run as a document's blocks.

    Args:
        run: `runs.run.Run`.
        label: What the run is called.

    Returns:
        A figure where there are few classes; else a table of the confusions that occur most.
    """
    predictions = run.predictions
    counts = confusion(predictions)
    if len(counts) <= MOST:
        figure = confusion_figure(counts, predictions.classes, label)
        return [Figures([figure_picture(figure, _in_words(counts, predictions))])]
    off = counts * ~np.eye(len(counts), dtype=bool)
    order = np.argsort(-off, axis=None, kind="stable")[:LISTED]
    rows = []
    for true, said in zip(*np.unravel_index(order, off.shape), strict=True):
        if off[true, said]:
            names = predictions.classes[true], predictions.classes[said]
            rows.append([*names, int(off[true, said]), int(counts[true].sum())])
    return [f"What {label} confuses most:", Table(["class", "taken for", "pictures", "of"], rows)] if rows else []


def confusion_figure(counts, classes, label):
    """Draws a confusion matrix: shares of each true class in percent, dark where they are large.

    Args:
        counts: int array `(classes, classes)`, row the true class.
        classes: Their names.
        label: What the run is called.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    names = [style.shortened(name, LETTERS) for name in classes]
    with np.errstate(invalid="ignore"):
        shares = np.nan_to_num(100 * counts / counts.sum(axis=1, keepdims=True))
    with style.look():
        figure = style.new_figure(5.2, 1.4 + 0.32 * len(names))
        ax = figure.subplots()
        ax.imshow(shares, cmap="Greys", vmin=0, vmax=100, aspect="auto")
        ax.grid(False)
        ax.set_xticks(range(len(names)), names, rotation=90)
        ax.set_yticks(range(len(names)), names)
        ax.set(xlabel="first choice", ylabel="true class")
        ax.set_title(f"{style.one_line(label)}: % of each true class", loc="left")
        if len(names) <= MOST // 2 + 2:
            for row, column in zip(*np.nonzero(counts), strict=True):
                colour = "white" if shares[row, column] > 55 else "black"
                ax.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=8, color=colour)
    return figure


def _in_words(counts, predictions):
    """The matrix for those who do not see it: what each class is taken for most."""
    told = []
    for index, row in enumerate(counts):
        if row.sum():
            most = int(row.argmax())
            share = f"{100 * row[most] / row.sum():.0f} %"
            as_what = "right" if most == index else f"taken for {predictions.classes[most]}"
            told.append(f"{predictions.classes[index]}: {share} {as_what}")
    return f"Confusion matrix, the largest share of each class. {'; '.join(told)}."
