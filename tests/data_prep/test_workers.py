"""Networks among predictors stay in the parent process; worker processes ask it for maps."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from data_prep import compaction
from data_prep.add_map import add_map
from data_prep.sources.source import FolderSource
from saliency_keras.console import UserError
from saliency_keras.saliency import per_picture

pytestmark = pytest.mark.slow


class Network:
    """A predictor that only this process can have, as a process has a device."""

    name, version, parameters, on_device = "network", 1, {}, True

    def __init__(self, fails=None):
        self.fails, self.calls, self.busy, self.together = fails, [], 0, 0

    def __getstate__(self):
        raise AssertionError("the network was sent to a worker")

    def __call__(self, images):
        self.busy += 1
        self.together = max(self.together, self.busy)
        self.calls.append((os.getpid(), images.shape))
        time.sleep(0.03)
        self.busy -= 1
        if self.fails:
            raise self.fails
        return images.astype("float32").mean(-1) + np.arange(images.shape[1])[:, None]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("many", [False, True])
def test_sets_are_the_same_for_any_number_of_workers_and_one_process_has_the_network(
    make_tree, tmp_path, monkeypatch, many
):
    monkeypatch.setattr(per_picture, "many_at_once", lambda: many)
    tree = make_tree(tmp_path / "pictures", train=14, val=5)
    options = {"saliency": ("center", Network()), "shards": 4, "side": 48, "codec": "npy", "square": 64, "shorter": 64}
    alone = compaction.compact(FolderSource(tree), tmp_path / "alone", **options, workers=0)
    for workers in (1, 3):
        network = Network()
        options["saliency"] = ("center", network)
        compaction.compact(FolderSource(tree), out := tmp_path / str(workers), **options, workers=workers)
        assert contents(out) == contents(alone.folder)
        processes, shapes = map(set, zip(*network.calls, strict=True))
        assert processes == {os.getpid()}
        assert network.together == 1 or many
        assert max(shape[0] for shape in shapes) == 8
        assert sum(shape[0] for _, shape in network.calls) == 3 * (14 + 5)
        assert {shape[1:] for shape in shapes} == {(64, 64, 3)}
    plain, _ = add_map(alone.folder, network, "again", workers=0)
    other, _ = add_map(tmp_path / "3", Network(), "again", workers=2)
    assert contents(plain.folder) == contents(other.folder)


@pytest.mark.parametrize("failure", [UserError("the weights cannot be had."), ZeroDivisionError("a defect")])
def test_what_the_network_raises_is_raised_and_the_folder_is_free_again(tree, tmp_path, failure):
    with pytest.raises(type(failure), match=str(failure)):
        compaction.compact(FolderSource(tree), tmp_path / "set", (Network(failure),), side=48, shards=3, workers=2)
    assert not list((tmp_path / "set").glob("*-of-*"))
    assert not [one for one in threading.enumerate() if "_serve" in one.name]


class Deadly(FolderSource):
    """Kills the worker that reads a certain picture, while others wait for maps."""

    def read(self, picture, content=None):
        if picture.place == "train/eel/004.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(picture, content)


def test_a_worker_that_is_killed_ends_the_run_with_a_sentence_and_the_next_one_goes_on(make_tree, tmp_path):
    tree = make_tree(tmp_path / "pictures", train=12, val=3)
    options = {"saliency": (Network(),), "side": 48, "shards": 6, "workers": 2}
    with pytest.raises(UserError, match="a worker process was killed"):
        compaction.compact(Deadly(tree), tmp_path / "set", **options)
    compaction.compact(FolderSource(tree), tmp_path / "set", **options)
    compaction.compact(FolderSource(tree), tmp_path / "whole", **options)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_a_network_is_compiled_for_one_size_of_batch(monkeypatch):
    monkeypatch.setattr(per_picture, "pictures_at_once", lambda: 4)
    images = np.arange(10)[:, None, None, None] * np.ones((1, 2, 3, 3), np.uint8)
    batches = list(per_picture.batches_of_one_size(images))
    assert [start for start, _ in batches] == [0, 4, 8]
    assert [batch[:, 0, 0, 0].tolist() for _, batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 9, 9]]
