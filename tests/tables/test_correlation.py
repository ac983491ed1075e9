"""Accuracy against saliency: correlations, a table that says which read-outs are untrained, a legible plot."""

import types

import numpy as np
import pytest

from saliency_keras.experiments.tables import TABLES
from saliency_keras.tables.correlation import Measured, correlation_figure, correlation_table, correlations, write

CENTER = {"NSS": 0.8, "CC": 0.29, "AUC-Judd": 0.72}


def measured(name, right, nss):
    scores = {"NSS": nss, "CC": 0.1 + nss / 4, "AUC-Judd": 0.6 + nss / 10}
    summary = {
        "held_out": {
            who: {metric: {"mean": value, "standard_error": 0.03} for metric, value in values.items()}
            for who, values in (("run", scores), ("center", CENTER))
        },
        "beats_center": nss > 0.8,
        "pictures": {"train": 561, "validation": 139},
    }
    arguments = {"height": 192, "width": 256}
    experiment = {"name": "readout_bi", "epochs": 10, "loss": "divergence", "arguments": arguments}
    config = {"experiment": experiment, "data": {"folder": "osie"}}
    return Measured(name, right, 1000, 1_234_567, types.SimpleNamespace(summary=summary, config=config))


BACKBONES = [
    measured(f"network{number}", right, nss)
    for number, (right, nss) in enumerate(((310, 0.6), (420, 0.9), (510, 1.1), (640, 1.0), (655, 1.3), (930, 2.2)))
]


def test_correlations_are_numpys_for_every_metric():
    top1 = [one.right / 1000 for one in BACKBONES]
    nss = [one.run.summary["held_out"]["run"]["NSS"]["mean"] for one in BACKBONES]
    found = {(metric, kind): values for metric, kind, *values in correlations(BACKBONES)}
    assert set(found) == {(metric, kind) for metric in CENTER for kind in ("Pearson", "Spearman")}
    for metric in CENTER:  # all are linear in NSS here
        assert found[metric, "Pearson"][0] == pytest.approx(np.corrcoef(top1, nss)[0, 1])
    value, low, high = found["NSS", "Pearson"]
    assert -1 < low < value < high < 1
    assert correlations(BACKBONES[:2]) == []


def test_table_begins_with_the_most_accurate_and_says_what_is_untrained():
    _, rows, numbers, csv_rows = correlation_table(BACKBONES)
    assert [row[0] for row in rows] == [f"network{number}" for number in (5, 4, 3, 2, 1, 0)]
    assert [row[-1] for row in rows] == ["yes"] * 5 + ["no: untrained"]
    assert rows[0][1:3] == ["1,234,567", "93.0"]
    assert dict(zip(numbers, csv_rows[0], strict=True))["nss"] == 2.2


def test_figure_has_a_panel_a_metric_with_the_centre_and_every_backbone():
    axes = correlation_figure(BACKBONES).axes
    assert [ax.get_ylabel().split(",")[0].split(" ")[0] for ax in axes] == list(CENTER)
    for ax, value in zip(axes, CENTER.values(), strict=True):
        heights = {round(line.get_ydata()[0], 6) for line in ax.get_lines()}
        assert value in heights
        assert len(ax.texts) == len(BACKBONES)
        assert ax.get_title(loc="left").startswith("r = 0.9")


def test_table_without_variance_shows_a_dash(tmp_path):
    text = write(TABLES["accuracy-vs-saliency"], [BACKBONES[0]] * 3, "compact", tmp_path)
    line = next(line for line in text.splitlines() if "Pearson" in line)
    assert line.split() == ["|", "NSS", "|", "Pearson", "|", "–", "|", "–", "|"]
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "table.csv", "correlations.csv", "scatter.png"}
