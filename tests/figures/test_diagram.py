"""The diagrams of networks say what the networks do: sizes as worked out by hand, the map where it enters."""

import keras
import numpy as np
import pytest
from keras import layers

from saliency_keras.figures import style
from saliency_keras.figures.diagram import ROWS, boxes_of, diagram_in_words, network_diagram
from saliency_keras.models.network import network_of
from saliency_keras.plot import main
from saliency_keras.runs.networks import build_network


def shown(network):
    """What stands in each box."""
    return diagram_in_words(network).split("; ")


def test_fan_in_3_is_drawn_with_the_sizes_and_parameters_of_the_thesis():
    """The sizes are those of Table 3.2 at 128 px, without conv2; 37.8 M is 9216 x 4096 + 4096."""
    assert shown(build_network("fanin3")) == [
        "picture (128×128×3)",
        "saliency map (128×128×1)",
        "conv1 11×11 / 4 (ReLU, BN, pool 3×3 / 2, 30×30×96 → 14×14×96 · 35.3 k)",
        "conv1 11×11 / 4 of the branch (ReLU, BN, pool 3×3 / 2, 30×30×96 → 14×14×96 · 12.1 k)",
        "multiply with the map of conv1 11×11 / 4 and conv1 11×11 / 4 of the branch (14×14×96)",
        "conv3 3×3 (ReLU, 14×14×384 · 332 k)",
        "conv4 3×3 (ReLU, 14×14×384 · 1.33 M)",
        "conv5 3×3 (ReLU, pool 3×3 / 2, 14×14×256 → 6×6×256 · 885 k)",
        "fc1 (4096 · 37.8 M)",
        "fc2 (4096 · 16.8 M)",
        "fc3 (1000 · 4.1 M)",
    ]


def test_maps_enter_after_the_rectifiers_and_before_the_normalisation_resized_to_the_features():
    """Thesis, §3.4: at 128 px the map is resized to 30x30 and 10x10."""
    boxes = boxes_of(build_network("rgbs_1s2s_pretrained"))
    joins = [box for box in boxes if box.meets_map]
    told = [next(told for source, told in box.sources.items() if source.of_map) for box in joins]
    assert told == ["", "resized to 30×30", "resized to 10×10"]
    assert [box.shapes[0] for box in joins] == [(128, 128, 4), (30, 30, 97), (10, 10, 257)]
    assert [type(one).__name__ for one in joins[1].operations] == ["Concatenate", "BatchNormalization", "MaxPooling2D"]


@pytest.mark.parametrize(("name", "says"), [("fanin1_doubled", False), ("fanin1", True), ("approach_b_alexnet", True)])
def test_only_a_branch_that_is_shown_or_makes_a_map_is_called_one(name, says):
    network = build_network(name, dense_units=8)
    assert ("with the map" in diagram_in_words(network)) == says
    assert sum(box.joins for box in boxes_of(network)) == 1


def test_a_long_trunk_is_folded_into_stages_of_one_size():
    """ResNet-50's stages have 3, 4, 6 and 3 blocks of three convolutions, and one more in their shortcuts."""
    model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)
    boxes = boxes_of(network_of(model))
    assert 1 + max(box.row for box in boxes) <= ROWS
    convolutions = [sum(isinstance(one, layers.Conv2D) for one in box.operations) for box in boxes]
    assert [count for count in convolutions if count] == [1, 10, 13, 19, 10]
    assert sum(len(box.operations) for box in boxes) == len(model.layers)


@pytest.mark.parametrize("name", ["salnet", "salicon", "readout_spc", "smic_alexnet", "noconv2"])
def test_every_kind_of_network_has_boxes_that_do_not_lie_upon_one_another(name):
    network = build_network(name)
    boxes = boxes_of(network)
    assert len({(box.row, box.column) for box in boxes}) == len(boxes)
    assert all(source.row < box.row for box in boxes for source in box.sources)
    pixels = drawn(network)
    assert (pixels < 128).any(axis=1).mean() > 0.3  # ink in many rows


def test_a_network_of_ones_own_with_a_way_round_and_a_second_answer_is_drawn():
    image, saliency = keras.Input((16, 16, 3), name="image"), keras.Input((16, 16, 1), name="saliency")
    x = layers.Conv2D(4, 3, padding="same", name="a")(image)
    y = layers.Conv2D(4, 3, padding="same", name="b")(layers.Concatenate()([x, saliency]))
    x = layers.Add(name="sum")([x, y])
    outputs = {"logits": layers.Dense(3, name="top")(layers.GlobalAveragePooling2D()(x)), "map": layers.Conv2D(1, 1)(x)}
    network = network_of(keras.Model({"image": image, "saliency": saliency}, outputs))
    assert "concatenate with the map of a 3×3 and saliency map" in diagram_in_words(network)
    assert drawn(network).shape[1] > 300


def drawn(network):
    """The diagram's pixels, grey."""
    figure = network_diagram(network, "name", "caption")
    with style.look():
        figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].mean(axis=2)


def test_the_command_draws_an_experiment_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["--network", "rgbs"])
    assert capsys.readouterr().out.splitlines()[0] == "rgbs.png"
    main(["--network", "rgbs", "--out", "one.svg"])
    drawn_as = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert "<!-- concatenate with the map -->" in drawn_as
    assert "Fig. 3.1a" in drawn_as
    with pytest.raises(SystemExit):
        main([])
