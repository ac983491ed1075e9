"""Crops made on the device lead the network to the same scores."""

import numpy as np
import pytest

from saliency_keras.experiments import experiment
from saliency_keras.training.tasks.classification import Classification
from tests.small_sets import write_small_set


@pytest.mark.parametrize("name", ["rgb", "fanin3"])
def test_network_says_the_same_of_pictures_cropped_on_host_and_device(tmp_path, name):
    manifest, _ = write_small_set(tmp_path, side=136, codec="npy", train=(5,), val=(6,))
    chosen = experiment(name).with_settings(["dense_units=8"]).replace(batch=4)
    host, device = (Classification(chosen, manifest, 0, tmp_path, augment) for augment in ("host", "device"))
    device.network.model.set_weights(host.network.model.get_weights())
    for ours, theirs in ((host.training(1, 1), device.training(1, 1)), (host.validation(), device.validation())):
        for (inputs, _), (whole, _) in zip(ours, theirs, strict=True):
            scores = np.asarray(host.network.model(inputs))
            np.testing.assert_allclose(np.asarray(device.fed(whole)), scores, rtol=1e-5, atol=1e-6)
