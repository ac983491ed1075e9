"""A further map for a set that is there: its values, what stays as it was, kills at every step, refusals."""

import os
from pathlib import Path

import numpy as np
import pytest

from data_prep import add_map as command
from data_prep import compaction
from data_prep.add_map import add_map
from saliency_keras.blas import kernels
from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.stored import Records
from saliency_keras.saliency import predictor
from tests.small_sets import write_small_set


@pytest.fixture
def small(tmp_path):
    """A small set in codec npy (three train shards, two val shards; maps `first` and `other`), and what is in it."""
    (tmp_path / "set").mkdir()
    return write_small_set(tmp_path / "set", codec="npy")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("codec", ["npy", "raw", "jpeg"])
def test_the_maps_are_those_of_the_stored_pictures(tmp_path, codec):
    _, written = write_small_set(tmp_path, codec=codec)
    before = contents(tmp_path)
    manifest, name = add_map(tmp_path, "itti", workers=0)
    assert (name, manifest.map_names) == ("itti", ("first", "other", "itti"))
    assert manifest.maps[2].predictor["pictures"] == "as stored, 36 px"
    for split, arrays in written.items():
        stored, places = Records(manifest, split), np.arange(len(arrays["label"]))
        pixels = np.stack([one.copy().view("uint8").reshape(36, 36, 4)[..., :3] for one in stored.words(places)])
        if codec != "jpeg":
            np.testing.assert_array_equal(pixels, arrays["image"])
        expected = [geometry.stored_map(one, 36) for one in predictor("itti")(pixels)]
        maps = np.stack(list(Records(manifest, split, "itti").maps(places))).astype(int)
        # Another batch may round otherwise; JPEG adds its own losses.
        assert np.abs(maps - expected).mean() < 2 if codec == "jpeg" else np.abs(maps - expected).max() <= 1
        if split == "train":
            assert manifest.maps[2].mean == pytest.approx(np.mean(expected) / 255, rel=1e-3)
    after = contents(tmp_path)
    assert {name: after[name] for name in before if name != "manifest.json"} | {"manifest.json": 0} == before | {
        "manifest.json": 0
    }
    assert set(after) - set(before) == {path.name for split in written for path in manifest.shard_files(split, "itti")}


def test_a_replaced_map_leaves_nothing_of_the_old_one(small):
    manifest, _ = small
    folder, old = manifest.folder, manifest.shard_files("train", "other")
    replaced, _ = add_map(folder, "center", "other", workers=0)
    assert replaced.map_names == ("first", "other")
    assert not [path for path in old if path.exists()]
    again, _ = add_map(folder, "uniform", "other", workers=0)
    assert (np.stack(list(Records(again, "val", "other").maps(np.arange(9)))) == 255).all()
    files = {
        path.name for split in ("train", "val") for name in again.map_names for path in again.shard_files(split, name)
    }
    assert set(contents(folder)) == {"manifest.json", *files}


@pytest.mark.parametrize("name", ["other", "new"])
def test_killed_at_every_step_the_set_stays_whole_and_a_rerun_ends_with_the_same_bytes(
    small, tmp_path, monkeypatch, name
):
    class Killed(BaseException):
        pass

    steps = []
    replace, unlink = os.replace, type(tmp_path).unlink

    def counted(change):
        def step(*words, **options):
            if len(steps) == limit:
                raise Killed
            steps.append(words)
            return change(*words, **options)

        return step

    (tmp_path / "whole").mkdir()
    whole = write_small_set(tmp_path / "whole", codec="npy")[0].folder
    add_map(whole, "center", name, workers=0)
    for limit in range(100):
        folder = tmp_path / f"killed{limit}"
        folder.mkdir()
        write_small_set(folder, codec="npy")
        steps.clear()
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", counted(replace))
            patched.setattr(type(tmp_path), "unlink", counted(unlink))
            try:
                add_map(folder, "center", name, workers=0)
            except Killed:
                finished = False
            else:
                finished = True
        manifest = Manifest.load(folder)
        manifest.check_sums()
        assert "first" in manifest.map_names
        add_map(folder, "center", name, workers=0)
        assert contents(folder) == contents(whole)
        if finished:
            break
    assert limit > 10


def test_finished_side_shards_are_not_predicted_again(small, monkeypatch, capsys):
    manifest, _ = small
    write, done = command.write_side_shard, []

    def stopping(task, **options):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(task.file)
        return write(task, **options)

    monkeypatch.setattr(command, "write_side_shard", stopping)
    with pytest.raises(KeyboardInterrupt):
        add_map(manifest.folder, "center", workers=0)
    assert Manifest.load(manifest.folder) == manifest
    redone = []
    monkeypatch.setattr(
        command, "write_side_shard", lambda task, **options: redone.append(task.file) or write(task, **options)
    )
    add_map(manifest.folder, "center", workers=0)
    assert len(redone) == 2
    assert not set(redone) & set(done)
    assert "3 of 5 side shards are finished" in capsys.readouterr().out
    assert not [name for name in contents(manifest.folder) if name.startswith(".")]


def test_side_shards_that_another_processor_has_begun_are_made_again(small, monkeypatch, capsys):
    manifest, _ = small
    write, done = command.write_side_shard, []

    def stopping(task, **options):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(task.file)
        return write(task, **options)

    with monkeypatch.context() as patched:
        patched.setattr(command, "write_side_shard", stopping)
        patched.setattr("saliency_keras.blas.kernels", lambda: "OpenBLAS Colossus, numpy valves")
        with pytest.raises(KeyboardInterrupt):
            add_map(manifest.folder, "center", workers=0)
    made, _ = add_map(manifest.folder, "center", workers=0)
    assert "are finished already" not in capsys.readouterr().out
    assert made.map_named("center").kernels == kernels()
    assert made.map_named("first").kernels == ""


def test_the_same_map_again_is_nothing_to_do(small, monkeypatch, capsys):
    folder = small[0].folder
    add_map(folder, "center", workers=0)
    before = contents(folder)
    monkeypatch.setattr(command, "write_side_shard", None)
    add_map(folder, "center", workers=0)
    assert contents(folder) == before
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_map_is_named_with_its_command_which_mends_it(small, harm):
    folder = small[0].folder
    add_map(folder, "center", workers=0)
    path = Manifest.load(folder).shard_files("val", "center")[0]
    content = path.read_bytes()
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + (bytes([content[-1] ^ 1]) if harm == "flip" else b""))
    with pytest.raises(UserError, match=r"run data_prep\.add_map for the map center again"):
        Manifest.load(folder).check_sums()
    manifest, _ = add_map(folder, "center", workers=0)
    manifest.check_sums()
    assert manifest.shard_files("val", "center")[0].read_bytes() == content


def test_a_compacted_set_stays_finished_when_a_map_is_added(tree, tmp_path, capsys):
    from data_prep.sources.source import FolderSource

    options = {"saliency": ("center",), "codec": "npy", "side": 32, "workers": 0}
    compaction.compact(FolderSource(tree), tmp_path / "set", **options)
    add_map(tmp_path / "set", "uniform", workers=0)
    assert compaction.compact(FolderSource(tree), tmp_path / "set", **options).map_names == ("center", "uniform")
    assert "nothing to do" in capsys.readouterr().out


def test_a_damaged_added_map_does_not_cost_the_pictures(tree, tmp_path):
    from data_prep.sources.source import FolderSource

    options = {"saliency": ("center",), "codec": "npy", "side": 32, "workers": 0}
    compaction.compact(FolderSource(tree), tmp_path / "set", **options)
    for name in "one", "two":
        manifest, _ = add_map(tmp_path / "set", "uniform", name, workers=0)
    for name in "one", "two":
        manifest.shard_files("val", name)[0].unlink()
    before = contents(tmp_path / "set")
    with pytest.raises(UserError, match=r"run data_prep\.add_map for the map one again"):
        compaction.compact(FolderSource(tree), tmp_path / "set", **options)
    assert contents(tmp_path / "set") == before
    for name in "one", "two":
        add_map(tmp_path / "set", "uniform", name, workers=0)
    mended = compaction.compact(FolderSource(tree), tmp_path / "set", **options)
    assert mended.map_names == ("center", "one", "two")
    mended.check_sums()


def test_killed_while_a_damaged_set_is_cleared_away_the_folder_is_still_known(tree, tmp_path, monkeypatch):
    from data_prep.sources.source import FolderSource

    options = {"saliency": ("center",), "codec": "npy", "side": 32, "workers": 0}
    compaction.compact(FolderSource(tree), tmp_path / "set", **options)
    whole = contents(tmp_path / "set")
    (shard,) = Manifest.load(tmp_path / "set").shard_files("val")
    shard.unlink()

    unlink = Path.unlink

    def killed(path, missing_ok=False):
        if "-of-" in path.name:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            compaction.compact(FolderSource(tree), tmp_path / "set", **options)
    assert not (tmp_path / "set" / "manifest.json").exists()
    compaction.compact(FolderSource(tree), tmp_path / "set", **options)
    assert contents(tmp_path / "set") == whole


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["set", "--saliency", "eyes"], "no saliency predictor"),
        (["set", "--saliency", "center", "--name", "first"], "first is interleaved"),
        (["set", "--saliency", "center", "--name", "shuffled"], "a map's name"),
        (["set", "--saliency", "center", "--name", "../up"], "a map's name"),
        (["set", "--saliency", "center", "--workers", "-1"], "workers must be 0 or more"),
        (["nowhere", "--saliency", "center"], "no folder"),
    ],
)
def test_mistakes_are_told_and_change_nothing(small, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    before = contents(small[0].folder)
    with pytest.raises(UserError, match=sentence):
        command.main(words)
    assert contents(small[0].folder) == before


def test_a_damaged_set_gets_no_map(small):
    path = small[0].shard_files("train")[1]
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(UserError, match=f"{path.name} is damaged"):
        add_map(small[0].folder, "center", workers=0)


@pytest.mark.slow
def test_the_command_with_workers_writes_the_same_bytes_and_says_how_to_use_the_map(small, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    other = write_small_set(tmp_path / "other", codec="npy")[0].folder
    add_map(other, "center", workers=0)
    command.main([str(small[0].folder), "--saliency", "center", "--workers", "2"])
    assert contents(other) == contents(small[0].folder)
    assert "train with --maps center" in capsys.readouterr().out
