"""Experiments as data: the published figures, the schedules, and settings that are typed and refused."""

import csv
import re
from pathlib import Path

import pytest

from saliency_keras import console, train
from saliency_keras.console import UserError
from saliency_keras.data.few_shot import SHOTS
from saliency_keras.experiments import EXPERIMENTS, PAPERS, experiment
from saliency_keras.experiments.published import TABLE_I, TABLE_II, TABLE_III, TABLE_III_METRICS

ROOT = Path(__file__).parents[1]


def test_every_name_of_the_thesis_is_there():
    names = """rgb rgb_mean rgbs rgb_1s2s rgbs_pretrained rgb_1s2s_pretrained rgbs_1s2s_pretrained rgbxs_pretrained
        rgb_1xs2xs_pretrained rgbxs_1xs2xs_pretrained fanin1 fanin2 fanin3 noconv2 noconv2_pooled"""
    assert set(names.split()) <= set(EXPERIMENTS)


def test_gains_are_those_that_the_thesis_prints_against_the_right_baseline():
    top1 = {name: one.published.get("top1") for name, one in EXPERIMENTS.items()}
    assert top1["fanin1"] - top1["rgb"] == pytest.approx(0.0172)
    assert top1["fanin3"] - top1["rgb"] == pytest.approx(0.1239)
    assert top1["rgbs"] - top1["rgb_mean"] == pytest.approx(0.0060)


@pytest.fixture
def transcribed(shared_data):
    """The papers' tables as somebody else read them: `{(paper, table): {(row, column): value}}`."""
    path = shared_data.parent / "papers" / "tables.csv"
    if not path.is_file():
        pytest.skip(f"the transcription of the papers' tables is absent: no file {path}")
    found = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault((row["paper"], row["table"]), {})[row["row"], row["column"]] = float(row["value"])
    return found


@pytest.mark.shared_data
def test_figures_of_the_thesis_are_those_of_the_transcription(transcribed):
    names = {"RGB": "rgb_mean", "RGBS": "rgbs", "RGB_1S2S": "rgb_1s2s", "RGB*": "rgb"}
    names |= {f"Fan-in{number}": f"fanin{number}" for number in (1, 2, 3)}
    figures = {key: value for key, value in transcribed["thesis", "4.1"].items() if key[1] in ("top1", "top5")}
    assert len(figures) == 14
    for (row, column), percent in figures.items():
        assert EXPERIMENTS[names[row]].published[column] == pytest.approx(percent / 100), row


@pytest.mark.shared_data
def test_figures_of_the_hallucination_paper_are_those_of_the_transcription(transcribed):
    ours = {
        (f"{one}/{method}", "K" if shots == "K" else f"k={shots}"): value
        for one, methods in TABLE_I.items()
        for method, values in methods.items()
        for shots, value in zip(SHOTS, values, strict=True)
    }
    table = {key: value for key, value in transcribed["hallucination", "I"].items() if key[1] != "AVG"}
    assert ours == table
    assert {(row, column): value for row, of in TABLE_II.items() for column, value in of.items()} == transcribed[
        "hallucination", "II"
    ]
    ours = {
        (f"{one}/{row}", metric): value
        for one, rows in TABLE_III.items()
        for row, values in rows.items()
        for metric, value in zip(TABLE_III_METRICS, values, strict=True)
    }
    assert ours == transcribed["hallucination", "III"]


def test_learning_rate_falls_after_epochs_24_45_and_62():
    rates = [experiment("fanin3").schedule.rate(epoch) for epoch in (1, 24, 25, 45, 46, 62, 63, 90)]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 1e-4, 1e-4, 1e-5, 1e-5], rel=1e-12)


def test_shorter_schedule_keeps_its_proportions():
    assert experiment("rgb").lasting(30).schedule.drops == (8, 15, 21)
    assert experiment("rgb").lasting(180).schedule.drops == (48, 90, 124)


@pytest.mark.parametrize("name", ["rgb", "pretrain_alexnet", "salnet"])
@pytest.mark.parametrize("epochs", [1, 2, 3, 5])
def test_however_short_the_first_epoch_has_the_full_rate(name, epochs):
    short = experiment(name).lasting(epochs).schedule
    assert (short.epochs, short.rate(1)) == (epochs, experiment(name).schedule.learning_rate)


def test_settings_are_read_as_the_type_that_the_key_has():
    changed = experiment("fanin3").with_settings(["keep_pool2=true", "batch=64", "learning_rate=1", "drops=[3,5]"])
    assert changed.arguments["keep_pool2"] is True
    assert (changed.schedule.batch, changed.schedule.learning_rate, changed.schedule.drops) == (64, 1.0, (3, 5))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("pool2=true", r"did you mean keep_pool2\? It has batch, "),
        ("keep_pool2", "has no value; write --set keep_pool2=VALUE"),
        ("wobble=1", r"fits no setting of fanin3\. It has batch, "),
        ("keep_pool2=1", "Received: 1"),
        ("batch=many", "Received: many"),
        ("batch=0", "at least 1"),
        ("learning_rate=NaN", "positive"),
        ("learning_rate=-1", "positive"),
        ("dense_units=1000000000000", "65,536 at most"),
        ("batch_norm_momentum=NaN", "at least 0 and below 1"),
        ("dropout=1e999", "at least 0 and below 1"),
        ("weight_decay=-Infinity", "65,536 at most"),
        ("drops=[-1]", "from 1 on"),
        ("steps=[[1,1e999]]", "pairs of an epoch and a rate"),
        ("batch=" + "9" * 30, "a number of 30 digits"),
        ("epochs=" + "9" * 5000, "Received: 9{80}…$"),  # longer than what Python reads as a number
        ("side=100000", "from 1 to 8192"),
        ("name=other", "fits no setting"),
        ("new_weights=ones", "uniform01"),
    ],
)
def test_setting_that_does_not_fit_is_refused_with_what_would(setting, says):
    with pytest.raises(UserError, match=says):
        experiment("fanin3").with_settings([setting])


def test_a_decay_that_ends_is_refused_where_keras_decays_in_all_epochs():
    with pytest.raises(UserError, match="adamw decays in all epochs"):
        experiment("fanin3").with_settings(["optimizer=adamw", "decay=0.1", "decay_until=3"])


def test_a_number_of_epochs_that_nobody_can_mean_is_refused_before_the_schedule_is_stretched():
    with pytest.raises(UserError, match=r"99,999 at most\. Received: epochs=a number of 30 digits"):
        experiment("fanin3").lasting(int("9" * 30))


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match="fanin3"):
        experiment("fanin4")


def test_on_popout_an_experiment_is_short_and_its_network_small_unless_it_is_narrow_itself():
    small = experiment("fanin3").on_popout()
    assert (small.schedule.epochs, small.schedule.batch, small.schedule.drops) == (7, 32, (5,))
    assert small.arguments == experiment("fanin3").arguments | {"dense_units": 512, "width_multiplier": 0.25}
    assert experiment("rgb_quarter").on_popout().arguments["width_multiplier"] == 0.25
    resnet = experiment("baseline_rgb_resnet")
    assert resnet.on_popout().arguments == resnet.arguments
    assert resnet.on_popout().schedule.epochs == 12


def test_the_page_on_networks_says_of_each_network_what_the_list_says():
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", page, re.M)
    assert {paper.HEADING for paper in PAPERS} <= set(headings)
    for paper in PAPERS:
        section = page.partition(f"## {paper.HEADING}\n")[2].partition("\n## ")[0]
        told = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.M)
        assert told == [(one.name, one.what) for one in paper.EXPERIMENTS]


def test_the_list_has_one_line_for_each_network(capsys):
    train.main(["--list"])
    printed = capsys.readouterr().out.splitlines()
    listed = [tuple(line.split(maxsplit=1)) for line in printed if line.startswith("  ")]
    assert listed == [(name, one.what) for name, one in EXPERIMENTS.items()]
    assert max(map(len, printed)) <= console.WIDTH
