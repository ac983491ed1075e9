"""The way from a run of `readout_pointwise` to the file that the predictor reads."""

import json

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.models.readouts import pointwise_readout
from saliency_keras.saliency import pack_readout, readout

CHANNELS = (512, 1024, 2048)


@pytest.fixture
def run(tmp_path):
    """A run folder whose network has a small backbone with the channels of ResNet-50's levels."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((32, 32, 3))
    levels = [keras.layers.Conv2D(count, 1, 4 * 2**n)(pixels) for n, count in enumerate(CHANNELS)]
    backbone = keras.Model(pixels, levels, name="resnet50_features")
    image = keras.Input((32, 32, 3), name="image")
    folder = tmp_path / "run"
    folder.mkdir()
    keras.Model(image, pointwise_readout(backbone(image)), name="readout_pointwise").save(folder / "model.keras")
    write_config(folder)
    (folder / "summary.json").write_text("{}")
    return folder


def write_config(folder, **changed):
    arguments = {"backbone": readout.BACKBONE, "levels": ",".join(readout.LEVELS), **changed}
    frozen = arguments.pop("frozen", ["backbone"])
    fields = {"network": "readout_pointwise", "arguments": arguments, "start": {"frozen": frozen}}
    (folder / "config.json").write_text(json.dumps({"experiment": fields}))


def test_the_head_of_a_run_becomes_a_file_of_the_shipped_one_s_form(run, capsys):
    pack_readout.main([str(run)])
    assert f"written: {run / 'readout.npz'}" in capsys.readouterr().out
    model = keras.saving.load_model(run / "model.keras", compile=False)
    with np.load(run / "readout.npz") as packed, np.load(readout.HEAD) as shipped:
        assert {name: (packed[name].shape, packed[name].dtype) for name in packed} == {
            name: (shipped[name].shape, shipped[name].dtype) for name in shipped
        }
        for name in packed:
            layer, index = name.split("/")
            expected = model.get_layer(layer).get_weights()[int(index)]
            np.testing.assert_array_equal(packed[name], expected.astype(np.float16))


def test_runs_without_a_head_for_the_predictor_are_refused(run, tmp_path):
    for changed in {"backbone": "VGG16"}, {"levels": "conv1"}, {"frozen": []}:
        write_config(run, **changed)
        with pytest.raises(UserError, match="has no head for the predictor readout"):
            pack_readout.main([str(run)])
    (run / "config.json").write_text('{"experiment": []}')
    with pytest.raises(UserError, match="is damaged: it describes no experiment"):
        pack_readout.main([str(run)])
    (run / "summary.json").unlink()
    with pytest.raises(UserError, match="is no finished run"):
        pack_readout.main([str(run)])
    with pytest.raises(UserError, match="is a folder; --out is a file"):
        pack_readout.main([str(run), "--out", str(tmp_path)])
    assert not (run / "readout.npz").exists()
