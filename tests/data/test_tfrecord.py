"""TFRecords written by numpy: the bytes are those TensorFlow writes, and TensorFlow accepts their checksums."""

import numpy as np
import pytest

from saliency_keras.data.tfrecord import crc32c, example, framed


def test_the_checksum_is_that_of_the_standard():
    """The check value of CRC-32C, and the four 32-byte examples of RFC 3720 (iSCSI), appendix B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(bytes(range(31, -1, -1))) == 0x113FDB5C


def one_bit_at_a_time(data):
    """CRC-32C as a textbook computes it."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


@pytest.mark.parametrize("length", [4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1000, 4099])
def test_the_checksum_of_any_length_is_that_of_the_textbook(length):
    data = np.random.default_rng(length).bytes(length)
    assert crc32c(data) == one_bit_at_a_time(data)


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
