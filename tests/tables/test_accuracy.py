"""Tables of papers from run folders: parts add up, intervals are told for what they are, published stands beside."""

import re

import numpy as np
import pytest

from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.tables import TABLES
from saliency_keras.experiments.tables.controls import with_further_maps
from saliency_keras.experiments.tables.row import PaperTable, Row
from saliency_keras.figures.intervals import accuracy, difference
from saliency_keras.metrics.statistics import t_quantile, two_level_interval, wilson_interval
from saliency_keras.runs.predictions import Predictions
from saliency_keras.runs.run import Run
from saliency_keras.tables.accuracy import accuracy_table
from saliency_keras.tables.attribution import PARTS, Attribution, attribution, attribution_figure, in_words
from saliency_keras.tables.results import Results
from tests.runs_fixture import CLASSES, write_run


@pytest.fixture(scope="module")
def controls(tmp_path_factory):
    """A run of every row of the controls, each a bit better than the last."""
    return results_of(TABLES["controls"], tmp_path_factory.mktemp("runs"))


def predictions(right, ids=None):
    """`Predictions` of two classes that are right where they should be."""
    labels = np.zeros(len(right), "int32")
    ids = np.char.mod("%05d", np.arange(len(right)) if ids is None else ids)
    ranks = np.where(right, 0, 1).astype("int32")
    return Predictions(ids, labels, ranks, np.stack([ranks, 1 - ranks], 1), ("cat", "dog"), "val", "d1")


def results_of(table, folder):
    runs = {}
    for place, row in enumerate(table.rows):
        skill = 0.5 + 0.1 * place
        chosen = {
            "maps": row.maps,
            "skill": skill,
            "seed": place % 3,
            "published": EXPERIMENTS[row.experiment].published,
        }
        runs[row.name] = [Run.load(write_run(folder / row.name, row.experiment, **chosen))]
    return Results(table, runs)


@pytest.mark.parametrize("classes", [5, 6])
def test_a_table_has_top5_only_where_it_can_be_wrong(tmp_path, classes):
    table = PaperTable("small", "accuracy", (Row("rgb"), Row("fanin3", baseline="rgb")))
    runs = {name: [Run.load(write_run(tmp_path / name, name, classes=CLASSES[:classes]))] for name in ("rgb", "fanin3")}
    header, rows, numbers, lines = accuracy_table(Results(table, runs))
    assert any("Top-5" in title for title in header) == (classes == 6)
    assert {len(row) for row in rows} == {len(header)}
    assert "top5" in numbers  # table.csv keeps its columns
    assert {len(line) for line in lines} == {len(numbers)}


def test_parts_of_a_gain_add_up_to_the_whole(controls):
    found = attribution(controls)
    for strategy in ("fanin3", "fanin1", "rgbs"):
        lines = {what: figure.value for one, what, _, _, figure in found if one == strategy}
        parts = sum(lines[what] for what, _, _ in PARTS)
        assert parts == pytest.approx(lines["the whole gain"], abs=1e-12)
        own, baseline = strategy, "rgb_mean" if strategy == "rgbs" else "rgb"
        tops = [controls.runs[name][0].predictions.correct().mean() for name in (own, baseline)]
        assert lines["the whole gain"] == pytest.approx(tops[0] - tops[1], abs=1e-12)


def test_a_further_map_s_gain_is_taken_apart_beside_the_interleaved_one_s(tmp_path):
    """Parts add up for both; `center` and `uniform` are nobody's, so they are not trained again."""
    table = with_further_maps(TABLES["controls"], ("readout",))
    added = {row.name for row in table.rows} - {row.name for row in TABLES["controls"].rows}
    assert {name for name in added if name.startswith("fanin2")} == {
        "fanin2-readout", "fanin2-readout-shuffled", "fanin2-readout-shuffled_in_class"
    }  # fmt: skip
    results = results_of(table, tmp_path)
    found = attribution(results)
    for strategy in ("fanin3", "fanin1", "fanin2", "rgbs", "rgb_1s2s"):
        of = {panel: {line[1]: line for line in found if line[0] == panel} for panel, *_ in found}
        gbvs, readout = of[f"{strategy}, gbvs"], of[f"{strategy}, readout"]
        for lines in gbvs, readout:
            parts = sum(lines[what][4].value for what, _, _ in PARTS)
            assert parts == pytest.approx(lines["the whole gain"][4].value, abs=1e-12)
        assert readout[PARTS[2][0]][2:4] == (
            f"{strategy}-readout-shuffled_in_class", f"{strategy}-readout-shuffled"
        )  # fmt: skip
        assert readout["architecture, parameters"][2:4] == gbvs["architecture, parameters"][2:4]
        gains = [lines["the whole gain"][4].value for lines in (gbvs, readout)]
        assert readout["instead of the maps of gbvs"][4].value == pytest.approx(gains[1] - gains[0], abs=1e-12)
    assert attribution_figure(results).axes


def test_fan_in_3_is_also_compared_with_its_twins_without_saliency(controls):
    pairs = {(one, other) for strategy, _, one, other, _ in attribution(controls) if strategy == "fanin3"}
    assert {("noconv2", "rgb"), ("noconv2_pooled", "rgb"), ("fanin3", "noconv2"), ("fanin3", "fanin3_doubled")} <= pairs


def test_attribution_is_written_with_a_figure(controls, tmp_path):
    text = Attribution().write(controls, tmp_path)
    words = " ".join(text.split())
    assert "`shuffled_in_class` gives the label away" in words
    assert text.startswith("# What the gain of each strategy is due to\n")
    assert "Data set compact/imagenette (d1d1d1d1d1d1, 7 classes), 128 px" in text
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "table.csv", "attribution.png", "curves.png"}
    assert (tmp_path / "attribution.png").read_bytes().startswith(b"\x89PNG")


def test_the_division_is_told_in_words_with_the_figures_of_the_table(controls):
    found = attribution(controls)
    lines = {what: figure for one, what, _, _, figure in found if one == "rgbs"}
    (told,) = (one for one in in_words(found) if one.startswith("rgbs: "))
    whole, *parts = (float(number) for number in re.findall(r"([+-][0-9.]+) \(", told))
    assert whole == pytest.approx(100 * lines["the whole gain"].value, abs=0.051)
    assert parts == pytest.approx([100 * lines[what].value for what, _, _ in reversed(PARTS)], abs=0.051)
    assert sum(parts) == pytest.approx(whole, abs=0.25)


def test_interval_of_a_table_s_rows_is_over_seeds_and_pictures_with_the_spread_of_all_rows(tmp_path):
    """Two seeds of three rows: the spread of the gains is pooled over the two rows that have a baseline."""
    names = {"rgb": 1.0, "fanin1": 1.3, "fanin2": 0.8}
    rows = tuple(Row(name, baseline="" if name == "rgb" else "rgb") for name in names)
    runs = {
        name: [Run.load(write_run(tmp_path / f"{name}-{seed}", name, seed=seed, skill=skill)) for seed in range(2)]
        for name, skill in names.items()
    }
    right = {name: np.stack([run.predictions.correct() for run in of]).astype(float) for name, of in runs.items()}
    results = Results(PaperTable("made", "accuracy", rows), runs)
    gains = {name: right[name] - right["rgb"] for name in ("fanin1", "fanin2")}
    squares = sum(((gain.mean(axis=1) - gain.mean()) ** 2).sum() for gain in gains.values())
    for name, gain in gains.items():
        found = results.difference(name, "rgb")
        assert found.value == pytest.approx(gain.mean())
        assert found.seeds == pytest.approx(gain.mean(axis=1))
        assert (found.low, found.high) == pytest.approx(two_level_interval(gain, spread=(np.sqrt(squares / 2), 2)))
    accuracies = [one.mean(axis=1) for one in right.values()]
    spread = np.sqrt(sum(((one - one.mean()) ** 2).sum() for one in accuracies) / 3)
    found = results.accuracy("fanin1")
    assert (found.low, found.high) == pytest.approx(two_level_interval(right["fanin1"], spread=(spread, 3)))


def test_interval_is_wilson_s_for_one_run_over_pictures_for_two_and_over_seeds_for_three():
    draw = np.random.default_rng(0)
    runs = [draw.random(200) < 0.6 for _ in range(3)]
    tested = [predictions(run) for run in runs]
    one = accuracy(tested[:1])
    assert (one.low, one.high) == wilson_interval(int(runs[0].sum()), 200)
    two = accuracy(tested[:2])
    spread = np.mean(runs[:2], axis=0).std() / np.sqrt(200)
    assert two.high - two.low == pytest.approx(2 * 1.96 * spread, rel=0.05)
    three = accuracy(tested)
    means = [run.mean() for run in runs]
    half = t_quantile(0.95, 2) * np.std(means, ddof=1) / np.sqrt(3)
    assert (three.low, three.high) == pytest.approx((np.mean(means) - half, np.mean(means) + half))


def test_a_picture_that_both_repeats_were_tested_on_counts_once_in_the_interval():
    right = np.random.default_rng(1).random(300) < 0.6
    alone = accuracy([predictions(right)])
    same = accuracy([predictions(right), predictions(right)])
    others = accuracy([predictions(right), predictions(right, 300 + np.arange(300))])
    assert same.high - same.low == pytest.approx(alone.high - alone.low, rel=0.05)
    assert others.high - others.low == pytest.approx((alone.high - alone.low) / np.sqrt(2), rel=0.05)


def test_difference_is_paired_picture_by_picture():
    before = np.arange(100) < 50
    better = before | (np.arange(100) >= 95)  # five pictures gained, none lost: much narrower than two samples' error
    backwards = predictions(before[::-1], np.arange(100)[::-1])  # pictures are matched by id, not by place
    found = difference([predictions(better)], [backwards])
    assert found.value == pytest.approx(0.05)
    assert 0 < found.low < 0.05 < found.high <= 0.1


def test_gain_of_full_size_is_the_one_the_text_prints_not_the_difference_at_128_px(tmp_path):
    table = TABLES["thesis-227"]
    runs = {}
    for row in table.rows:
        published = {"top1": 0.4, "top5": 0.6}
        runs[row.name] = [Run.load(write_run(tmp_path / row.name, row.experiment, published=published, side=227))]
    header, _, names, rows = accuracy_table(Results(table, runs))
    gains = {row[0]: row[names.index("published_gain")] for row in rows}
    sides = dict.fromkeys(("rgb-side227", "rgb_mean-side227", "rgbs-side227"))
    assert gains == {**sides, "fanin1-side227": 0.0135}
    assert all(row[names.index("published_top1")] is None for row in rows)  # Table 4.1 is of 128 px
    assert len(header) == len(set(header)) == 18  # no two columns are called alike


def test_gains_are_a_row_less_its_own_baseline_ours_and_theirs(tmp_path):
    table = TABLES["thesis-4.1"]
    _, _, names, rows = accuracy_table(results_of(table, tmp_path))
    found = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
    baselines = {row.name: row.baseline for row in table.rows if row.baseline}
    assert len(baselines) == 5
    for name, baseline in baselines.items():
        gain = found[name]["top1"] - found[baseline]["top1"]
        assert gain != 0
        assert found[name]["gain"] == pytest.approx(gain, abs=1e-9)
        assert found[name]["gain_low"] < gain < found[name]["gain_high"]
    printed = {"rgbs": 0.0060, "rgb_1s2s": 0.0025, "fanin1": 0.0172, "fanin2": 0, "fanin3": 0.1239}
    assert {name: found[name]["published_gain"] for name in printed} == pytest.approx(printed)
    assert all(found[name]["gain"] is None for name in found.keys() - baselines.keys())
    assert not any(found[name]["published_top1"] for name in found)  # of a thousand classes, ours are seven


def test_the_paper_s_accuracies_stand_beside_another_set_on_request(tmp_path):
    _, _, names, rows = accuracy_table(results_of(TABLES["thesis-4.1"], tmp_path), published=True)
    found = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
    assert (found["fanin3"]["published_top1"], found["rgb_mean"]["published_top5"]) == (0.4899, 0.6021)


def test_top_5_improvement_is_a_column_of_its_own_ours_and_theirs(tmp_path):
    header, _, names, rows = accuracy_table(results_of(TABLES["thesis-4.1"], tmp_path))
    assert "Top-5 improvement, points" in header
    found = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
    # Table 4.1: RGBS 60.35 - 60.21, RGB-1S-2S 60.62 - 60.21; Fan-in 62.69, 61.40, 72.80, each less 60.91.
    printed = {"rgbs": 0.0014, "rgb_1s2s": 0.0041, "fanin1": 0.0178, "fanin2": 0.0049, "fanin3": 0.1189}
    assert {name: found[name]["published_top5_gain"] for name in printed} == pytest.approx(printed)
    for name, baseline in {"rgbs": "rgb_mean", "fanin3": "rgb"}.items():
        assert found[name]["top5_gain"] == pytest.approx(found[name]["top5"] - found[baseline]["top5"], abs=2e-6)
        assert found[name]["top5_gain_low"] <= found[name]["top5_gain"] <= found[name]["top5_gain_high"]


def test_intervals_of_accuracies_end_at_0_and_100():
    """Three seeds with 1, 3 and 5 of 100 right: t(2 degrees) is 4.303, so 3 ± 4.303 * 2 / root 3 = -1.97 to 7.97."""
    few = accuracy([predictions(np.arange(100) < right) for right in (1, 3, 5)])
    assert (few.value, few.low, few.high) == pytest.approx((0.03, 0, 0.03 + 0.04303 * 2 / 3**0.5), abs=1e-5)
    many = accuracy([predictions(np.arange(100) < right) for right in (99, 97, 95)])
    assert (many.low, many.high) == pytest.approx((0.97 - 0.04303 * 2 / 3**0.5, 1), abs=1e-5)
    # A difference may be below 0.
    assert difference([predictions(np.arange(100) < 1)], [predictions(np.arange(100) < 9)]).low < 0


def test_epochs_to_the_baseline_count_from_1(tmp_path):
    table = PaperTable("made", "accuracy", (Row("rgb"), Row("fanin3", baseline="rgb")))
    runs = {
        "rgb": [Run.load(write_run(tmp_path / "rgb", "rgb", skill=0.5))],
        "fanin3": [Run.load(write_run(tmp_path / "fanin3", "fanin3", skill=3.0))],
    }
    _, _, names, rows = accuracy_table(Results(table, runs))
    reached = rows[1][names.index("epochs_to_baseline")]
    history = runs["fanin3"][0].history["val_top1"]
    target = runs["rgb"][0].history["val_top1"][-1]
    assert history[reached - 1] >= target
    assert reached == 1 or history[reached - 2] < target
