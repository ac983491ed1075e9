"""Accuracy against saliency: correlations, a table that says which read-outs are untrained, legible plots."""

import csv
import math
import types

import numpy as np
import pytest

from saliency_keras.experiments.tables import TABLES
from saliency_keras.tables.correlation import (
    METRICS,
    Measured,
    Readout,
    correlation_figure,
    correlation_table,
    correlations,
    mean_and_error,
    whole_table,
    write,
)

CENTER = {"NSS": 0.8, "CC": 0.29, "AUC-Judd": 0.72, "AUC-Borji": 0.7, "sAUC": 0.5}


def readout(name, nss):
    """A read-out whose metrics are linear in an NSS; two held-out pictures, 0.1 above and below."""
    means = {"NSS": nss, "CC": 0.1 + nss / 4, "AUC-Judd": 0.6 + nss / 10, "AUC-Borji": 0.5 + nss / 10, "sAUC": nss / 4}
    scores = {
        who: np.array([[values[metric] + step for metric in METRICS] for step in (-0.1, 0.1)])
        for who, values in (("run", means), ("center", CENTER))
    }
    summary = {
        "beats_center": nss > 0.8,
        "pictures": {"train": 561, "validation": 139},
        "parameters": {"total": 2_345_678},
    }
    settings = {"name": name, "epochs": 10, "loss": "divergence", "height": 192, "width": 256}
    config = {"data": {"folder": "osie"}}
    return Readout(types.SimpleNamespace(summary=summary, config=config, settings=settings), scores)


def measured(name, own, linear, nss):
    readouts = {"readout_bi": readout("readout_bi", nss), "readout_dc": readout("readout_dc", 2 - nss)}
    return Measured(name, own and (own, 500), (linear, 1000), 1_234_567, readouts)


BACKBONES = [
    measured(f"network{number}", own, linear, nss)
    for number, (own, linear, nss) in enumerate(
        ((None, 310, 0.6), (250, 420, 0.9), (300, 510, 1.1), (290, 640, 1.0), (450, 655, 1.3), (None, 930, 2.2))
    )
]


def test_correlations_are_numpys_for_every_axis_read_out_and_metric():
    found = {tuple(key): values for *key, coefficient, low, high, count in correlations(BACKBONES)
             for values in [(coefficient, low, high, count)]}  # fmt: skip
    assert len(found) == 2 * 2 * len(METRICS) * 2
    top1 = {"own": [0.5, 0.6, 0.58, 0.9], "linear": [0.31, 0.42, 0.51, 0.64, 0.655, 0.93]}
    nss = {"own": [0.9, 1.1, 1.0, 1.3], "linear": [0.6, 0.9, 1.1, 1.0, 1.3, 2.2]}
    for axis in top1:
        expected = np.corrcoef(top1[axis], nss[axis])[0, 1]
        for metric in METRICS:  # all are linear in NSS here
            assert found[axis, "readout_bi", metric, "Pearson"][0] == pytest.approx(expected)
            assert found[axis, "readout_dc", metric, "Pearson"][0] == pytest.approx(-expected)
        assert found[axis, "readout_bi", "NSS", "Pearson"][3] == len(top1[axis])
    # Own Top-1 in ranks: 1, 3, 2, 4, as NSS. Linear: 1, 2, 3, 4, 5, 6 against 1, 2, 4, 3, 5, 6: 1 - 6 * 2 / (6 * 35).
    assert found["own", "readout_bi", "NSS", "Spearman"][0] == pytest.approx(1)
    assert found["linear", "readout_bi", "NSS", "Spearman"][0] == pytest.approx(1 - 12 / 210)
    value, low, high, _ = found["linear", "readout_bi", "NSS", "Pearson"]
    assert -1 < low < value < high < 1
    assert correlations(BACKBONES[:2]) == []


def test_a_metric_without_an_answer_has_no_correlation_and_no_mean():
    assert mean_and_error(np.array([1.0, math.nan, 2.0, 3.0])) == (2.0, pytest.approx(1 / 3**0.5))
    assert all(map(math.isnan, mean_and_error(np.array([math.nan]))))


def test_table_begins_with_the_best_classifier_and_says_what_is_untrained():
    header, rows, numbers, csv_rows = correlation_table(BACKBONES)
    # By its own Top-1 where there is one, then by the linear classifier's.
    assert [row[0] for row in rows][::2] == [f"network{number}" for number in (4, 2, 3, 1, 5, 0)]
    assert [row[1] for row in rows[:2]] == ["readout_bi", "readout_dc"]
    untrained = {(row[0], row[1]) for row in rows if row[header.index("beats centre")] == "no: untrained"}
    assert untrained == {("network0", "readout_bi"), ("network4", "readout_dc"), ("network5", "readout_dc")}
    first = dict(zip(header, rows[0], strict=True))
    assert (first["Top-1 %"], first["linear Top-1 %"], first["parameters"]) == ("90.0", "65.5", "1,234,567")
    assert first["NSS"] == "1.300 ± 0.100"  # two pictures, 1.2 and 1.4: standard deviation 0.1414, over root 2
    last = dict(zip(numbers, csv_rows[-2], strict=True))
    assert (last["backbone"], last["top1"], last["linear_top1"], last["nss"]) == ("network0", None, 0.31, 0.6)


def test_figure_has_a_panel_a_read_out_and_metric_with_the_centre_and_every_backbone():
    for axis, count in (("own", 4), ("linear", 6)):
        axes = correlation_figure(BACKBONES, axis).axes
        assert len(axes) == 2 * len(METRICS)
        for ax, value in zip(axes, [*CENTER.values()] * 2, strict=True):
            heights = {round(line.get_ydata()[0], 6) for line in ax.get_lines()}
            assert value in heights
            assert len(ax.texts) == count
        assert axes[0].get_title(loc="left").startswith("r = 0.9")
        assert axes[-1].get_title(loc="left").startswith("r = -0.9")
    assert correlation_figure([BACKBONES[0]], "own") is None


def test_initialisations_stand_beside_each_other_with_their_paired_difference():
    header, rows, numbers, csv_rows = whole_table(
        [("ResNet50-imagenet", readout("readout_bi", 2.0)), ("ResNet50-none", readout("readout_bi", 0.5))]
    )
    assert [row[0] for row in rows] == ["ResNet50-imagenet", "ResNet50, random weights", "difference, paired"]
    assert [row[header.index("NSS")] for row in rows] == ["2.000 ± 0.100", "0.500 ± 0.100", "1.500 ± 0.000"]
    assert [row[-1] for row in rows] == ["yes", "no: untrained", None]
    assert [row[numbers.index("nss")] for row in csv_rows] == pytest.approx([2.0, 0.5, 1.5])


def test_table_without_variance_shows_a_dash(tmp_path):
    text = write(TABLES["accuracy-vs-saliency"], [BACKBONES[1]] * 3, [], "compact", tmp_path)
    line = next(line for line in text.splitlines() if "| readout_bi |" in line and line.startswith("| Top-1 "))
    assert [cell.strip() for cell in line.split("|")] == ["", "Top-1", "readout_bi", "NSS", *["–"] * 4, ""]
    files = {"table.md", "table.csv", "correlations.csv", "scatter.png", "scatter-linear.png"}
    assert {path.name for path in tmp_path.iterdir()} == files
    with open(tmp_path / "correlations.csv", newline="") as file:
        assert {row["coefficient"] for row in csv.DictReader(file)} == {""}
    assert max(map(len, text.splitlines())) <= 100
