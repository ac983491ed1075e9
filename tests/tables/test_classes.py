"""The classes that gain most: gainers alone, luck told, and the thesis's own classes found in our runs."""

import types

import numpy as np
import pytest

from saliency_keras.experiments.published import IMAGENET_IDS, MOST_IMPROVED
from saliency_keras.experiments.tables import TABLES
from saliency_keras.runs.run import Run
from saliency_keras.tables.classes import Classes, class_table, places_of
from saliency_keras.tables.results import Results
from tests.runs_fixture import write_predictions, write_run

CLASSES = ("cat", "cradle", "space shuttle", "gar, garfish")
LABELS = np.repeat(np.arange(4), 20)


@pytest.fixture
def results(tmp_path):
    """`rgb` has all right but 12 cradles, and `fanin3` all but 2 cats: one class gains, one loses."""
    before, after = LABELS.copy(), LABELS.copy()
    before[20:32], after[:2] = 0, 1
    runs = {}
    for name, first in ("rgb", before), ("fanin3", after):
        folder = write_run(tmp_path / name, name, classes=CLASSES)
        write_predictions(folder / "predictions.h5", np.eye(4)[first], LABELS, CLASSES)
        runs[name] = [Run.load(folder)]
    return Results(TABLES["thesis-4.2"], runs)


def test_only_classes_that_gained_are_among_those_that_gained_most(results):
    header, rows, notes = class_table(results)
    ours = [dict(zip(header, row, strict=True)) for row in rows if row[1] == "ours"]
    # McNemar: 2 / 2**12 = 0.000488, 2 / 2**2 = 0.5, 1, 1; the first times 4 classes over rank 1: 0.00195.
    assert [(row["class"], row["right before"], row["right"], row["of"], row["q"]) for row in ours] == [
        ("cradle", 8, 20, 20, "0.002")
    ]
    assert notes[0].startswith("More than luck over the baseline: fanin3 1 of 4 classes gained, 0 lost.")


def test_the_thesis_s_classes_are_looked_up_in_our_run_beside_its_figures(results, tmp_path):
    header, rows, notes = class_table(results)
    theirs = [dict(zip(header, row, strict=True)) for row in rows if row[1] == "thesis"]
    # Table 4.2, Fan-in3: Cradle 46, French bulldog 43, Space shuttle 43; there is no bulldog here.
    assert [(row["rank"], row["class"], row["points"], row["paper's improvement %"]) for row in theirs] == [
        (1, "cradle", "+60", 46), (3, "space shuttle", "+0", 43)
    ]  # fmt: skip
    assert notes[1] == "Table 4.2 names classes that this set does not have: French bulldog."


def test_classes_are_found_by_imagenet_s_id_by_name_and_where_a_name_is_of_two_both():
    def run(classes, folders=()):
        data = {"source": {"class_folders": list(folders)}}
        return types.SimpleNamespace(predictions=types.SimpleNamespace(classes=classes), config={"data": data})

    assert places_of("Gar, garfish", run(("ox", "gar, garfish, garpike"))) == [1]
    assert places_of("Gar, garfish", run(("garfish", "gar"))) == [1]
    assert places_of("Crane", run(("crane", "crane (n03126707)", "whooping crane"))) == [0, 1]
    assert places_of("Crane", run(("bird", "chain", "machine"), ("n02012849", "n02999410", "n03126707"))) == [0, 2]
    assert places_of("French bulldog", run(("n02108915", "n02110341"))) == [0]
    assert places_of("French_bulldog".replace("_", " "), run(("French_bulldog", "dalmatian"))) == [0]
    assert {name for of in MOST_IMPROVED.values() for name, _ in of} == IMAGENET_IDS.keys()


def test_both_lists_are_written(results, tmp_path):
    results = Results(results.table, results.runs)
    text = Classes().write(results, tmp_path / "out")
    assert "The classes that Table 4.2 names, in our runs:" in text
    assert max(map(len, text.splitlines())) <= 100
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table.md", "table.csv"}
