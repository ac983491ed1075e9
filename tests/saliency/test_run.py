"""A run folder as a saliency predictor: the map of its network, in the picture's size, or one sentence."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from saliency_keras.console import UserError
from saliency_keras.saliency import per_picture, predictor
from saliency_keras.saliency.per_picture import pictures_at_once


def write_run(folder, model, **experiment):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"experiment": {"name": "made", **experiment}}))
    model.save(folder / "model.keras")
    (folder / "summary.json").write_text("{}")
    return str(folder)


def classifier(side=24, with_map=True):
    """A classifier whose layer `saliency_map` is the mean of the channels of 4x4 pixels."""
    image = keras.Input((side, side, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(image)
    small = layers.AveragePooling2D(4)(x)
    name = "saliency_map" if with_map else "other"
    where = layers.Conv2D(1, 1, kernel_initializer="ones", use_bias=False, name=name)(small)
    return keras.Model({"image": image}, layers.Dense(3)(layers.Flatten()(where)))


def spot(height, width, row, column):
    image = np.zeros((height, width, 3), np.uint8)
    image[row : row + 8, column : column + 8] = 255
    return image


def test_hallucinated_map_has_the_picture_s_size_and_lies_where_the_layer_saw_something(tmp_path):
    predict = predictor(write_run(tmp_path / "step1", classifier()))
    maps = predict(np.stack([spot(48, 96, 8, 16), spot(48, 96, 32, 80)]))
    assert maps.shape == (2, 48, 96)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    peaks = [np.unravel_index(one.argmax(), one.shape) for one in maps]
    assert abs(peaks[0][0] - 12) <= 4 and abs(peaks[0][1] - 20) <= 8  # noqa: PT018
    assert abs(peaks[1][0] - 36) <= 4 and abs(peaks[1][1] - 84) <= 8  # noqa: PT018
    assert predict.name == "step1"
    assert predict.parameters["experiment"] == "made"


def test_hallucinated_map_lies_where_an_unpadded_network_looked(tmp_path):
    image = keras.Input((33, 33, 3), dtype="uint8", name="image")
    x = layers.Conv2D(1, 9, strides=4, use_bias=False)(layers.Rescaling(1 / 255)(image))  # at pixels 4, 8, … 28
    where = layers.Conv2D(1, 3, use_bias=False, name="saliency_map")(x)  #                   at pixels 8, 12, … 24
    model = keras.Model({"image": image}, layers.Dense(3)(layers.Flatten()(where)))
    for kernel in model.weights[:2]:  # each position sees its centre alone
        values = np.zeros(kernel.shape)
        values[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
        kernel.assign(values)
    dots = np.zeros((2, 33, 33, 3), np.uint8)
    dots[0, 12, 20] = dots[1, 8, 16] = 255
    inside, at_the_border = predictor(write_run(tmp_path / "run", model))(dots)
    expected = np.maximum(1 - abs(np.arange(33) - 12) / 4, 0)[:, None] * np.maximum(1 - abs(np.arange(33) - 20) / 4, 0)
    np.testing.assert_allclose(inside, 3 * expected, atol=1e-5)
    np.testing.assert_allclose(at_the_border[:9, 16], 3, atol=1e-5, err_msg="the border's values go on outwards")


def test_saliency_network_of_any_size_gives_what_its_loss_makes_of_the_output(tmp_path):
    image = keras.Input((None, None, 3), dtype="uint8", name="image")
    negative = layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(-0.01), use_bias=False)
    model = keras.Model(image, negative(layers.Rescaling(1.0)(image)))
    picture = spot(20, 30, 4, 4)[None]
    output = -0.03 * picture[0, ..., 0].astype(float)
    maps = predictor(write_run(tmp_path / "run", model, loss="cross_entropy"))(picture)
    np.testing.assert_allclose(maps[0], 1 / (1 + np.exp(-output)), rtol=1e-3)
    maps = predictor(write_run(tmp_path / "other", model, loss="divergence"))(picture)
    assert maps.sum() == pytest.approx(1, rel=1e-3)


def test_pictures_of_a_batch_do_not_change_each_other(tmp_path):
    predict = predictor(write_run(tmp_path / "run", classifier()))
    pictures = np.random.default_rng(0).integers(0, 256, (18, 30, 30, 3), np.uint8)
    np.testing.assert_allclose(predict(pictures)[17], predict(pictures[17:])[0], rtol=1e-5)


@pytest.mark.skipif(pictures_at_once() > 1, reason="an accelerator takes pictures in batches, which round otherwise")
def test_on_a_processor_a_map_is_the_same_to_the_last_bit_in_every_batch(tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((64, 64, 3), name="image")
    x = layers.Conv2D(64, 5, activation="relu", padding="same")(image)
    x = layers.Conv2D(96, 3, activation="relu", padding="same", strides=2)(x)
    predict = predictor(write_run(tmp_path / "run", keras.Model(image, layers.Conv2D(1, 3)(x)), loss="divergence"))
    pictures = np.random.default_rng(0).integers(0, 256, (11, 30, 40, 3), np.uint8)
    together = predict(pictures)
    np.testing.assert_array_equal(np.concatenate([predict(pictures[:3]), predict(pictures[3:])]), together)
    np.testing.assert_array_equal(predict(pictures[::-1])[::-1], together)


def test_on_an_accelerator_a_network_sees_batches_of_one_size(tmp_path, monkeypatch):
    predict = predictor(write_run(tmp_path / "run", classifier()))
    pictures = np.random.default_rng(0).integers(0, 256, (10, 30, 30, 3), np.uint8)
    one_by_one, seen, on_batch = predict(pictures), [], predict._network.predict_on_batch
    monkeypatch.setattr(per_picture, "pictures_at_once", lambda: 4)
    monkeypatch.setattr(predict._network, "predict_on_batch", lambda one: seen.append(len(one)) or on_batch(one))
    np.testing.assert_allclose(predict(pictures), one_by_one, rtol=1e-5, atol=1e-6)
    assert seen == [4, 4, 4]


def test_run_without_a_map_is_refused(tmp_path):
    with pytest.raises(UserError, match="makes no saliency map"):
        predictor(write_run(tmp_path / "run", classifier(with_map=False)))


def test_network_that_wants_a_map_is_refused(tmp_path):
    inputs = [keras.Input((8, 8, channels), name=name) for name, channels in (("image", 3), ("saliency", 1))]
    model = keras.Model(inputs, layers.Concatenate()(inputs))
    with pytest.raises(UserError, match="wants a saliency map"):
        predictor(write_run(tmp_path / "run", model))


def test_folder_that_is_no_finished_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        predictor(str(tmp_path))


def test_name_that_is_neither_predictor_nor_folder_lists_both(tmp_path):
    with pytest.raises(UserError, match=r"gbvs.*or a run folder"):
        predictor(str(tmp_path / "nowhere"))
