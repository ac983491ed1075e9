"""Networks in two: what frozen layers make of the inputs, and what is trained on it."""

import keras
import numpy as np
from keras import layers

from saliency_keras.models.frozen import in_two
from saliency_keras.models.readouts import readout_spc
from tests.models.test_readouts import classifier_of_ours, numbers


def small_network():
    """Two branches: `a`, `b` and a pooling of the picture, `c` of the map; both meet in `top`."""
    image, saliency = keras.Input((8, 8, 3), name="image"), keras.Input((8, 8, 1), name="saliency")
    x = layers.Conv2D(2, 3, name="a")(layers.Rescaling(1 / 255, name="scaled")(image))
    x = layers.Dropout(0.5, name="dropped")(layers.Conv2D(2, 3, name="b")(layers.ReLU(name="relu")(x)))
    x = layers.Concatenate()([layers.Flatten()(x), layers.Flatten()(layers.Conv2D(1, 1, name="c")(saliency))])
    return keras.Model({"image": image, "saliency": saliency}, layers.Dense(2, name="top")(x))


INPUTS = {"image": numbers((3, 8, 8, 3), scale=255), "saliency": numbers((3, 8, 8, 1), seed=1)}


def test_both_models_give_what_the_whole_gives_and_share_its_weights():
    model = readout_spc(classifier_of_ours(), 48, 64, levels=("conv1", "conv2"), scales=(1.0, 0.5))
    front, rest = in_two(model, ["ours"])
    pixels = numbers((2, 48, 64, 3), scale=255)
    np.testing.assert_allclose(rest(front(pixels)), model(pixels), atol=1e-5)
    model.get_layer("saliency").set_weights([numbers((1, 1, 6, 1)), numbers((1,))])
    np.testing.assert_allclose(rest(front(pixels)), model(pixels), atol=1e-5)
    assert {one.path for one in rest.trainable_variables} == {
        variable.path for layer in model.layers if layer.name != "ours" for variable in layer.trainable_variables
    }


def test_the_first_model_ends_where_something_is_trained_or_drawn_at_random():
    model = small_network()
    for frozen, shapes in (["a"], [(6, 6, 2), (8, 8, 1)]), (["a", "b"], [(4, 4, 2), (8, 8, 1)]):
        front, rest = in_two(model, frozen)
        assert sorted(one.shape[1:] for one in front.output.values()) == shapes
        np.testing.assert_allclose(rest(front(INPUTS)), model(INPUTS), rtol=1e-5)
    front, rest = in_two(model, ["a", "b", "c"])
    assert sorted(one.shape[1:] for one in front.output.values()) == [(4, 4, 2), (64,)]
    np.testing.assert_allclose(rest(front(INPUTS)), model(INPUTS), rtol=1e-5)


def test_a_frozen_layer_behind_a_trained_one_splits_nothing():
    model = small_network()
    for frozen in [], ["b"], ["top"]:
        assert in_two(model, frozen) == (None, model)


def test_statistics_that_training_would_move_stay_with_what_is_trained():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.BatchNormalization(center=False, scale=False, name="norm")(layers.Conv2D(2, 3, name="a")(image))
    model = keras.Model(image, layers.Dense(1, name="top")(layers.Flatten()(x)))
    assert [layer.name for layer in in_two(model, ["a"])[0].layers] == ["image", "a"]
    assert [layer.name for layer in in_two(model, ["a", "norm"])[0].layers][:3] == ["image", "a", "norm"]
