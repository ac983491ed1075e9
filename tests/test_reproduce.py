"""Tables of the papers: resumable, runs shared, theirs beside ours, one sentence for every mistake."""

import csv
import dataclasses
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep.convert import convert
from saliency_keras.console import UserError
from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.published import MOST_IMPROVED
from saliency_keras.experiments.tables import TABLES
from saliency_keras.experiments.tables.controls import STRATEGIES
from saliency_keras.reproduce import main
from saliency_keras.tables.few_shot import FewShot
from saliency_keras.tables.kind import kind_of
from saliency_keras.tables.plan import Choices, cost_of, plan, words_of
from saliency_keras.tables.results import changed_settings
from saliency_keras.training import listeners
from tests.runs_fixture import write_run
from tests.small_sets import write_small_set

TINY = ["--epochs", "2", "--set", "dense_units=4", "--set", "width_multiplier=0.125", "--set", "batch=16"]


@pytest.fixture(scope="module", autouse=True)
def _no_state_between_epochs():
    """On a busy machine an epoch of these takes longer than the pause after which all is saved and drawn."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(listeners, "PAUSE", 1e9)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flowers-tiny")
    write_small_set(folder, side=128, classes=2, train=(16,), val=(23,), separable=True)
    return folder


@pytest.fixture(scope="module")
def reproduced(data, tmp_path_factory):
    """Table 4.1's first row and its baseline, and what was printed."""
    out = tmp_path_factory.mktemp("out")
    main(["thesis-4.1", "--data", str(data), "--out", str(out), "--only", "fanin2", *TINY])
    return out


def test_runs_side_by_side_are_the_runs_one_after_another(data, reproduced, tmp_path, capfd):
    one_thread = os.environ.get("TF_NUM_INTRAOP_THREADS") == "1"
    main(["thesis-4.1", "--data", str(data), "--out", str(tmp_path), "--only", "fanin2", "--jobs", "2", *TINY])
    printed, on_error = capfd.readouterr()
    assert "oneDNN" not in on_error
    for name in ("rgb_mean", "fanin2"):
        if (reproduced / "runs" / name).is_dir():
            assert f"{name}: epoch 2/2" in printed
    tables = [(out / "thesis-4.1" / "table.csv").read_text() for out in (reproduced, tmp_path)]
    assert [line.split(",")[0] for line in tables[0].splitlines()] == [
        line.split(",")[0] for line in tables[1].splitlines()
    ]
    for folder in (reproduced / "runs").iterdir():
        there, here = (
            list(csv.DictReader((out / "history.csv").open())) for out in (folder, tmp_path / "runs" / folder.name)
        )
        for one, other in zip(there, here, strict=True):
            assert float(one["loss"]) == pytest.approx(float(other["loss"]), rel=0 if one_thread else 1e-3)


def few_shot_plan(*shots, choices):
    return FewShot(shots).plan(TABLES["hallucination-1"], choices)


def rows_of(path):
    with open(path, newline="") as file:
        return {row["row"]: row for row in csv.DictReader(file)}


def test_every_row_is_an_experiment_and_comes_after_the_run_it_starts_from():
    for table in TABLES.values():
        names = [row.name for row in table.rows]
        assert len(set(names)) == len(names)
        for place, row in enumerate(table.rows):
            assert row.experiment in EXPERIMENTS
            assert set(row.begins_with) <= set(names[:place])
            assert not row.baseline or row.baseline in names
            assert all(one in names[:place] for one in row.lookers if one in names)
            assert set(row.lookers) <= {*names, "gbvs", "gaze", "boxes"}
        for members, against in table.together.values():
            assert {*members, against} <= {*names, *table.together}
        assert all(name in names for wanted in table.figures.values() for name in wanted)


def test_controls_begin_with_the_runs_that_answer_the_first_question():
    names = [row.name for row in TABLES["controls"].rows]
    assert names[:5] == ["fanin3", "noconv2", "noconv2_pooled", "fanin3-shuffled", "rgb"]
    for strategy in STRATEGIES:
        maps = {"", "-shuffled", "-shuffled_in_class", "-center", "-uniform"}
        assert {strategy + one for one in maps} <= set(names)


def test_published_classes_are_those_of_table_4_2():
    assert [percent for _, percent in MOST_IMPROVED["fanin3"]] == [46, 43, 43]
    assert sum(len(classes) for classes in MOST_IMPROVED.values()) == 21


def test_table_has_theirs_beside_ours_with_the_gain_over_the_right_baseline(reproduced):
    rows = rows_of(reproduced / "thesis-4.1" / "table.csv")
    assert list(rows) == ["rgb", "fanin2"]
    assert (rows["rgb"]["published_top1"], rows["fanin2"]["published_top1"]) == ("", "")  # of a thousand classes
    assert float(rows["fanin2"]["published_top5_gain"]) == pytest.approx(0.0049)
    assert float(rows["fanin2"]["published_gain"]) == 0
    for name, row in rows.items():
        summary = json.loads((reproduced / "runs" / name / "summary.json").read_text())
        assert float(row["top1"]) == pytest.approx(summary["last"]["val_top1"], abs=1e-6)
        assert int(row["parameters"]) == summary["parameters"]["total"]
        assert float(row["top1_low"]) <= float(row["top1"]) <= float(row["top1_high"])
    gain = float(rows["fanin2"]["top1"]) - float(rows["rgb"]["top1"])
    assert float(rows["fanin2"]["gain"]) == pytest.approx(gain, abs=1e-5)
    text = (reproduced / "thesis-4.1" / "table.md").read_text()
    assert " 36.60 |" not in text
    assert "Saliency maps: first: random." in text
    assert "Intervals: 95 %" in text
    assert (reproduced / "thesis-4.1" / "figure-4.9.png").stat().st_size > 5000
    assert not (reproduced / "thesis-4.1" / "figure-4.5.png").exists()


def test_second_attempt_trains_nothing_and_another_table_takes_the_runs_over(data, reproduced, capsys):
    stamps = {path: path.stat().st_mtime_ns for path in reproduced.glob("runs/*/*")}
    main(["thesis-4.2", "--data", str(data), "--out", str(reproduced), "--only", "fanin2", *TINY])
    printed = capsys.readouterr().out
    assert "2 runs, 2 finished, 0 left" in printed
    assert "epoch" not in printed.splitlines()[1]
    assert stamps == {path: path.stat().st_mtime_ns for path in reproduced.glob("runs/*/*")}
    with open(reproduced / "thesis-4.2" / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["whose"] for row in rows} <= {"ours"}  # none of the thesis's classes is here
    absent = "Table 4.2 names classes that this set does not have: Can opener; Hair spray; Gar, garfish."
    assert absent in printed.replace("\n", " ")
    *lines, _ = printed.splitlines()  # the last one is a command to go on with
    assert max(map(len, lines)) <= 100 + len(str(reproduced))
    assert all(row["of"] in ("12", "11") and int(row["right"]) > int(row["right before"]) for row in rows)


def test_other_choices_for_the_same_folder_are_refused(data, reproduced):
    with pytest.raises(UserError, match="another epochs"):
        main(
            [
                "thesis-4.1",
                "--data",
                str(data),
                "--out",
                str(reproduced),
                "--only",
                "fanin2",
                "--epochs",
                "3",
                *TINY[2:],
            ]
        )


@pytest.fixture(scope="module")
def diverged(data, reproduced, tmp_path_factory):
    """A reproduction whose `rgb` diverges, over the `fanin2` of `reproduced`."""
    out = tmp_path_factory.mktemp("diverged")
    shutil.copytree(reproduced / "runs" / "fanin2", out / "runs" / "fanin2")
    words = ["thesis-4.1", "--data", str(data), "--out", str(out), "--only", "fanin2", *TINY]
    with pytest.raises(UserError, match=r"lacks what could not be trained: rgb, .*loss is not finite"):
        main([*words, "--set", "rgb:learning_rate=1e30"])
    return out


def test_a_run_that_diverges_is_left_out_and_told_and_the_others_go_on(diverged):
    assert list(rows_of(diverged / "thesis-4.1" / "table.csv")) == ["fanin2"]


def test_a_table_of_classes_leaves_out_what_lacks_its_baseline(data, diverged):
    words = ["thesis-4.2", "--data", str(data), "--out", str(diverged), "--only", "fanin2,rgbs", *TINY]
    with pytest.raises(UserError, match="lacks what could not be trained: rgb, "):
        main([*words, "--set", "rgb:learning_rate=1e30"])
    with open(diverged / "thesis-4.2" / "table.csv", newline="") as file:
        assert {row["strategy"] for row in csv.DictReader(file)} <= {"rgbs"}
    told = (diverged / "thesis-4.2" / "table.md").read_text().split("over the baseline: ")[1]
    assert told.startswith("rgbs ")
    assert "fanin2" not in told


def test_sets_that_the_last_run_cannot_use_are_told_before_the_first(data, tmp_path):
    """The large set is fine, but not what comes after hours of preparation on it: crops too large, no set at all."""
    for words, says in (
        (["hallucination-2-alexnet", "--data", tmp_path / "none", "--large", data], "none"),
        (["hallucination-2-alexnet", "--data", data, "--large", data], "wants 227 px"),
        (["hallucination-3", "--data", data, "--fixations", tmp_path / "none"], "none"),
        (["hallucination-3", "--data", data, "--fixations", data], "fixations.csv"),
    ):
        with pytest.raises(UserError, match=says):
            main([*map(str, words), "--out", str(tmp_path / "out"), "--epochs", "1"])
    assert not (tmp_path / "out" / "runs").exists()


def test_tables_that_want_one_run_of_two_lengths_say_how_to_share_it(data, reproduced, tmp_path):
    """`rgb` lasts 2 epochs in Table 4.1, and six in the table of pre-trained networks, whose own rows last 2."""
    shutil.copytree(reproduced, tmp_path / "here")
    words = ["thesis-pretrained", "--data", str(data), "--only", "rgb_pretrained", *TINY]
    with pytest.raises(UserError, match=r"another epochs .*give this table another --out, or take that run") as told:
        main([*words, "--out", str(tmp_path / "here")])
    ways = shlex.split(str(told.value).partition("into it: ")[2].removesuffix("."))
    assert ways[::2] == ["--set"] * 2
    assert set(ways[1::2]) == {"rgb:epochs=2", "rgb:drops=[1, 1, 1]"}
    stamp = (tmp_path / "here" / "runs" / "rgb" / "model.keras").stat().st_mtime_ns
    # Its runs know what they started from by content, so that no path to it need be as it was.
    words += ways
    main([*words, "--out", str(tmp_path / "here")])
    assert (tmp_path / "here" / "runs" / "rgb" / "model.keras").stat().st_mtime_ns == stamp
    (tmp_path / "here").rename(tmp_path / "there")
    before = (tmp_path / "there" / "runs" / "rgb_pretrained" / "summary.json").read_bytes()
    main([*words, "--out", str(tmp_path / "there")])
    assert (tmp_path / "there" / "runs" / "rgb_pretrained" / "summary.json").read_bytes() == before


def test_classes_that_are_too_small_are_told_before_anything_is_trained(data, tmp_path, capsys):
    pooled = ["hallucination-1", "--data", str(data), "--large", str(data), "--out", str(tmp_path), "--set", "side=128"]
    # 8 and 12 pictures of class0, 8 and 11 of class1.
    with pytest.raises(UserError, match=r"'class1' has 19 pictures; .* 10 for training are 20; choose a smaller k"):
        main([*pooled, "--shots", "1,10"])
    with pytest.raises(UserError, match=r"pretrain_alexnet would learn .* few_shot_splits=official --set train_on"):
        main(pooled)
    assert "10, 15, 20, 25, 30 pictures per class are left out: 'class1' has 9 to train on" in capsys.readouterr().out
    words = [*pooled, "--set", "few_shot_splits=official"]
    with pytest.raises(UserError, match=r"8 pictures in train, and 10 of each"):
        main([*words, "--shots", "1,10"])
    with pytest.raises(UserError, match=r"step 1 would learn from pictures .* --set train_on=train"):
        main(words)
    assert "10, 15, 20, 25, 30 pictures per class are left out: 'class0' has 8 in train" in capsys.readouterr().out
    manifest = convert(data, tmp_path / "compressed", "jpeg")
    dataclasses.replace(manifest, source={**manifest.source, "maps": {"gaze": "here"}, "plan": "other"}).save(
        manifest.folder
    )
    words[words.index("--large") + 1] = str(manifest.folder)
    with pytest.raises(UserError, match="step 1 would learn from pictures"):
        main([*words, "--shots", "1"])
    assert not list(tmp_path.glob("runs/*"))


def test_a_run_that_was_begun_otherwise_is_told_before_the_first_is_trained(data, reproduced, tmp_path):
    shutil.copytree(reproduced / "runs" / "fanin2", tmp_path / "runs" / "fanin2")
    words = ["--data", str(data), "--out", str(tmp_path), *TINY]
    with pytest.raises(UserError, match=r"fanin2 was started with another learning_rate"):
        main(["thesis-4.1", "--only", "rgb,fanin2", *words, "--set", "learning_rate=0.02"])
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["fanin2"]


def test_settings_of_the_table_are_not_told_as_other_than_the_paper_s():
    def told(*settings):
        return changed_settings(plan(TABLES["thesis-227"], Choices(Path("data"), Path("out"), settings=settings)))

    assert told() == []
    assert "rgb-side227" in told("batch=7")[0]
    assert "side=" not in told("batch=7")[0]


def test_what_is_named_twice_is_there_once():
    assert words_of("5,1,,5") == ("5", "1")


def test_repeats_are_seeds_and_their_interval_is_over_seeds_from_three_on():
    runs = plan(TABLES["thesis-4.1"], Choices(Path("data"), Path("out"), repeats=3, only=("fanin3",)))
    names = ["fanin3", "rgb", "fanin3-seed1", "rgb-seed1", "fanin3-seed2", "rgb-seed2"]
    assert [run.folder.name for run in runs] == names
    assert [run.seed for run in runs] == [0, 0, 1, 1, 2, 2]


def test_preparations_are_shortened_in_proportion_to_the_rows():
    runs = plan(TABLES["thesis-pretrained"], Choices(Path("data"), Path("out"), epochs=10))
    assert [(run.row.name, run.experiment.schedule.epochs) for run in runs[:2]] == [("rgb", 30), ("rgb_pretrained", 10)]
    assert runs[1].init == Path("out/runs/rgb")
    runs = plan(TABLES["thesis-pretrained"], Choices(Path("data"), Path("out"), repeats=2))
    assert {run.init for run in runs if run.seed == 1} == {None, Path("out/runs/rgb-seed1")}
    large = Choices(Path("data"), Path("out"), Path("large"), epochs=35)
    plans = [plan(TABLES[f"hallucination-{n}"], large) for n in (1, 3)]
    of = [{run.row.name: run.experiment.schedule.epochs for run in runs} for runs in plans]
    assert of[1] == {"pretrain_alexnet": 45, "hallucination_step1_alexnet": 35}
    assert of[1].items() <= of[0].items()  # the same preparation, whichever table is made first


def test_a_strategy_of_the_controls_brings_its_twins():
    runs = plan(TABLES["controls"], Choices(Path("data"), Path("out"), only=("fanin3",)))
    names = {run.row.name for run in runs}
    assert {"rgb", "noconv2", "noconv2_pooled", "fanin3_pool2", "fanin3_doubled", "fanin3-uniform"} <= names
    assert not {"fanin1", "fanin2", "rgbs"} & names


def test_setting_may_be_for_one_experiment_alone():
    settings = ("learning_rate=0.5", "pretrain_alexnet:learning_rate=0.25")
    choices = Choices(Path("data"), Path("out"), Path("large"), repeats=1, settings=settings)
    rates = {run.row.experiment: run.experiment.schedule.learning_rate for run in few_shot_plan("1", choices=choices)}
    assert rates["pretrain_alexnet"] == 0.25
    assert rates["approach_a_alexnet"] == 0.5


def test_a_setting_may_be_for_one_row_alone_and_its_value_may_have_a_colon():
    def planned(*settings):
        return plan(TABLES["accuracy-vs-saliency"], Choices(Path("data"), Path("out"), settings=settings))

    lengths = {run.row.name: run.experiment.schedule.epochs for run in planned("rgb-stage2:epochs=7")}
    assert (lengths["rgb-stage1"], lengths["rgb-stage2"], lengths["rgb-stage3"]) == (1, 7, 2)
    lengths = {run.row.name: run.experiment.schedule.epochs for run in planned("rgb:epochs=5", "rgb-stage2:epochs=7")}
    assert [lengths[f"rgb-stage{number}"] for number in (1, 2, 3, 4)] == [5, 7, 5, 5]
    assert lengths["rgb_half"] == 4
    (first, *_) = planned('rgb-stage1:factors={"top": 10}')
    assert first.experiment.schedule.factors == {"top": 10}
    for setting in ("rgb-stage9:epochs=1", "rgb-stage1:few=1", "few=1"):
        with pytest.raises(UserError, match="fits no experiment of this table"):
            planned(setting)


@pytest.mark.parametrize("name", ["hallucination-2", "hallucination-1-resnet"])
def test_the_resnet_s_tables_begin_with_imagenet_s_weights_and_step_1_alone_prepares(name, data):
    choices = Choices(Path("target"), Path("out"), data, settings=("baseline_rgb_resnet:epochs=1",))
    table = TABLES[name]
    kind = FewShot(("1",)) if table.kind == "few_shot" else kind_of(table)
    runs = kind.plan(table, choices)
    first, *methods = runs[:6]
    assert (first.row.experiment, first.data, first.init) == ("hallucination_step1_resnet", data, None)
    start = first.experiment.start
    # Two classes, not ImageNet's: their layer is learned with the branch, over the frozen trunk.
    assert (start.weights, start.frozen, start.fresh) == ("imagenet", ("trunk",), ("top",))
    for run in methods:
        taught = run.row.experiment.startswith("approach")
        assert run.init == (first.folder if taught else None)
        assert run.experiment.start.weights == ("" if taught else "imagenet")
    lengths = {run.row.experiment: run.experiment.schedule.epochs for run in runs[:6]}
    assert lengths.pop("baseline_rgb_resnet") == 1
    assert set(lengths.values()) == {70}  # the compared baseline alone is shorter
    thousand = kind.plan(table, dataclasses.replace(choices, large=Path("not here yet")))
    assert thousand[0].experiment.start.frozen == ("trunk", "top")


def test_a_file_of_alexnet_s_weights_takes_the_place_of_the_pre_training():
    choices = Choices(Path("data"), Path("out"), Path("large"), repeats=1, settings=("weights=alexnet.npy",))
    runs = few_shot_plan("1", choices=choices)
    assert [run.row.experiment for run in runs[:2]] == ["hallucination_step1_alexnet", "baseline_rgb_alexnet"]
    inits = {run.row.experiment: run.init for run in runs}
    assert inits.pop("approach_a_alexnet") == inits.pop("approach_b_alexnet") == runs[0].folder
    assert set(inits.values()) == {None}
    one = few_shot_plan("1", choices=dataclasses.replace(choices, settings=("pretrain_alexnet:weights=alexnet.npy",)))
    assert one[0].row.experiment == "pretrain_alexnet"  # it is trained further, and the others start from it
    assert one[1].init == one[0].folder


def test_what_is_left_is_told_as_pictures_and_multiply_adds(data):
    """Table 4.1's `rgb`, 16 pictures for 90 epochs: 3 x 1440 x 164 million; step 1 has four fifths of val."""
    choices = Choices(data, Path("out"), only=("rgb",))
    # conv1 to conv5 of FACTS' table and dense layers for two classes, worked out by hand.
    convolutions = 900 * 34848 + 100 * 614400 + 16 * (884736 + 1327104 + 884736)
    dense = 256 * 4096 + 4096 * 4096 + 4096 * 2
    work = 3 * 16 * 90 * (convolutions + dense) / 1e12
    told = cost_of(plan(TABLES["thesis-4.1"], choices))
    assert told == f"what is left trains on 1,440 pictures, all epochs together: {work:.2g} trillion multiply-adds"
    large = Choices(data, Path("out"), data, epochs=1, repeats=1)
    shots = few_shot_plan("1", "K", choices=large)
    # 90 epochs of 16 for each of the methods' one, rounded; four fifths of 23; 5 methods of 2 pictures, and of 19 (K).
    assert cost_of(shots).startswith(f"what is left trains on {16 + 18 + 5 * 2 + 5 * 19:,} pictures")


def test_few_shot_plan_is_methods_times_shots_times_repeats_after_two_preparations():
    choices = Choices(Path("data"), Path("out"), Path("large"), repeats=2)
    runs = few_shot_plan("1", "K", choices=choices)
    assert len(runs) == 2 + 5 * 2 * 2
    assert [run.row.experiment for run in runs[:2]] == ["pretrain_alexnet", "hallucination_step1_alexnet"]
    assert all(run.data == Path("large" if run.row.preparation else "data") for run in runs)
    last = runs[-1]
    assert (last.experiment.pictures.few_shot, last.seed, last.folder.name) == ("K", 1, "approach_b_alexnet-kK-seed1")
    assert last.init == Path("out/runs/hallucination_step1_alexnet")


def test_a_finished_preparation_may_have_started_from_another_run(tmp_path):
    choices = Choices(Path("data"), tmp_path, Path("large"), repeats=1)
    made = write_run(tmp_path / "runs" / "pretrain_alexnet", "pretrain_alexnet")
    assert few_shot_plan("1", choices=choices)[0].init is None
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps({**config, "init": "runs/smaller", "started_from": {"init": "a"}}))
    first, second, *_ = few_shot_plan("1", choices=choices)
    assert (first.init, second.init) == (None, made)


def test_a_part_of_the_table_takes_the_words_of_the_whole():
    of_another = ("approach_b_alexnet:learning_rate=0.1", "smic_alexnet:learning_rate=0.2")
    choices = Choices(Path("data"), Path("out"), Path("large"), only=("smic_alexnet",), settings=of_another)
    rates = {run.row.experiment: run.experiment.schedule.learning_rate for run in few_shot_plan("1", choices=choices)}
    assert rates == {"pretrain_alexnet": 0.01, "baseline_rgb_alexnet": 1e-4, "smic_alexnet": 0.2}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["thesis-9"], "there is no table 'thesis-9'; did you mean thesis-"),
        (["thesis-4.1"], "wants a compact data set"),
        (["thesis-4.1", "--data", "nowhere"], "nowhere"),
        (["thesis-4.1", "--data", "x", "--epochs", "0"], "at least 1"),
        (["thesis-4.1", "--data", "x", "--only", "fanin4"], "no row 'fanin4'"),
        (["thesis-4.1", "--data", "x", "--set", "few=1"], "fits no experiment"),
        (["hallucination-1", "--data", "x"], "--large DIR"),
        (["hallucination-1", "--data", "x", "--large", "y", "--shots", "4"], "Received: 4"),
        (["hallucination-3", "--data", "x"], "--fixations DIR"),
        (["thesis-4.1", "--data", "x", "--like", "Birds"], "thesis-4.1 does not take --like"),
        (["thesis-4.1", "--data", "x", "--maps", "readout"], "thesis-4.1 does not take --maps"),
        (["accuracy-vs-saliency", "--data", "x", "--shots", "1"], "accuracy-vs-saliency does not take --shots"),
        (["hallucination-1", "--data", "x", "--large", "y", "--only", "pretrain_alexnet"], "leaves no row"),
    ],
)
def test_mistake_is_one_sentence(words, says, tmp_path):
    with pytest.raises(UserError, match=says):
        main([*words, "--out", str(tmp_path / "out")])


def test_list_names_every_table_and_figure(capsys):
    main(["--list"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in TABLES)
    assert all(figure in printed for table in TABLES.values() for figure in table.figures)


@pytest.mark.slow
def test_killed_reproduction_goes_on_where_it_was_to_the_table_of_depth(data, reproduced, tmp_path):
    shutil.copytree(reproduced / "runs" / "rgb", tmp_path / "runs" / "rgb")
    words = [sys.executable, "-m", "saliency_keras.reproduce", "thesis-depth", "--only", "merged-1", *TINY]
    words += ["--data", str(data), "--out", str(tmp_path)]
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(words, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (tmp_path / "runs/merged-1/summary.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stamp = (tmp_path / "runs/merged-1/model.keras").stat().st_mtime_ns
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[3/3] merged-1-doubled, seed 0, 2 epochs; 0 runs left after it" in done.stdout
    assert (tmp_path / "runs/merged-1/model.keras").stat().st_mtime_ns == stamp
    rows = rows_of(tmp_path / "thesis-depth" / "table.csv")
    assert list(rows) == ["rgb", "merged-1", "merged-1-doubled"]
    summaries = {name: json.loads((tmp_path / "runs" / name / "summary.json").read_text()) for name in rows}
    for name, summary in summaries.items():
        top1, minutes = summary["last"]["val_top1"], summary["seconds"] / 60
        gain = top1 - summaries["rgb"]["last"]["val_top1"]
        assert float(rows[name]["top1"]) == pytest.approx(top1, abs=1e-5)
        assert float(rows[name]["minutes"]) == pytest.approx(minutes, abs=1e-3)
        if name != "rgb":
            assert float(rows[name]["gain"]) == pytest.approx(gain, abs=1e-5)
            assert float(rows[name]["gain_per_minute"]) == pytest.approx(gain / minutes, rel=1e-4, abs=1e-6)
    fanin2 = json.loads((reproduced / "runs" / "fanin2" / "summary.json").read_text())["parameters"]["total"]
    assert int(rows["merged-1"]["parameters"]) == fanin2
    # Its second branch sees three colours in place of one map, by 12 filters of 11x11.
    assert int(rows["merged-1-doubled"]["parameters"]) == fanin2 + 11 * 11 * 2 * 12
    assert (tmp_path / "thesis-depth" / "depth.png").stat().st_size > 5000


HALLUCINATION = ["--epochs", "1", *TINY[2:], "--set", "side=100", "--repeats", "1", "--shots", "1"]


@pytest.fixture(scope="module")
def hallucinated(data, tmp_path_factory):
    """Table I with one picture per class, once."""
    large, out = tmp_path_factory.mktemp("large"), tmp_path_factory.mktemp("hallucination")
    write_small_set(large, side=112, classes=2, train=(16,), val=(20,), seed=1, separable=True)
    words = ["--data", str(data), "--large", str(large), "--out", str(out), *HALLUCINATION]
    main(["hallucination-1", *words])
    return large, out


@pytest.mark.slow
def test_table_i_has_every_method_with_the_paper_s_figure_on_request_and_a_plot(data, hallucinated):
    large, out = hallucinated
    words_of_it = ["--data", str(data), "--large", str(large), "--out", str(out), *HALLUCINATION]
    with open(out / "hallucination-1" / "table.csv", newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["baseline_rgb", "scratch_sal", "smic", "approach_a", "approach_b"]
    assert rows["smic"]["published"] == ""  # the folder is named after flowers, but has two classes
    main(["hallucination-1", *words_of_it, "--like", "Flowers"])
    with open(out / "hallucination-1" / "table.csv", newline="") as file:
        assert {row["method"]: row["published"] for row in csv.DictReader(file)}["smic"] == "0.376"
    assert rows["approach_a"]["maps_variance"]
    assert rows["baseline_rgb"]["maps_variance"] == rows["baseline_rgb"]["gain"] == ""
    assert (out / "hallucination-1" / "accuracy.png").exists()
    kept = {path.parent.name for path in out.glob("runs/*/model.keras")}
    assert kept == {"pretrain_alexnet", "hallucination_step1_alexnet"}


@pytest.mark.slow
def test_a_finished_preparation_is_taken_as_long_as_it_is_but_not_with_other_settings(data, hallucinated):
    large, out = hallucinated
    choices = Choices(data, out, large, epochs=35, repeats=1)
    lengths = {run.row.name: run.experiment.schedule.epochs for run in few_shot_plan("1", choices=choices)}
    assert lengths["pretrain_alexnet"] == lengths["hallucination_step1_alexnet"] == 1
    assert lengths["approach_a_alexnet"] == 35
    words = ["--data", str(data), "--large", str(large), "--out", str(out), *HALLUCINATION]
    with pytest.raises(UserError, match="another learning_rate"):
        main(["hallucination-1", *words, "--set", "pretrain_alexnet:learning_rate=0.5"])


@pytest.mark.slow
def test_runs_that_started_from_what_was_trained_anew_are_not_taken_over(data, hallucinated, tmp_path):
    large, _ = hallucinated
    out = tmp_path / "out"
    shutil.copytree(hallucinated[1], out)
    shutil.rmtree(out / "runs" / "hallucination_step1_alexnet")
    words = ["--data", str(data), "--large", str(large), "--out", str(out), *HALLUCINATION]
    with pytest.raises(UserError, match=r"approach_a_alexnet-k1 started from .*step1_alexnet, which is gone"):
        main(["hallucination-1", *words])
    assert not (out / "runs" / "hallucination_step1_alexnet").exists()


@pytest.mark.slow
def test_table_iii_scores_the_map_of_step_1_of_the_same_folder(hallucinated, tmp_path):
    import numpy as np
    from PIL import Image

    large, out = hallucinated
    draw = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    lines = ["image,subject,x,y"]
    for index in range(3):
        Image.fromarray(draw.integers(0, 256, (72, 96, 3), np.uint8)).save(tmp_path / "images" / f"{index}.png")
        lines += [f"{index}.png,{who},{draw.integers(96)},{draw.integers(72)}" for who in "abcd"]
    (tmp_path / "fixations.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "SalGAN").mkdir()  # any grey pictures of the same stems do as maps
    for index in range(3):
        Image.fromarray(draw.integers(0, 256, (72, 96), np.uint8)).save(tmp_path / "SalGAN" / f"{index}.png")
    words = ["--data", str(large), "--out", str(out), "--fixations", str(tmp_path), *HALLUCINATION[:-4]]
    words += ["--predictors", "gbvs,center,fixations", "--maps", str(tmp_path / "SalGAN")]
    main(["hallucination-3", *words])
    with open(out / "hallucination-3" / "table.csv", newline="") as file:
        rows = {row["predictor"]: row for row in csv.DictReader(file)}
    assert 0 < float(rows["step 1"]["AUC-Judd"]) < 1
    assert rows["step 1"]["paper's sAUC, SID4VAM"] == "0.627"
    assert 0 < float(rows["SalGAN"]["AUC-Judd"]) < 1
    assert rows["SalGAN"]["paper's AUC, Toronto"] == "0.818"
    assert rows["DeepGazeII"]["AUC-Judd"] == ""
    # The density against itself, as the paper's ground truth: no KL, all of it shared.
    assert float(rows["fixations"]["KL"]) == pytest.approx(0, abs=1e-6)
    assert float(rows["fixations"]["SIM"]) == pytest.approx(1)
    assert rows["fixations"]["paper's KL, Toronto"] == "0.0"
    text = (out / "hallucination-3" / "table.md").read_text()
    assert "Convention mit" in text
    assert "gbvs, version" in text
    assert (out / "hallucination-3" / "maps.png").exists()
