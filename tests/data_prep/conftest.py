"""Small trees of pictures, made on the spot, and a reader of records that shares no code with the project's."""

import numpy as np
import pytest
from PIL import Image


def draw_tree(folder, train=6, val=3, classes=("cat", "dog", "eel"), seed=0):
    """An image folder of noisy pictures in odd sizes."""
    random = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", val)):
        for name in classes:
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                height, width = random.integers(20, 90, 2)
                small = random.integers(0, 256, (5, 5, 3), dtype="uint8")
                Image.fromarray(small).resize((width, height)).save(folder / split / name / f"{index:03d}.png")
    return folder


@pytest.fixture
def tree(tmp_path):
    """A folder of 3 classes with 6 train and 3 val pictures each."""
    return draw_tree(tmp_path / "pictures")


@pytest.fixture
def make_tree():
    """The function that draws such a folder."""
    return draw_tree


def tfrecords(path):
    """Payloads of a TFRecord file, from the format's definition: length, its checksum, data, its checksum."""
    content = path.read_bytes()
    found = []
    while content:
        length = int.from_bytes(content[:8], "little")
        found.append(content[12 : 12 + length])
        content = content[12 + length + 4 :]
    return found


@pytest.fixture
def read_records():
    """Reads shards into a list of dicts: feature name to bytes or integer."""
    import tensorflow as tf

    def read(*paths):
        records = []
        for path in paths:
            for payload in tfrecords(path):
                features = tf.train.Example.FromString(payload).features.feature
                records.append(
                    {
                        name: feature.int64_list.value[0] if feature.int64_list.value else feature.bytes_list.value[0]
                        for name, feature in features.items()
                    }
                )
        return records

    return read
