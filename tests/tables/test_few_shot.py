"""Table I and II of the hallucination paper from run folders, with the paper's figures where they can be trusted."""

import dataclasses
import json
import types

import numpy as np
import pytest

from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.hallucination import METHODS
from saliency_keras.experiments.published import TABLE_I, TABLE_III
from saliency_keras.figures.intervals import difference, intervals_figure
from saliency_keras.runs.run import Run
from saliency_keras.tables import few_shot
from saliency_keras.tables.fixations import fixations_table
from saliency_keras.tables.results import Results
from saliency_keras.tables.standard import standard_table
from tests.runs_fixture import write_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three repeats of two methods at two numbers of pictures; the repeats are of different pictures."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for method, skill in (("baseline_rgb", 1.0), ("approach_a", 2.0)):
        for shots in ("1", "K"):
            found[method, shots] = []
            for seed in range(3):
                name = f"{method}_alexnet-k{shots}-seed{seed}"
                run = Run.load(write_run(folder / name, f"{method}_alexnet", seed=seed, skill=skill, pictures=140))
                extra = {"test": {"pictures": 35, "right": 20 + seed, "top1": (20 + seed) / 35}}
                if method == "approach_a":
                    maps = {"all_zero": 0.25, "mean": 1.0, "variance": 0.5, "variance_of_pattern": 0.125}
                    extra["hallucinated_maps"] = maps
                found[method, shots].append(dataclasses.replace(run, summary={**run.summary, **extra}))
    return found


def test_rows_have_both_accuracies_and_the_paired_gain(runs):
    _, _, names, rows = few_shot.few_shot_table(runs, "Flowers")
    assert [(row[0], row[1]) for row in rows] == [
        ("1", "baseline_rgb"), ("K", "baseline_rgb"), ("1", "approach_a"), ("K", "approach_a"),
        ("mean", "baseline_rgb"), ("mean", "approach_a"),
    ]  # fmt: skip
    row = dict(zip(names, rows[2], strict=True))
    assert row["top1"] == pytest.approx(21 / 35, abs=1e-6)
    gains = [
        one.predictions.correct().mean() - other.predictions.correct().mean()
        for one, other in zip(runs["approach_a", "1"], runs["baseline_rgb", "1"], strict=True)
    ]
    assert row["gain"] == pytest.approx(np.mean(gains), abs=1e-6)
    assert row["published"] == pytest.approx(0.369)
    assert [row[f"maps_{name}"] for name in few_shot.MAP_FACTS] == [0.25, 1.0, 0.5, 0.125]
    assert row["repeats"] == 3
    assert dict(zip(names, rows[0], strict=True))["gain"] is None


def gain_of(first, second):
    before = dict(zip(second.ids, second.ranks == 0, strict=True))
    return {picture: float(rank == 0) - before[picture] for picture, rank in zip(first.ids, first.ranks, strict=True)}


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_average_over_numbers_of_pictures_takes_each_picture_once(runs, repeats):
    few = {key: found[:repeats] for key, found in runs.items()}
    _, _, names, rows = few_shot.few_shot_table(few, "Flowers")
    row = dict(zip(names, rows[-1], strict=True))
    assert (row["shots"], row["method"], row["top1"], row["maps_all_zero"]) == ("mean", "approach_a", None, 0.25)
    assert row["published"] == pytest.approx((0.369 + 0.920) / 2, abs=1e-6)
    gains = [
        [gain_of(few["approach_a", k][seed].predictions, few["baseline_rgb", k][seed].predictions) for k in "1K"]
        for seed in range(repeats)
    ]
    of_seed = [np.mean([np.mean(list(one.values())) for one in pair]) for pair in gains]
    assert row["gain"] == pytest.approx(np.mean(of_seed), abs=1e-6)
    half = (row["gain_high"] - row["gain_low"]) / 2
    if repeats == 3:
        assert half == pytest.approx(4.302653 * np.std(of_seed, ddof=1) / 3**0.5, abs=1e-6)
        return
    sums, counts = {}, {}
    for one in (one for pair in gains for one in pair):
        for picture, value in one.items():
            sums[picture], counts[picture] = sums.get(picture, 0) + value, counts.get(picture, 0) + 1
    sums, counts = np.array(list(sums.values())), np.array(list(counts.values()))
    drawn = np.random.default_rng(5).integers(len(sums), size=(4000, len(sums)))
    assert half == pytest.approx(1.96 * np.std(sums[drawn].sum(1) / counts[drawn].sum(1)), rel=0.1)


def test_cells_of_birds_that_are_a_copy_are_not_shown():
    assert few_shot.published("Birds", "baseline_rgb", "10") == 37.8
    assert few_shot.published("Birds", "baseline_rgb", "15") is None
    assert few_shot.published("Birds", "baseline_rgb", "K") is None
    assert few_shot.published("Birds", "smic", "15") == 44.3


def test_averages_of_table_i_are_those_the_paper_prints_where_it_adds_up():
    averages = {"SMIC": 72.7, "Approach A": 72.0, "Approach B": 72.6, "Baseline-RGB + scratch SAL": 70.0}
    for method, average in averages.items():
        assert np.mean(TABLE_I["Flowers"][method]) == pytest.approx(average, abs=0.051)
    assert np.mean(TABLE_I["Flowers"]["Baseline-RGB"]) == pytest.approx(68.49)  # printed 68.3


def run_of(classes, **changed):
    """A stand-in for a run of `smic_alexnet` on so many classes, in a folder that is called like another set."""
    experiment = EXPERIMENTS["smic_alexnet"].replace(**{"few_shot": "5", **changed})
    experiment = json.loads(json.dumps(dataclasses.asdict(experiment)))
    data = {"folder": "compact/my_flowers", "classes": classes}
    return types.SimpleNamespace(config={"experiment": experiment, "data": data})


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run_of(102)], "Flowers"),
        ([run_of(196), run_of(196, few_shot="K")], "Cars"),
        ([run_of(200)], "Birds"),
        ([run_of(17)], None),
        ([run_of(102), run_of(200)], None),
        ([run_of(102, side=128)], None),
        ([run_of(102, few_shot_splits="official")], None),
        ([run_of(102, weights="alexnet.npy", few_shot_list="drawn.csv")], "Flowers"),
        ([run_of(102, epochs=25)], None),
        ([run_of(102), run_of(102, learning_rate=0.005)], None),
        ([run_of(102, skip=False)], None),
    ],
)
def test_published_set_is_told_by_classes_and_settings_not_by_the_folder_s_name(runs, expected):
    assert few_shot.published_set(Results(None, {"smic_alexnet": runs})) == expected


@pytest.mark.parametrize("like", ["Flowers", None])
def test_figure_has_a_line_a_method_and_axes_with_units(runs, like):
    figure = few_shot.few_shot_figure(runs, like)
    (ax,) = figure.axes
    assert len(ax.containers) == 2
    assert ax.get_xlabel() == "training pictures per class"
    assert "%" in ax.get_ylabel()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "K"]


def test_gains_stand_beside_the_published_ones_of_the_same_k(runs):
    figure = intervals_figure(few_shot.gain_panels(runs, "Flowers"))
    assert [ax.get_title("left") for ax in figure.axes] == [
        "1 training picture per class, against Baseline-RGB", "K training pictures per class, against Baseline-RGB",
        "mean of 1, K training pictures per class, against Baseline-RGB",
    ]  # fmt: skip
    tested = [[one.predictions for one in runs[method, "1"]] for method in ("approach_a", "baseline_rgb")]
    drawn = [line.get_xdata() for line in figure.axes[0].lines]
    assert [100 * difference(*tested).value] in [list(xs) for xs in drawn]
    assert any(np.allclose(xs, 36.9 - 31.8) for xs in drawn)  # Table I
    assert few_shot.gain_panels({("baseline_rgb", "1"): runs["baseline_rgb", "1"]}, None) == {}


def test_standard_split_has_the_other_systems_published_rows_after_ours(runs):
    alone = {method: repeats[:1] for (method, shots), repeats in runs.items() if shots == "K"}
    header, rows, names, csv_rows = standard_table(alone, "Birds")
    assert header[-1] == "paper's %, Birds"
    by_name = {row[0]: row for row in rows}
    assert by_name[METHODS["approach_a"]][-1] == 84.8
    assert by_name["MA-CNN"][1] is None
    assert by_name["MA-CNN"][-1] == 86.5
    assert "Ge-Yu" not in by_name  # no figure for birds
    assert len(csv_rows) == len(rows)
    *_, elsewhere = standard_table(alone, "Birds", of_paper=False)  # AlexNet's, in ResNet's table
    elsewhere = {row[0]: row[-1] for row in elsewhere}
    assert elsewhere["approach_a"] is None
    assert elsewhere["Approach A, the paper's"] == pytest.approx(0.848)
    fractions = {row[0]: row[names.index("published_Birds")] for row in csv_rows}
    assert fractions["approach_a"] == pytest.approx(0.848)
    assert fractions["MA-CNN"] == pytest.approx(0.865)


def test_table_iii_pairs_our_predictors_with_the_paper_s():
    from saliency_keras.metrics.fixation_metrics import METRICS
    from saliency_keras.scoring.fixation_scores import Protocol, Scores

    values = np.arange(16, dtype=float).reshape(2, 8)
    named = {"step1": values, "gbvs": values + 1, "fixations": values + 2, "SalGAN": values + 3, "human": values}
    scores = Scores("osie", ("a", "b"), named, Protocol(), ())
    header, rows, _, _ = fixations_table(scores, "step1")
    by_name = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert by_name["step1"]["AUC-Judd"] == f"{values[:, METRICS.index('AUC-Judd')].mean():.3f}"
    assert by_name["step1"]["paper's AUC, Toronto"] == f"{TABLE_III['Toronto']['Our Approach (Step I)'][0]:.3f}"
    assert by_name["gbvs"]["paper's sAUC, SID4VAM"] == "0.628"
    # The paper's ground truth has KL 0 and SIM 1: the density against itself, not people predicted by each other.
    assert (by_name["fixations"]["paper's KL, Toronto"], by_name["fixations"]["paper's SIM, Toronto"]) == (
        "0.000",
        "1.000",
    )
    assert by_name["human"]["paper's KL, Toronto"] is None
    assert by_name["SalGAN"]["paper's AUC, Toronto"] == "0.818"  # a folder of maps of that name
    assert by_name["SalGAN"]["KL"] is not None
    assert by_name["DeepGazeII"]["KL"] is None
    assert "GroundTruth (Humans)" not in by_name


def test_without_a_set_of_the_paper_s_its_figures_stand_beside_none_of_our_rows(runs):
    alone = {method: repeats[:1] for (method, shots), repeats in runs.items() if shots == "K"}
    header, rows, _, _ = standard_table(alone, None)
    assert header[-3:] == ["paper's %, Flowers", "paper's %, Cars", "paper's %, Birds"]
    by_name = {row[0]: row for row in rows}
    assert by_name["Approach A"][-3:] == [None] * 3
    assert by_name["Approach A, the paper's"][-3:] == [97.3, 91.7, 84.8]
