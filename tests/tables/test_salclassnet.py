"""SalClassNet's tables: the chain of stages, mean class accuracy by hand, maps that move, regions inside pictures."""

import csv
import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep import compact, fixations
from saliency_keras import reproduce, train
from saliency_keras.console import UserError
from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.published import SALCLASSNET_4, SALCLASSNET_4_METRICS, SALCLASSNET_6
from saliency_keras.experiments.salclassnet import MCA
from saliency_keras.experiments.tables import TABLES, table
from saliency_keras.figures.intervals import mean_class
from saliency_keras.metrics.classification import mean_class_accuracy
from saliency_keras.metrics.fixation_metrics import METRICS
from saliency_keras.reproduce import main
from saliency_keras.runs.run import Run
from saliency_keras.scoring.fixation_scores import Protocol, Scores
from saliency_keras.tables.class_accuracy import ClassAccuracy, by_alpha, class_accuracy_table, staged_plan
from saliency_keras.tables.kind import kind_of
from saliency_keras.tables.plan import Choices, cost_of
from saliency_keras.tables.regions import Regions, region
from saliency_keras.tables.results import Results
from saliency_keras.tables.shift import MOVED, Shift, compared, shift_table
from saliency_keras.tables.top_down import TopDown, less_the_detector, papers_name, top_down_table
from tests.runs_fixture import write_predictions, write_run
from tests.small_sets import write_fixation_set, write_small_set

HERE, OUT = Path("set"), Path("out")


def by_name(runs):
    return {run.folder.name: run for run in runs}


def test_each_joined_run_starts_from_its_classifier_and_its_detector():
    choices = Choices(HERE, OUT, large=Path("large"), repeats=2)
    runs = by_name(staged_plan(TABLES["salclassnet-5"], choices, Path("osie")))
    joined = runs["salclassnet-seed1"]
    assert joined.parents == {
        "network": OUT / "runs" / "inception_rgbs-seed1",
        "saliency": OUT / "runs" / "salclassnet_detector",
    }
    assert runs["inception_rgbs-seed1"].parents == {"network": OUT / "runs" / "inception_pretrain"}
    assert runs["salclassnet_detector"].parents == {"network": OUT / "runs" / "salclassnet_osie"}
    assert (runs["salclassnet_osie"].data, runs["inception_pretrain"].data) == (Path("osie"), Path("large"))
    order = list(runs)
    for name, run in runs.items():
        assert all(order.index(folder.name) < order.index(name) for folder in run.needs)


def test_stages_without_data_are_left_out_and_what_follows_begins_with_other_weights():
    runs = by_name(staged_plan(TABLES["salclassnet-5"], Choices(HERE, OUT)))
    assert not {"salclassnet_osie", "inception_pretrain"} & runs.keys()
    for name in ("salclassnet_detector", "inception_rgb", "vgg_rgbs"):
        assert runs[name].parents == {}
        assert runs[name].experiment.start.weights == "imagenet"


def test_classes_are_kept_out_of_the_pre_training_alone(tmp_path):
    (tmp_path / "dogs.txt").write_text("poodle\n\nold, grey one\n")
    kind, table = ClassAccuracy(exclude_classes=str(tmp_path / "dogs.txt")), TABLES["salclassnet-5"]
    runs = by_name(kind.plan(table, Choices(HERE, OUT, large=Path("large"))))
    without = {name for name, run in runs.items() if run.experiment.pictures.exclude_classes}
    assert without == {"vgg_pretrain", "inception_pretrain", "resnet_pretrain"}
    assert runs["vgg_pretrain"].experiment.pictures.exclude_classes == ("poodle", "old, grey one")
    with pytest.raises(UserError, match=r"keeps classes out of the pre-training on a large set; give one: --large DIR"):
        kind.plan(table, Choices(HERE, OUT))
    with pytest.raises(UserError, match="this table has no such stage"):
        kind.plan(TABLES["salclassnet-6"], Choices(HERE, OUT, large=Path("large")))


def test_a_class_that_the_large_set_lacks_is_refused_before_anything_is_trained(tmp_path):
    for name in "here", "large":
        (tmp_path / name).mkdir()
        write_small_set(tmp_path / name, side=64, classes=3, train=(6,), val=(6,))
    words = ["salclassnet-5", "--data", tmp_path / "here", "--large", tmp_path / "large", "--out", tmp_path / "out"]
    words += ["--exclude-classes", "clas1", "--set", "side=64", "--set", "weights="]
    with pytest.raises(UserError, match=r"large has no class 'clas1' to exclude; it has 3 classes, such as class1"):
        main(list(map(str, words)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ('loss_weights={"logits":0,"map":1}', "alpha = 0"),
        ('loss_weights={"maps":1}', "of the outputs logits and map"),
        ("loss=mse", "the loss is one of"),
        ("detector=VGG19", "salclassnet_detector was trained with detector=VGG16"),
        ("backbone=VGG19", "resnet_rgbs was trained with backbone=VGG16"),
    ],
)
def test_a_mistake_in_the_last_stage_is_told_before_the_first(setting, says, tmp_path):
    (tmp_path / "set").mkdir()
    write_small_set(tmp_path / "set", side=64, classes=3, train=(6,), val=(6,))
    words = ["salclassnet-shift", "--data", tmp_path / "set", "--out", tmp_path / "out", "--epochs", "1"]
    for one in ("side=64", "weights=none", "backbone=VGG16", "detector=VGG16", f"salclassnet_resnet:{setting}"):
        words += ["--set", one]
    with pytest.raises(UserError, match=says):
        main(list(map(str, words)))
    assert not (tmp_path / "out" / "runs").exists()


def test_what_a_chain_costs_says_that_fixations_are_not_counted(tmp_path):
    write_small_set(tmp_path, side=64, classes=3, train=(6,), val=(6,))
    choices = Choices(tmp_path, OUT, repeats=1, settings=("side=64", "backbone=VGG16", "width_multiplier=0.05"))
    aside = "(what learns from fixations is not counted)"
    assert cost_of(staged_plan(TABLES["salclassnet-shift"], choices, Path("osie"))).endswith(aside)
    assert cost_of(staged_plan(TABLES["salclassnet-shift"], choices)).endswith("multiply-adds")


def test_controls_are_taught_their_maps_in_all_stages():
    runs = by_name(staged_plan(TABLES["salclassnet-controls"], Choices(HERE, OUT, repeats=1)))
    for maps in ("shuffled", "center", "uniform"):
        joined = runs[f"salclassnet_resnet-{maps}"]
        for run in (joined, *(runs[folder.name] for folder in joined.needs)):
            assert str(run.experiment.shown) == maps
    never = runs["salclassnet_resnet-never_taught"]
    assert never.experiment.loss_weights == {"logits": 0.2, "map": 0.0}
    assert {folder.name for folder in never.needs} == {"resnet_rgbs-uniform", "salclassnet_detector-uniform"}
    assert runs["salclassnet_resnet-frozen"].experiment.start.frozen == ("saliency",)
    longer = runs["resnet_rgb-on"].experiment
    assert (longer.start.fresh, longer.schedule.factors) == ((), {})


def test_one_row_of_the_controls_brings_what_it_starts_from_and_is_compared_with_and_no_other_control():
    choices = Choices(HERE, OUT, repeats=1, only=("salclassnet_resnet-shuffled",))
    assert set(by_name(staged_plan(TABLES["salclassnet-controls"], choices))) == {
        "salclassnet_detector-shuffled",
        "resnet_rgb",
        "resnet_rgbs-shuffled",
        "salclassnet_resnet-shuffled",
    }


@pytest.mark.parametrize("turn", [1, -1])
def test_settings_that_hold_only_together_are_taken_in_either_order(turn):
    """Features are kept of pictures that are always cropped alike."""
    settings = ("crops=center", "resnet_rgb:keep_features=true")[::turn]
    choices = Choices(HERE, OUT, repeats=1, settings=settings)
    runs = by_name(staged_plan(TABLES["salclassnet-controls"], choices))
    kept = {name for name, run in runs.items() if run.experiment.pictures.keep_features}
    assert kept == {"resnet_rgb", "resnet_rgb-on"}
    assert {run.experiment.pictures.crops for run in runs.values()} == {"center"}


def test_a_table_of_features_needs_a_large_set():
    with pytest.raises(UserError, match="--large DIR"):
        ClassAccuracy().plan(TABLES["salclassnet-6"], Choices(HERE, OUT))
    runs = by_name(ClassAccuracy().plan(TABLES["salclassnet-6"], Choices(HERE, OUT, large=Path("large"))))
    features = runs["salclassnet-features"]
    assert set(features.needs) == {OUT / "runs" / "salclassnet-large"}
    assert features.experiment.start.fresh == ("top",)
    assert set(features.experiment.start.frozen) == {"trunk", "saliency", "new_channel"}
    assert (features.data, runs["salclassnet-large"].data) == (HERE, Path("large"))


def test_last_layers_on_features_learn_alike_and_are_no_row_of_table_5(tmp_path):
    runs = by_name(ClassAccuracy().plan(TABLES["salclassnet-6"], Choices(HERE, OUT, large=Path("large"))))
    features = {name: run for name, run in runs.items() if name.endswith("-features")}
    assert {str(run.experiment.schedule.factors) for run in features.values()} == {"{'top': 50}"}
    chosen = Choices(HERE, OUT, large=Path("large"), settings=("resnet_rgb-features:factors={}",))
    changed = by_name(ClassAccuracy().plan(TABLES["salclassnet-6"], chosen))
    assert changed["resnet_rgb-features"].experiment.schedule.factors == {}
    made = {}
    for name, run in features.items():
        write_run(tmp_path / name, run.row.experiment)
        made[name] = [Run.load(tmp_path / name)]
        made[name][0].config["experiment"]["arguments"] = EXPERIMENTS[run.row.experiment].arguments
    header, rows, numbers, csv_rows = class_accuracy_table(Results(TABLES["salclassnet-6"], made))
    found = {row[0]: dict(zip(numbers, row, strict=True)) for row in csv_rows}
    assert {row["published"] for row in found.values()} == {None}
    assert found["inception_rgb-features"]["published_CUB-200-2011"] == 61.8
    places = {row[0]: row[header.index("in the paper")] for row in rows}
    in_table_6 = {name for name, place in places.items() if place == "Table 6"}
    assert in_table_6 == {"vgg_rgb-features", "inception_rgb-features", "salclassnet-features"}
    assert {places[name] for name in places.keys() - in_table_6} == {None}


def test_alphas_are_held_against_the_papers(tmp_path):
    runs = {}
    for alpha in (0.2, 0.8):
        folder = write_run(tmp_path / str(alpha), "salclassnet_resnet", seed=int(alpha * 10))
        runs[f"salclassnet_resnet-alpha{alpha}"] = [Run.load(folder)]
    header, rows, numbers, csv_rows = class_accuracy_table(Results(TABLES["salclassnet-alpha"], runs))
    found = {row[0]: dict(zip(numbers, row, strict=True)) for row in csv_rows}
    assert found["salclassnet_resnet-alpha0.2"]["twin"] is None
    assert found["salclassnet_resnet-alpha0.8"]["twin"] == "salclassnet_resnet-alpha0.2"
    assert {row[header.index("in the paper")] for row in rows} == {None}  # its Fig. 4 prints no figure


def test_the_page_has_the_figures_of_the_table_that_is_kept():
    root = Path(__file__).parents[2]
    page = (root / "docs" / "salclassnet.md").read_text(encoding="utf-8").splitlines()
    with open(root / "results" / "salclassnet" / "cub-10-controls" / "table.csv", newline="") as file:
        kept = list(csv.DictReader(file))
    assert {row["repeats"] for row in kept} == {"3"}
    rows = TABLES["salclassnet-controls"].rows
    assert {row["row"] for row in kept} == {row.name for row in rows if not row.preparation}
    for row in kept:
        (line,) = (line for line in page if line.startswith(f"| `{row['row']}` |") and line.count("|") == 8)
        for name, sign in (("mean_class_accuracy", ""), ("gain", "+"), ("less_twin", "+")):
            if row[name]:
                low, high = ("low", "high") if name == "mean_class_accuracy" else (f"{name}_low", f"{name}_high")
                figures = (format(100 * float(row[one]), f"{sign}.1f") for one in (name, low, high))
                assert "{} ({} to {})".format(*figures) in line
        assert not row["map_loss"] or f"| {float(row['map_loss']):.4f} |" in line


STUB = """#!{python}
import json, sys
with open({calls!r}, "a") as file:
    print(json.dumps(sys.argv[2:]), file=file)
"""


def test_the_page_s_commands_are_ones_that_the_programs_take(tmp_path, monkeypatch):
    """Its bash runs with another `python`, which notes what it is called with; tables are planned, not trained.

    Predictors among them are runs of commands before, which are not there.
    """
    monkeypatch.setattr(TopDown, "_sources", lambda self: (None, []))
    page = (Path(__file__).parents[2] / "docs" / "salclassnet.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(STUB.format(python=sys.executable, calls=str(tmp_path / "calls")))
    (tmp_path / "bin" / "python").chmod(0o755)
    write_fixation_set(tmp_path / "birds-val", pictures=3)
    (tmp_path / "cub-10").mkdir()
    (tmp_path / "cub-10" / "gaze.csv").write_text("image,subject,x,y\ntrain/a.jpg,1,2,3\nval/b.jpg,1,2,3\n")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    subprocess.run(["bash", "-euc", "\n".join(blocks)], cwd=tmp_path, check=True, env={**os.environ, "PATH": path})
    assert (tmp_path / "train.csv").read_text() == "image,subject,x,y\ntrain/a.jpg,1,2,3\n"
    assert (tmp_path / "val.csv").read_text() == "image,subject,x,y\nval/b.jpg,1,2,3\n"
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    monkeypatch.chdir(tmp_path)
    parsers = {"saliency_keras.train": train, "data_prep.compact": compact, "data_prep.fixations": fixations}
    tables, outs = [], set()
    for module, *words in calls:
        if module == "saliency_keras.reproduce":
            options = reproduce._parse(words)
            choices = Choices(options.data, options.out, options.large, options.epochs, options.repeats, options.only,
                              tuple(options.set))  # fmt: skip
            planned = kind_of(table(options.table), options).plan(table(options.table), choices)
            assert not any(run.experiment.schedule.epochs > 6 for run in planned)
            tables.append(options.table)
        else:
            options = parsers[module]._parser().parse_args(words)
        if module == "saliency_keras.train":
            assert {one.rpartition("=")[2] for one in options.init or ()} <= outs
            outs.add(str(options.out))
    names = ("controls", "alpha", "4", "shift", "regions", "4", "6")
    assert tables == [f"salclassnet-{name}" for name in names]


def test_mean_class_accuracy_counts_classes_alike():
    labels = np.array([0] * 90 + [1] * 8 + [3] * 2)
    correct = np.array([True] * 81 + [False] * 9 + [True] * 2 + [False] * 6 + [True] * 2)
    assert mean_class_accuracy(correct, labels) == pytest.approx((0.9 + 0.25 + 1.0) / 3)
    assert correct.mean() == 0.85


@pytest.fixture
def results(tmp_path):
    """Made-up runs of Table 5's rows on unbalanced classes."""
    random, labels = np.random.default_rng(0), np.array([0] * 40 + [1] * 10 + [2] * 5)
    runs = {}
    for name, skill in (("inception_rgb", 0.5), ("inception_rgbs", 1.0), ("salclassnet", 2.0)):
        folder = write_run(tmp_path / name, name, published={"mean_class_accuracy": MCA[name]})
        scores = random.normal(size=(55, 3)) + skill * np.eye(3)[labels]
        write_predictions(folder / "predictions.h5", scores, labels, ("a", "b", "c"))
        config = json.loads((folder / "config.json").read_text())
        config["experiment"]["arguments"] = EXPERIMENTS[name].arguments
        (folder / "config.json").write_text(json.dumps(config))
        runs[name] = [Run.load(folder)]
    runs["salclassnet"][0].summary["map_loss"] = 0.0123
    return Results(TABLES["salclassnet-5"], runs)


def test_table_5_has_the_papers_accuracies_and_gains_beside_ours(results):
    _, rows, numbers, csv_rows = class_accuracy_table(results)
    found = {row[0]: dict(zip(numbers, row, strict=True)) for row in csv_rows}
    for name, runs in results.runs.items():
        said = runs[0].predictions
        by_class = [said.correct()[said.labels == one].mean() for one in range(3)]
        assert found[name]["mean_class_accuracy"] == pytest.approx(np.mean(by_class), abs=1e-6)
        assert found[name]["top1"] == pytest.approx(said.correct().mean(), abs=1e-6)
        assert found[name]["published"] == MCA[name]
    gain = found["salclassnet"]["mean_class_accuracy"] - found["inception_rgb"]["mean_class_accuracy"]
    assert found["salclassnet"]["gain"] == pytest.approx(gain, abs=3e-6)
    assert found["salclassnet"]["published_gain"] == pytest.approx(0.705 - 0.671)
    assert found["salclassnet"]["gain_low"] <= gain <= found["salclassnet"]["gain_high"]
    assert found["inception_rgb"]["gain"] is None
    less = found["salclassnet"]["mean_class_accuracy"] - found["inception_rgbs"]["mean_class_accuracy"]
    assert found["salclassnet"]["twin"] == "inception_rgbs"
    assert found["salclassnet"]["less_twin"] == pytest.approx(less, abs=3e-6)
    assert "0.0123" in next(row for row in rows if row[0] == "salclassnet")


def test_each_control_is_held_against_the_row_with_the_own_maps(tmp_path):
    names = ("resnet_rgb", "resnet_rgb-on", "resnet_rgbs", "salclassnet_resnet", "salclassnet_resnet-shuffled")
    runs = {}
    for name in names:
        folder = write_run(tmp_path / name, name.partition("-")[0], skill=len(runs) / 2)
        runs[name] = [Run.load(folder)]
    _, _, numbers, csv_rows = class_accuracy_table(Results(TABLES["salclassnet-controls"], runs))
    found = {row[0]: dict(zip(numbers, row, strict=True)) for row in csv_rows}
    twins = {name: found[name]["twin"] for name in names}
    assert twins == dict.fromkeys(names) | {
        "salclassnet_resnet": "resnet_rgbs",
        "salclassnet_resnet-shuffled": "salclassnet_resnet",
    }
    first = {name: runs[name][0].predictions.first[:, 0] for name in names}
    others = (first["salclassnet_resnet-shuffled"] != first["salclassnet_resnet"]).sum()
    assert found["salclassnet_resnet-shuffled"]["other_answers"] == others > 0
    assert found["resnet_rgb"]["other_answers"] is None
    shuffled, own = (found[name]["mean_class_accuracy"] for name in names[:2:-1])
    assert found["salclassnet_resnet-shuffled"]["less_twin"] == pytest.approx(shuffled - own, abs=3e-6) != 0


def test_accuracy_and_the_map_s_loss_are_drawn_against_alpha(tmp_path):
    """Fig. 4's table, of made-up runs; the runs without alpha in their names are no points of the curve."""
    runs = {}
    for name, alpha in (
        ("resnet_rgb", None),
        ("salclassnet_resnet-alpha0.1", 0.1),
        ("salclassnet_resnet-alpha0.4", 0.4),
    ):
        run = Run.load(write_run(tmp_path / name, name.partition("-")[0], seed=len(runs)))
        if alpha:
            run.config["experiment"]["loss_weights"] = {"logits": alpha, "map": 1.0}
            run.summary["map_loss"] = {0.1: 0.11, 0.4: 0.41}[alpha]
        runs[name] = [run]
    results = Results(TABLES["salclassnet-alpha"], runs)
    assert [(alpha, loss) for alpha, _, loss in by_alpha(results)] == [(0.1, 0.11), (0.4, 0.41)]
    text = ClassAccuracy().write(results, tmp_path / "table")
    assert "0.1100" in text
    assert {"alpha.png", "gains.png", "table.csv", "table.md"} == {one.name for one in (tmp_path / "table").iterdir()}


def test_table_4_has_our_scores_beside_the_papers():
    values = {"salclassnet": 0.5, "fixations": 1.0, "center": 0.1}
    rows = {name: np.full((2, len(METRICS)), value) for name, value in values.items()}
    scores = Scores("set", ("a", "b"), rows, Protocol(), ())
    _, shown, header, csv_rows = top_down_table(scores)
    found = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in csv_rows}
    assert found["salclassnet"]["NSS"] == 0.5
    assert found["salclassnet"]["paper's NSS, POET"] == 1.908
    assert found["fixations"]["paper's sAUC, SalBirds"] == 0.743
    assert found["center"]["paper's CC, SalDogs"] is None
    assert found["Fine-tuned SALICON, the paper's"]["paper's sAUC, SalDogs"] == 0.837
    assert len(shown) == 3 + 4


def test_the_joined_maps_are_held_against_the_detector_s_picture_by_picture():
    """Means and standard errors again by hand; a picture without a number in one of both is left out."""
    random = np.random.default_rng(0)
    rows = {name: random.normal(size=(40, len(METRICS))) for name in ("detector", "joined", "joined-seed1")}
    rows["joined"][3, METRICS.index("NSS")] = np.nan
    scores = Scores("set", tuple(map(str, range(40))), rows, Protocol(), ())
    _, shown, header, csv_rows = top_down_table(scores)
    nss = rows["joined-seed1"][:, METRICS.index("NSS")]
    found = dict(zip(header, csv_rows[2], strict=True))
    assert found["NSS_error"] == pytest.approx(nss.std(ddof=1) / np.sqrt(40))
    assert f"{nss.mean():.3f} ± {nss.std(ddof=1) / np.sqrt(40):.3f}" in shown[2]
    names, lines, further = less_the_detector(scores, "detector", {"joined": ["joined", "joined-seed1"]})
    there = np.arange(40) != 3
    less = ((rows["joined"] + rows["joined-seed1"]) / 2 - rows["detector"])[there, METRICS.index("NSS")]
    found = dict(zip(header, further[0], strict=True))
    assert found["maps"] == "joined less detector"
    assert found["NSS"] == pytest.approx(less.mean())
    error = less.std(ddof=1) / np.sqrt(39)
    assert found["NSS_low"] == pytest.approx(less.mean() - 1.96 * error, abs=0.1 * error + 0.02)
    assert found["NSS_high"] == pytest.approx(less.mean() + 1.96 * error, abs=0.1 * error + 0.02)
    assert dict(zip(names, lines[0], strict=True))["NSS"].startswith(f"{less.mean():+.3f} (")


def test_runs_of_salnet_and_salicon_are_the_papers_rows_fine_tuned_where_they_began_with_a_run(tmp_path):
    runs = {
        "SalNet": write_run(tmp_path / "osie", "salnet", init=None),
        "Fine-tuned SalNet": write_run(tmp_path / "birds", "salnet", init={"network": "osie"}),
        "SALICON": write_run(tmp_path / "salicon", "salicon", init={}),
        "": write_run(tmp_path / "readout", "readout_bi", init=None),
    }
    named = {folder.name: papers_name(str(folder)) for folder in runs.values()}
    assert list(named.values()) == list(runs)
    named |= {name: papers_name(name) for name in ("center", "fixations")}
    assert named["center"] == named["fixations"] == ""
    rows = {name: np.full((2, len(METRICS)), 0.5) for name in named}
    _, _, header, csv_rows = top_down_table(Scores("set", ("a", "b"), rows, Protocol(), ()), named)
    found = {row[0]: row[header.index("paper's NSS, SalDogs")] for row in csv_rows}
    assert (found["osie"], found["birds"], found["salicon"]) == (1.839, 4.174, 2.056)
    assert found["readout"] is found["center"] is None
    assert found["fixations"] == 11.195
    assert {name for name in found if name.endswith("the paper's")} == {
        "Fine-tuned SALICON, the paper's",
        "SalClassNet, the paper's",
    }


def test_the_interval_over_three_seeds_is_that_of_their_means(results):
    one = results.runs["salclassnet"][0].predictions
    ranks = [np.where(np.arange(55) % (seed + 2) == 0, 1, 0).astype("int32") for seed in range(3)]
    seeds = [dataclasses.replace(one, ranks=rank) for rank in ranks]
    means = [mean_class_accuracy(seed.correct(), seed.labels) for seed in seeds]
    found = mean_class(seeds)
    assert found.value == pytest.approx(np.mean(means))
    half = 4.302652729696142 * np.std(means, ddof=1) / np.sqrt(3)  # Student's t with two degrees of freedom
    assert (found.low, found.high) == pytest.approx((np.mean(means) - half, np.mean(means) + half))


def test_a_map_that_moves_by_a_quarter_of_the_side_is_said_to():
    before, after = np.zeros((2, 16, 16), np.float32), np.zeros((2, 16, 16), np.float32)
    before[:, 2:5, 2:5] = after[1, 2:5, 2:5] = 1
    after[0, 2:5, 6:9] = 1
    found = compared(before, after, before)
    np.testing.assert_allclose(found[MOVED], [4 / 16, 0])
    assert found["detector's correlation with the map taught"] == pytest.approx([1, 1])
    expected = np.corrcoef(before[0].ravel(), after[0].ravel())[0, 1]
    assert found["joined network's correlation with the map taught"] == pytest.approx([expected, 1])


def test_the_shift_is_the_mean_over_seeds_and_pictures_and_its_interval_is_of_the_pictures_means():
    random = np.random.default_rng(0)
    by_seed = {seed: {MOVED: random.random(50), "another": random.random(50)} for seed in (0, 1, 2)}
    header, rows, (names, numbers) = shift_table(by_seed)
    assert header[3:] == ["seed 0", "seed 1", "seed 2"]
    for row, found, measure in zip(rows, numbers, (MOVED, "another"), strict=True):
        values = np.stack([by_seed[seed][measure] for seed in range(3)])
        named = dict(zip(names, found, strict=True))
        assert named["mean"] == pytest.approx(values.mean())
        assert [named[f"seed_{seed}"] for seed in range(3)] == pytest.approx(list(values.mean(axis=1)))
        half = 1.96 * values.mean(axis=0).std(ddof=1) / np.sqrt(50)
        assert (named["mean"] - named["low"], named["high"] - named["mean"]) == pytest.approx((half, half), rel=0.15)
        assert row[:2] == [measure, f"{values.mean():.3f}"]


def test_regions_lie_inside_their_picture():
    picture = np.arange(20 * 20 * 3, dtype=np.uint8).reshape(20, 20, 3)
    np.testing.assert_array_equal(region(picture, (10, 10), 8), picture[6:14, 6:14])
    np.testing.assert_array_equal(region(picture, (0, 19), 8), picture[:8, 12:])
    assert region(picture, (5, 5), 100).shape == (20, 20, 3)


@pytest.mark.parametrize(("table", "kind"), [("shift", Shift()), ("regions", Regions()), ("4", TopDown())])
def test_a_table_whose_runs_are_missing_says_so_and_writes_nothing(table, kind, tmp_path):
    with pytest.raises(UserError, match=r"missing|nothing to score"):
        kind.write(Results(TABLES[f"salclassnet-{table}"], {}), tmp_path / "table")
    assert not (tmp_path / "table").exists()


@pytest.mark.shared_data
def test_figures_are_those_of_the_transcription(shared_data):
    path = shared_data.parent / "papers" / "tables.csv"
    if not path.is_file():
        pytest.skip(f"the transcription of the papers' tables is absent: no file {path}")
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["paper"] == "salclassnet"]
    there = {(row["table"], row["row"], row["column"]): float(row["value"]) for row in rows if row["table"] in "456"}
    columns = {"sAUC": "s-AUC"}
    ours = {
        ("4", f"{one}/{name}", columns.get(metric, metric)): value
        for one, names in SALCLASSNET_4.items()
        for name, values in names.items()
        for metric, value in zip(SALCLASSNET_4_METRICS, values, strict=True)
    }
    called = {
        "vgg_rgb": ("VGG (3 channels)", "VGG"),
        "vgg_rgbs": ("VGG (4 channels) + ground truth saliency maps", None),
        "salclassnet_vgg": ("SalClassNet (VGG)", None),
        "inception_rgb": ("Inception (3 channels)", "Inception"),
        "inception_rgbs": ("Inception (4 channels) + ground truth saliency maps", None),
        "salclassnet": ("SalClassNet", "SalClassNet"),
    }
    ours |= {("5", called[name][0], "MCA"): round(100 * value, 1) for name, value in MCA.items()}
    ours |= {("6", called[name][1], one): value for name, of in SALCLASSNET_6.items() for one, value in of.items()}
    assert ours == there


TINY = [
    f"--set={setting}"
    for setting in (
        *("backbone=VGG16", "detector=VGG16", "width_multiplier=0.05", "side=32", "batch=4", "dense_units=8"),
        *("detector_level=block2_pool", "classifier_size=0", "dropout=0.0", "weights=none"),
    )
]


@pytest.mark.slow
def test_tables_chain_the_stages_share_their_runs_and_go_on_where_they_were_stopped(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    write_small_set(tmp_path / "set", side=36, classes=3, train=(8,), val=(9,), separable=True)
    words = ["--data", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--epochs", "1", *TINY]
    main(["salclassnet-shift", *words])
    assert "3 runs, 0 finished, 3 left" in capsys.readouterr().out
    main(["salclassnet-regions", *words])
    assert "3 runs, 3 finished, 0 left" in capsys.readouterr().out
    shift, regions = (tmp_path / "out" / f"salclassnet-{name}" for name in ("shift", "regions"))
    assert {path.name for path in shift.iterdir()} == {"table.md", "table.csv", "shift.png"}
    with open(shift / "table.csv", newline="") as file:
        measures = {row["measure"]: float(row["mean"]) for row in csv.DictReader(file)}
    assert 0 <= measures[MOVED] <= 1
    with open(regions / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["layer"] for row in rows}) >= 3
    assert all(0 <= int(row["row"]) < 32 for row in rows)
    assert (regions / "regions.png").is_file()
    config = json.loads((tmp_path / "out" / "runs" / "salclassnet_resnet" / "config.json").read_text())
    assert set(config["init"]) == {"network", "saliency"}
