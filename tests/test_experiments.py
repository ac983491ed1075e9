"""Experiments as data: the published figures, the schedules, and settings that are typed and refused."""

import pytest

from saliency_keras.console import UserError
from saliency_keras.experiments import EXPERIMENTS, experiment


def test_every_name_of_the_thesis_is_there():
    names = """rgb rgb_mean rgbs rgb_1s2s rgbs_pretrained rgb_1s2s_pretrained rgbs_1s2s_pretrained rgbxs_pretrained
        rgb_1xs2xs_pretrained rgbxs_1xs2xs_pretrained fanin1 fanin2 fanin3 noconv2 noconv2_pooled"""
    assert set(names.split()) <= set(EXPERIMENTS)


def test_gains_are_those_that_the_thesis_prints_against_the_right_baseline():
    top1 = {name: one.published.get("top1") for name, one in EXPERIMENTS.items()}
    assert top1["fanin1"] - top1["rgb"] == pytest.approx(0.0172)
    assert top1["fanin3"] - top1["rgb"] == pytest.approx(0.1239)
    assert top1["rgbs"] - top1["rgb_mean"] == pytest.approx(0.0060)


def test_learning_rate_falls_after_epochs_24_45_and_62():
    rates = [experiment("fanin3").learning_rate_of(epoch) for epoch in (1, 24, 25, 45, 46, 62, 63, 90)]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 1e-4, 1e-4, 1e-5, 1e-5], rel=1e-12)


def test_shorter_schedule_keeps_its_proportions():
    assert experiment("rgb").with_epochs(30).drops == (8, 15, 21)
    assert experiment("rgb").with_epochs(180).drops == (48, 90, 124)


@pytest.mark.parametrize("name", ["rgb", "pretrain_alexnet", "salnet"])
@pytest.mark.parametrize("epochs", [1, 2, 3, 5])
def test_however_short_the_first_epoch_has_the_full_rate(name, epochs):
    short = experiment(name).with_epochs(epochs)
    assert (short.epochs, short.learning_rate_of(1)) == (epochs, experiment(name).learning_rate)


def test_settings_are_read_as_the_type_that_the_key_has():
    changed = experiment("fanin3").with_settings(["keep_pool2=true", "batch=64", "learning_rate=1", "drops=[3,5]"])
    assert changed.arguments["keep_pool2"] is True
    assert (changed.batch, changed.learning_rate, changed.drops) == (64, 1.0, (3, 5))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("pool2=true", "keep_pool2"),
        ("keep_pool2", "keep_pool2"),
        ("keep_pool2=1", "Received: 1"),
        ("batch=many", "Received: many"),
        ("batch=0", "at least 1"),
        ("learning_rate=NaN", "positive"),
        ("learning_rate=-1", "positive"),
        ("name=other", "fits no setting"),
        ("new_weights=ones", "uniform01"),
    ],
)
def test_setting_that_does_not_fit_is_refused_with_what_would(setting, says):
    with pytest.raises(UserError, match=says):
        experiment("fanin3").with_settings([setting])


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match="fanin3"):
        experiment("fanin4")
