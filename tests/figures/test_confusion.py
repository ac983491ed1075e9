"""The confusion matrix: counted by hand, a figure of few classes and a list of many."""

import numpy as np

from saliency_keras.figures.confusion import confusion, confusion_blocks
from saliency_keras.figures.document import Figures, Table
from saliency_keras.runs.run import Run
from tests.runs_fixture import write_predictions, write_run


def run_that_says(folder, first, labels, classes):
    write_run(folder, classes=classes)
    write_predictions(folder / "predictions.h5", np.eye(len(classes))[first], np.array(labels), classes)
    return Run.load(folder)


def test_rows_are_true_classes_and_columns_what_was_said(tmp_path):
    run = run_that_says(tmp_path / "run", [0, 0, 1, 2, 2, 2], [0, 0, 0, 1, 1, 2], ("cat", "dog", "gar"))
    assert confusion(run.predictions).tolist() == [[2, 1, 0], [0, 0, 2], [0, 0, 1]]
    (block,) = confusion_blocks(run, "fanin3")
    assert isinstance(block, Figures)
    assert "cat: 67 % right; dog: 100 % taken for gar; gar: 100 % right" in block.pictures[0].caption


def test_of_many_classes_the_largest_confusions_are_listed(tmp_path):
    classes = tuple(f"class {index}" for index in range(30))
    labels = [0] * 5 + [1] * 3 + [2] * 4
    run = run_that_says(tmp_path / "run", [7] * 5 + [8, 8, 1] + [2] * 4, labels, classes)
    _, table = confusion_blocks(run, "fanin3")
    assert isinstance(table, Table)
    assert table.rows == [["class 0", "class 7", 5, 5], ["class 1", "class 8", 2, 3]]
