"""The lines of docs/reading.md that read a compact set without this package, run as they are printed."""

import re
from pathlib import Path

import numpy as np
import pytest

from saliency_keras.data.manifest import Manifest
from tests.small_sets import write_small_set

PAGE = Path(__file__).parents[2] / "docs" / "reading.md"


def read(package, folder):
    """Batches of the example that imports a package, its folder and side replaced."""
    pytest.importorskip(package, reason=f"{package} is not installed")
    (code,) = (one for one in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if f"import {package}" in one)
    code = re.sub(r"compact/photos(-npy)?", str(folder), code)
    names = {}
    exec(code.replace("SIDE, FEATURES = 144,", "SIDE, FEATURES = 36,"), names)
    return list(names["train"])


@pytest.mark.parametrize(("package", "codec"), [("tensorflow", "raw"), ("grain", "npy")])
def test_the_examples_give_every_picture_with_its_map_and_label(package, codec, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    _, written = write_small_set(folder, codec=codec, train=(20, 17), val=(5,))
    assert len(Manifest.load(folder).shard_files("train")) == 2
    batches = read(package, folder)
    assert [len(labels) for _, labels in batches] == [32, 5]
    found = {}
    for inputs, labels in batches:
        for image, saliency, label in zip(inputs["image"], inputs["saliency"], labels, strict=True):
            found[np.asarray(image).tobytes()] = (np.asarray(saliency).tobytes(), int(label))
    train = written["train"]
    expected = {
        image.tobytes(): (saliency.tobytes(), int(label))
        for image, saliency, label in zip(train["image"], train["saliency"], train["label"], strict=True)
    }
    assert found == expected
