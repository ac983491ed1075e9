"""TFRecords written without TensorFlow: the bytes are those that TensorFlow writes."""

import numpy as np
import pytest

from saliency_keras.data.tfrecord import example, framed


@pytest.mark.parametrize("label", [0, 1, 127, 128, 999, 2**40])
@pytest.mark.parametrize("size", [0, 5, 127, 128, 70_000])
def test_a_file_is_that_of_tensorflow_byte_for_byte(tmp_path, label, size):
    tf = pytest.importorskip("tensorflow")
    pixels, name = np.random.default_rng(size).bytes(size), "Äpfel/1".encode()
    (tmp_path / "ours").write_bytes(2 * framed(example({"rgbs": pixels, "label": label, "id": name})))

    def of_bytes(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    number = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    features = tf.train.Features(feature={"rgbs": of_bytes(pixels), "label": number, "id": of_bytes(name)})
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for _ in range(2):
            writer.write(tf.train.Example(features=features).SerializeToString(deterministic=True))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
