"""Crops on the device against the crops that the host makes."""

import keras
import numpy as np
import pytest

from saliency_keras.data.device import crops
from saliency_keras.data.reader import Reader
from saliency_keras.data.shown import Shown
from tests.small_sets import write_small_set


@pytest.mark.parametrize("chosen", ["random", "five"])
@pytest.mark.parametrize("maps", ["own", "shuffled", None])
def test_device_s_crops_are_the_host_s_pixel_by_pixel(tmp_path, maps, chosen):
    manifest, _ = write_small_set(tmp_path, codec="npy")
    shown = maps and Shown.parse(maps)
    host, device = (
        Reader(manifest, "train", 31, 5, shown, 1, augment=augment, crops=chosen) for augment in ("host", "device")
    )
    words, box = keras.Input((36, 36), dtype="int32"), keras.Input((3,), dtype="int32")
    network = keras.Model([words, box], crops(words, box, 31))
    streams = [(host.training(1, 2), device.training(1, 2)), (host.validation(), device.validation())]
    for ours, theirs in streams:
        for (inputs, labels), (whole, labels_again) in zip(ours, theirs, strict=True):
            image, saliency = network([whole["words"], whole["box"]])
            np.testing.assert_array_equal(np.asarray(image), inputs["image"])
            if maps:
                np.testing.assert_array_equal(np.asarray(saliency), inputs["saliency"])
            np.testing.assert_array_equal(labels, labels_again)
