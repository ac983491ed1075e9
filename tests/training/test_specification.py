"""`train --list NAME`: what a training will do, and the sizes of its layers, against the thesis's own tables."""

import pytest

from saliency_keras.console import UserError
from saliency_keras.experiments import EXPERIMENTS, experiment
from saliency_keras.figures.document import Table, terminal
from saliency_keras.models.layer_table import layer_rows, symbolic
from saliency_keras.models.registry import build
from saliency_keras.train import main
from saliency_keras.training.specification import specification
from tests.small_sets import write_small_set

# Table 3.2 at 128 px, ungrouped, with the parameters worked out by hand (kernels, biases, four vectors of bn).
ALEXNET_128 = {
    "image": ("128x128x3", 0),
    "conv1": ("30x30x96", 11 * 11 * 3 * 96 + 96),
    "bn1": ("30x30x96", 4 * 96),
    "pool1": ("14x14x96", 0),
    "conv2": ("10x10x256", 5 * 5 * 96 * 256 + 256),
    "bn2": ("10x10x256", 4 * 256),
    "pool2": ("4x4x256", 0),
    "conv3": ("4x4x384", 3 * 3 * 256 * 384 + 384),
    "conv4": ("4x4x384", 3 * 3 * 384 * 384 + 384),
    "conv5": ("4x4x256", 3 * 3 * 384 * 256 + 256),
    "pool5": ("1x1x256", 0),
    "fc1": ("4096", 256 * 4096 + 4096),
    "fc2": ("4096", 4096 * 4096 + 4096),
    "fc3": ("1000", 4096 * 1000 + 1000),
}
AT_227 = ("227x227x3", "55x55x96", "55x55x96", "27x27x96", "23x23x256", "23x23x256", "11x11x256")
AT_227 += ("11x11x384", "11x11x384", "11x11x256", "5x5x256", "4096", "4096", "1000")


def rows_of(name, side=None, classes=1000, **arguments):
    one = experiment(name).replace(**arguments)
    with symbolic():
        return layer_rows(build(one.network, one.arguments, side or one.pictures.side, classes).model)


def test_layers_have_the_sizes_of_table_3_2_and_their_parameters():
    found = {row.name: (row.output, row.parameters) for row in rows_of("rgb")}
    assert {name: found[name] for name in ALEXNET_128} == ALEXNET_128
    at_227 = {row.name: row.output for row in rows_of("rgb", 227)}
    assert tuple(at_227[name] for name in ALEXNET_128) == AT_227


def test_kinds_say_filters_kernel_stride_and_padding():
    kinds = {row.name: row.kind for row in rows_of("rgb")}
    assert (kinds["conv1"], kinds["conv3"]) == ("96, 11x11 / 4, valid", "384, 3x3, same")
    assert (kinds["pool1"], kinds["fc1"]) == ("maximum, 3x3 / 2", "dense, 4096")


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("rgb", {}),
        ("rgbs", {"saliency0": "128x128x4"}),
        ("rgb_1s2s", {"saliency1": "30x30x97", "saliency2": "10x10x257"}),
        ("rgbxs_1xs2xs_pretrained", {"saliency0": "128x128x3", "saliency1": "30x30x96", "saliency2": "10x10x256"}),
        ("fanin1", {"fanin": "4x4x256"}),
        ("fanin2", {"fanin": "14x14x96"}),
        ("fanin3", {"fanin": "14x14x96"}),
        ("fanin3_doubled", {}),
        ("noconv2", {}),
        ("baseline_rgb_alexnet", {}),
        ("smic_alexnet", {"modulation": "27x27x256"}),
        ("approach_a_alexnet", {"modulation": "27x27x256"}),
    ],
)
def test_the_map_enters_where_the_papers_say(name, where):
    assert {row.name: row.output for row in rows_of(name) if row.map_enters} == where


def test_a_row_names_the_rows_that_it_sees():
    seen = {row.name: row.sees for row in rows_of("fanin2")}
    assert seen["fanin"] == ("pool1", "pool1_saliency")
    assert seen["conv2"] == ("fanin",)


def test_a_large_network_lists_its_kernels_and_where_the_map_enters():
    rows = {row.name: row for row in rows_of("approach_a_resnet", backbone="ResNet50")}
    assert "conv4_block6_3_bn" not in rows
    assert rows["conv1_conv"].output == "114x114x64"
    assert rows["modulation"].map_enters
    assert rows["modulation"].output == "15x15x1024"  # 227 px by 16, rounded up: FACTS counts conv1 as a block
    assert "conv5_block1_1_conv" in rows
    # Both see the modulated features, through rows that are left out or not.
    assert rows["conv5_block1_1_conv"].sees == rows["conv5_block1_0_conv"].sees == ("modulation",)


def table(name, heading="", **settings):
    """The table under a heading, by default the first one: from the first cell of a row to its last."""
    blocks = specification(experiment(name).replace(**settings))
    headings = [getattr(block, "text", None) for block in blocks]
    return {row[0]: row[-1] for row in blocks[1 + (headings.index(heading) if heading else 0)].rows}


def test_specification_is_that_of_the_thesis_s_tables():
    """Tables 3.1 and 3.3 to 3.7: sizes, weights, means and epochs; the drops of §3.5, the penalty of §3.3.3."""
    for name in ("rgb", "fanin1", "fanin2", "fanin3"):
        found = table(name)
        assert (found["epochs"], found["mean subtracted"], found["begins with"]) == (90, "no", "random weights")
        assert found["input"] == "128x128 px, pixels scaled to 0..1"
        assert found["learning rate"] == "0.01, 0.001 from epoch 25, 0.0001 from epoch 46, 1e-05 from epoch 63"
        assert (found["batch"], found["optimizer"]) == (128, "sgd, momentum 0.9")
        assert found["L2 penalty"] == "0.0005 on kernels, a gradient of 0.001 w"
    for name in ("rgbs", "rgb_1s2s", "rgb_mean"):
        assert table(name)["mean subtracted"] == "of each colour and of the map"
    pretrained = table("rgbs_pretrained")
    assert (pretrained["epochs"], pretrained["begins with"]) == (30, "network from a run of rgb")
    assert table("rgb")["parameters"] == "25,679,592"
    assert table("fanin3")["kernels"] == "61,212,032"


def test_settings_and_few_pictures_are_told():
    found = table("approach_a_alexnet", few_shot="5", epochs=3, frozen_statistics=False)
    assert found["trained on"] == "5 pictures of each class, pooled splits; 5 for validation, 5 for test"
    begin = "network from a run of hallucination_step1_alexnet; new top; frozen saliency"
    assert found["begins with"] == begin
    assert table("rgb", steps=((1, 0.1), (3, 0.2)), epochs=4)["learning rate"] == "0.1, 0.2 from epoch 3"
    assert table("rgb", "Every setting", drops=(3, 5))["drops"] == "3,5"


def test_classes_are_those_of_the_set_that_is_given(tmp_path, capsys):
    write_small_set(tmp_path, side=128, classes=3)
    main(["rgb", "--list", "--data", str(tmp_path), "--set", "dense_units=8", "--epochs", "2"])
    printed = capsys.readouterr().out
    assert f"| fc3 | dense, 3 | fc2 | 3 | {8 * 3 + 3} |".replace(" ", "") in printed.replace(" ", "")
    assert "128x128 px of stored 128 px" in printed
    main(["rgb", "--list", "--data", "popout"])
    assert "| 512" in capsys.readouterr().out


def test_a_detector_is_told_to_learn_maps_and_no_classes(capsys):
    main(["--list", "salclassnet_detector"])
    told = capsys.readouterr().out
    assert "squared of the map" in told
    assert "cross-entropy" not in told
    assert "| classes" not in told


def test_every_experiment_is_told_without_data():
    for name, one in EXPERIMENTS.items():
        if name.endswith("_resnet"):
            if name != "smic_resnet":
                continue  # the same network, of which each takes seconds
            one = one.replace(backbone="ResNet50")
        text = terminal(specification(one))
        assert text.startswith(f"# {name}: ")
        assert "| --set" in text


def test_a_network_that_cannot_be_built_is_one_sentence():
    with pytest.raises(UserError, match="cannot be built at 32 px"):
        specification(experiment("rgb").replace(side=32))
    assert isinstance(specification(experiment("rgb"))[1], Table)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fanin3", "--set", "foo=1"], "fits no setting of fanin3"),
        (["fanin3", "--set", "batch=0"], "at least 1"),
        (["fanin3", "--epochs", "0"], "at least 1"),
        (["fanin3", "--batch", "0"], "at least 1"),
        (["fanin3", "--devices", "0"], "at least 1"),
        (["fanin3", "--seed", "-1"], "seed"),
        (["fanin3", "--init", "nowhere"], "no run folder nowhere"),
        (["rgb", "--set", "weights=nowhere.npz"], "there is no weights file nowhere.npz"),
        (["rgb", "--set", "few_shot_list=x"], "few_shot_list is for few_shot"),
    ],
)
def test_what_cannot_work_is_told_before_the_built_in_set_is_drawn(words, says, monkeypatch, tmp_path):
    import data_prep.built_in

    def draws():
        raise AssertionError("the built-in set is drawn before the mistake is told")

    monkeypatch.setattr(data_prep.built_in, "cached_set", draws)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        main(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("crops", "told"),
    [
        ("random", "random crops, mirrored at random, the same for picture and map"),
        ("five", "the four corners and the centre, mirrored at random, the same for picture and map"),
        ("center", "crop of the centre, never mirrored"),
    ],
)
def test_what_is_seen_in_training_is_said_of_every_kind_of_crops(crops, told):
    assert table("rgb", crops=crops, dense_units=8)["in training"] == told
