"""Weights that Keras fetches: one process at a time, and a sentence where it cannot."""

import fcntl
import os
import threading

import pytest

from saliency_keras.console import UserError
from saliency_keras.models.weights import imagenet_weights


def test_one_process_at_a_time_fetches_and_the_next_one_waits(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    other, fetched = os.open(tmp_path, os.O_RDONLY), threading.Event()
    fcntl.flock(other, fcntl.LOCK_EX)

    def fetch():
        with imagenet_weights("ResNet50"):
            fetched.set()

    threading.Thread(target=fetch).start()
    assert not fetched.wait(0.3)
    os.close(other)
    assert fetched.wait(60)


@pytest.mark.parametrize(
    "error", [Exception("URL fetch failure on https://…"), OSError("full\ndisk"), ValueError("hash")]
)
def test_what_a_download_fails_by_is_told_in_a_sentence(error):
    with pytest.raises(UserError, match=r"weights of ResNet50 \((URL|full\)|hash)"), imagenet_weights("ResNet50"):
        raise error


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), imagenet_weights("ResNet50"):
        1 / 0  # noqa: B018
