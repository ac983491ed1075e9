"""A disk that fills up while a set is written: one sentence, nothing half written, and with room the run goes on."""

import collections
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import add_map, compact, workers
from saliency_keras import console
from saliency_keras.data.manifest import Manifest
from tests.small_sets import write_small_set

ROOT = Path(__file__).parents[2]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(command, words, capsys):
    """What the command says when it stops with exit code 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        console.run(lambda: command.main([str(word) for word in words]))
    assert stopped.value.code == 2
    sentence = capsys.readouterr().err
    assert sentence.count("\n") == 1
    return sentence


@pytest.fixture
def room_everywhere(monkeypatch):
    """What is asked before a run starts says that there is room: the disk fills up afterwards."""
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**12))


@pytest.mark.usefixtures("room_everywhere")
@pytest.mark.parametrize(("codec", "workers"), [("raw", 1), ("npy", 2), ("jpeg", 1)])
def test_compaction_stops_in_a_sentence_and_goes_on_with_room(tree, tmp_path, small_disk, capsys, codec, workers):
    words = ["--saliency", "center", "--saliency", "uniform", "--codec", codec, "--shards", 6, "--workers", workers]
    compact.main([str(word) for word in (tree, tmp_path / "whole", *words)])
    whole = contents(tmp_path / "whole")
    out = small_disk.folder / "set"
    out.mkdir()
    left = set()
    for share in (0.01, 0.3, 0.6, 0.9):
        small_disk.resize(share * sum(map(len, whole.values())))
        sentence = refused(compact, (tree, out, *words), capsys)
        assert "no room left for" in sentence or "No space left on device" in sentence
        assert str(out) in sentence
        there = contents(out)
        assert not [name for name in there if name.endswith("incomplete")]
        assert not [name for name in there if "-of-" in name and name in whole and there[name] != whole[name]]
        assert left <= set(there)
        left = {name for name in there if not name.startswith(".")}
    assert left
    small_disk.resize(10**9)
    compact.main([str(word) for word in (tree, out, *words)])
    assert contents(out) == whole


@pytest.mark.usefixtures("room_everywhere")
def test_adding_a_map_stops_in_a_sentence_and_goes_on_with_room(tmp_path, small_disk, capsys):
    small_disk.resize(10**7)
    for folder in (tmp_path / "whole", small_disk.folder / "set"):
        folder.mkdir()
        write_small_set(folder, side=100)
    before = contents(tmp_path / "whole")
    add_map.main([str(tmp_path / "whole"), "--saliency", "center", "--workers", "1"])
    whole = contents(tmp_path / "whole")
    added = sum(map(len, whole.values())) - sum(map(len, before.values()))
    size, out = small_disk.used, small_disk.folder / "set"
    for share in (0.01, 0.4, 0.8):
        small_disk.resize(size + share * added)
        words = (out, "--saliency", "center", "--workers", 1)
        sentence = refused(add_map, words, capsys)
        assert "no room left for" in sentence or "No space left on device" in sentence
        there = contents(out)
        assert {name: there[name] for name in before} == before
        assert not [name for name in there if name.endswith("incomplete")]
        Manifest.load(out).check_sums()
    small_disk.resize(10**9)
    add_map.main([str(word) for word in words])
    assert contents(out) == whole


def test_what_ended_workers_leave_half_written_does_not_stay_on_a_full_disk(tmp_path, monkeypatch):
    """One worker finds the disk full; another is ended in the middle of its file, which a later run would not use."""
    write_small_set(tmp_path, side=100)
    before = contents(tmp_path)

    def in_workers(*_):
        (tmp_path / ".train-00001-of-00003.center.tfrecord.4723.incomplete").write_bytes(b"half")
        raise console.UserError("there is no room left")

    monkeypatch.setattr(workers, "in_workers", in_workers)
    with pytest.raises(console.UserError):
        add_map.add_map(tmp_path, "center")
    assert contents(tmp_path) == before


def test_a_limit_on_files_sizes_is_told_as_a_full_disk_is(tree, tmp_path):
    """As a quota would; this needs no rights, and the command is a process of its own."""
    words = [sys.executable, "-m", "data_prep.compact", tree, tmp_path / "set", "--saliency", "center", "--workers", 2]
    ended = subprocess.run(
        list(map(str, words)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)),
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: there is no room left for ")
    assert ended.stderr.count("\n") == 1
    assert not list((tmp_path / "set").glob("*-of-*"))
    assert not list((tmp_path / "set").glob(".*incomplete"))
    subprocess.run(list(map(str, words)), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert Manifest.load(tmp_path / "set").splits["train"].records == 18


def test_pictures_that_compress_worse_than_any_estimate_fill_the_disk_for_real(tmp_path, small_disk, capsys):
    """Noise takes twice the bytes that `compact` reckons with: it starts, and the disk fills up."""
    random = np.random.default_rng(0)
    for split, name in (("train", "a"), ("train", "b"), ("val", "a"), ("val", "b")):
        (tmp_path / "noise" / split / name).mkdir(parents=True)
        for index in range(8):
            pixels = random.integers(0, 256, (300, 300, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "noise" / split / name / f"{index}.png")
    small_disk.resize(600_000)
    words = ["--saliency", "center", "--codec", "jpeg", "--shards", "3", "--workers", "1"]
    assert "no room left for" in refused(compact, (tmp_path / "noise", small_disk.folder / "set", *words), capsys)
    small_disk.resize(10**8)
    compact.main([str(word) for word in (tmp_path / "noise", small_disk.folder / "set", *words)])
    assert Manifest.load(small_disk.folder / "set").splits["train"].records == 16
