"""A data set as a whole: what is in it, that its bytes depend on nothing else, and what is refused or survived."""

import collections
import concurrent.futures
import csv
import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import compact as compact_command
from data_prep import compaction, shards
from data_prep.sources.popout import PopoutSource
from data_prep.sources.source import FolderSource, Picture
from saliency_keras.blas import kernels
from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.pictures import read_picture
from saliency_keras.saliency import predictor

ROOT = Path(__file__).parents[2]


def compact(tree, out, **options):
    return compaction.compact(FolderSource(tree), out, **{"saliency": ("center",), "workers": 0, **options})


def contents(folder):
    """Name and bytes of everything in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def skipped(folder):
    with open(folder / "skipped.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_records_are_the_pictures_in_keyed_order_with_their_maps(tree, tmp_path, read_records):
    manifest = compact(tree, tmp_path / "set", side=100, shards=2, seed=5)
    for split, count in (("train", 18), ("val", 9)):
        records = read_records(*manifest.shard_files(split))
        ids = [record["id"].decode() for record in records]
        assert ids == sorted(ids, key=lambda name: hashlib.sha256(f"5/{name}".encode()).digest())
        assert len(set(ids)) == count
        for record in records:
            name = record["id"].decode()
            pixels = geometry.square(read_picture(tree / split / name), geometry.Framing())
            rgbs = np.frombuffer(record["rgbs"], "uint8").reshape(100, 100, 4)
            np.testing.assert_array_equal(rgbs[..., :3], geometry.shrink(pixels, 100))
            saliency = predictor("center")(pixels[None])[0]
            np.testing.assert_array_equal(rgbs[..., 3], geometry.stored_map(saliency, 100))
            assert manifest.classes[record["label"]] == name.split("/")[0]


def test_manifest_counts_and_means_are_those_of_the_records(tree, tmp_path, read_records):
    (tree / "train" / "dog" / "000.png").write_bytes(b"no picture")
    manifest = compact(tree, tmp_path / "set", saliency=("center", "uniform"), shards=4)
    assert manifest == Manifest.load(tmp_path / "set")
    for split in ("train", "val"):
        records = read_records(*manifest.shard_files(split))
        labels = collections.Counter(record["label"] for record in records)
        assert manifest.splits[split].per_class == tuple(labels[label] for label in range(3))
    records = read_records(*manifest.shard_files("train"))
    pixels = np.stack([np.frombuffer(record["rgbs"], "uint8").reshape(144, 144, 4) for record in records]) / 255
    np.testing.assert_allclose([*manifest.mean_rgb, manifest.maps[0].mean], pixels.mean((0, 1, 2)), rtol=1e-12)
    assert manifest.splits["train"].per_class == (6, 5, 6)
    assert manifest.maps[1].mean == 1
    assert manifest.maps[0].predictor["name"] == "center"
    for shard in manifest.splits["train"].shards:
        content = (tmp_path / "set" / shard.file).read_bytes()
        assert (shard.bytes, shard.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert contents(tmp_path / "set").keys() == {
        "manifest.json",
        "skipped.csv",
        "checksums.npy",
        "frames.npy",
        *(path.name for split in ("train", "val") for path in manifest.shard_files(split)),
        *(path.name for split in ("train", "val") for path in manifest.shard_files(split, "uniform")),
    }


def test_further_maps_lie_in_side_shards_in_the_same_order(tree, tmp_path, read_records):
    first = compact(tree, tmp_path / "first", saliency=("uniform", "center"), shards=2)
    other = compact(tree, tmp_path / "other", saliency=("center",), shards=2)
    sides = read_records(*first.shard_files("train", "center"))
    interleaved = read_records(*other.shard_files("train"))
    assert [side["saliency"] for side in sides] == [record["rgbs"][3::4] for record in interleaved]


def test_jpeg_codec_stores_the_raw_pixels_as_two_jpegs(tree, tmp_path, read_records):
    raw = compact(tree, tmp_path / "raw", codec="raw")
    jpeg = compact(tree, tmp_path / "jpeg", codec="jpeg")
    assert jpeg.mean_rgb == raw.mean_rgb
    pairs = zip(read_records(*raw.shard_files("val")), read_records(*jpeg.shard_files("val")), strict=True)
    for one, other in pairs:
        assert (one["id"], one["label"]) == (other["id"], other["label"])
        pixels = np.frombuffer(one["rgbs"], "uint8").reshape(144, 144, 4).astype(int)
        image = np.asarray(Image.open(io.BytesIO(other["image"])))
        saliency = np.asarray(Image.open(io.BytesIO(other["saliency"])))
        assert np.abs(image - pixels[..., :3]).mean() < 3
        assert np.abs(saliency - pixels[..., 3]).mean() < 1


def test_bytes_do_not_depend_on_the_number_of_workers(make_tree, tmp_path):
    tree = make_tree(tmp_path / "pictures", train=40)
    (tree / "train" / "cat" / "007.png").write_bytes(b"")
    for workers in (0, 1, 2):
        compact(tree, tmp_path / f"set{workers}", workers=workers, shards=5, codec="npy")
    assert contents(tmp_path / "set0") == contents(tmp_path / "set1") == contents(tmp_path / "set2")


def test_maps_do_not_depend_on_workers_where_nobody_has_set_the_threads_of_blas(make_tree, tmp_path):
    """A worker is started with one thread of BLAS; `--workers 0` works in a process that has as many as it likes."""
    tree = make_tree(tmp_path / "pictures", train=12, val=2)
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    running = []
    for workers in (0, 1, 2):
        maps = (word for name in ("gbvs", "itti", "aim", "sdlf") for word in ("--saliency", name))
        words = [tree, tmp_path / f"set{workers}", *maps, "--shards", 2, "--workers", workers]
        command = [sys.executable, "-m", "data_prep.compact", *map(str, words)]
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL))
    assert [process.wait() for process in running] == [0, 0, 0]
    assert contents(tmp_path / "set0") == contents(tmp_path / "set1") == contents(tmp_path / "set2")


def test_a_manifest_says_which_kernels_made_each_map_and_of_maps_that_were_not_predicted_nothing(tmp_path):
    source = PopoutSource({"train": 10, "val": 10})
    compaction.compact(source, tmp_path / "set", ("uniform",), side=16, workers=0)
    fields = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert {one["name"]: one.get("kernels") for one in fields["maps"]} == {"uniform": kernels(), "mask": None}


def test_what_another_processor_has_begun_is_refused_and_left_alone(tree, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(compaction, "kernels", lambda: "OpenBLAS Colossus, numpy valves")
        patched.setattr(shards, "write_shard", lambda *task, **rest: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            compact(tree, tmp_path / "set")
    before = contents(tmp_path / "set")
    with pytest.raises(UserError, match=r"begun by the kernels of another processor \(OpenBLAS Colossus, numpy valves"):
        compact(tree, tmp_path / "set")
    assert contents(tmp_path / "set") == before


def test_what_an_earlier_version_has_begun_goes_on(tree, tmp_path):
    """It did not say which kernels it had."""
    whole = contents(compact(tree, tmp_path / "whole").folder)
    plan = {"plan": compaction.make_plan(FolderSource(tree), ("center",)).digest, "libraries": compaction.versions()}
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / ".plan.json").write_text(json.dumps(plan))
    compact(tree, tmp_path / "set")
    assert contents(tmp_path / "set") == whole


def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(tree, tmp_path, monkeypatch):
    whole = contents(compact(tree, tmp_path / "whole", shards=6).folder)
    write_shard = shards.write_shard
    for stop_at in range(6):
        out = tmp_path / f"stopped{stop_at}"
        written = []

        def stopping(task, stop_at=stop_at, written=written, **rest):
            if len(written) == stop_at:
                raise KeyboardInterrupt
            written.append(task)
            return write_shard(task, **rest)

        monkeypatch.setattr(shards, "write_shard", stopping)
        with pytest.raises(KeyboardInterrupt):
            compact(tree, out, shards=6)
        assert not (out / "manifest.json").exists()
        (out / ".train-00005-of-00006.tfrecord.17.incomplete").write_bytes(b"left by a killed worker")
        redone = []
        monkeypatch.setattr(
            shards, "write_shard", lambda task, r=redone, **rest: r.append(task) or write_shard(task, **rest)
        )
        compact(tree, out, shards=6)
        assert not {task.files[0] for task in redone} & {task.files[0] for task in written}
        assert contents(out) == whole


def test_maps_that_go_with_a_set_that_is_made_again_are_named(tree, tmp_path, capsys):
    from data_prep.add_map import add_map

    options = {"saliency": ("center",), "side": 32, "workers": 0}
    compaction.compact(FolderSource(tree), tmp_path / "set", **options)
    add_map(tmp_path / "set", "uniform", workers=0)
    Manifest.load(tmp_path / "set").shard_files("val")[0].unlink()
    assert compaction.compact(FolderSource(tree), tmp_path / "set", **options).map_names == ("center",)
    assert "making the set again, without uniform: data_prep.add_map adds maps anew" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"source": {}}'])
def test_a_set_with_a_damaged_manifest_is_told_as_that_and_left_alone(tree, tmp_path, content):
    compact(tree, tmp_path / "set")
    (tmp_path / "set" / "manifest.json").write_text(content)
    before = contents(tmp_path / "set")
    with pytest.raises(UserError, match=r"manifest\.json is damaged.*choose another folder or delete"):
        compact(tree, tmp_path / "set")
    assert contents(tmp_path / "set") == before


def test_a_finished_set_is_left_alone_and_a_damaged_one_made_again(tree, tmp_path, monkeypatch, capsys):
    out = tmp_path / "set"
    compact(tree, out)
    whole = contents(out)
    with monkeypatch.context() as patched:
        patched.setattr(shards, "write_shard", None)
        compact(tree, out)
    assert "already there and finished" in capsys.readouterr().out
    shard = out / "val-00000-of-00001.tfrecord"
    shard.write_bytes(whole[shard.name][:-5])
    compact(tree, out)
    assert contents(out) == whole


def test_a_run_killed_while_clearing_up_is_cleared_up(tree, tmp_path):
    out = tmp_path / "set"
    compact(tree, out)
    whole = contents(out)
    digest = compaction.make_plan(FolderSource(tree), ("center",)).digest
    (out / ".plan.json").write_text(f'{{"plan": "{digest}", "libraries": {compaction.versions()!r}}}'.replace("'", '"'))
    (out / ".train-00000-of-00001.json").write_text("{}")
    compact(tree, out)
    assert contents(out) == whole


@pytest.mark.parametrize(
    ("options", "differing"),
    [
        ({"side": 100}, r"another --side \(144, now 100\)"),
        ({"codec": "jpeg"}, r"another --codec \(raw, now jpeg\)"),
        ({"saliency": ("uniform",)}, r"another --saliency \(center, now uniform\)"),
        ({"saliency": ("center", "uniform")}, r"another --saliency \(center, now center, uniform\)"),
        ({"seed": 1}, r"another --seed \(0, now 1\)"),
        ({"limit": 3}, r"(other pictures .* another --limit, .*|another --limit \(none, now 3\))"),
        ({"shards": 2}, r"another --shards \(1, now 2\)"),
        ({"side": 64, "seed": 1}, r"another --side \(144, now 64\) and another --seed \(0, now 1\)"),
        ({"square": 200}, r"another --square \(256, now 200\);"),
        ({"shorter": 340}, r"another --shorter \(256, now 340\);"),
    ],
)
def test_a_folder_of_another_plan_is_refused_finished_or_not(tree, tmp_path, monkeypatch, options, differing):
    compact(tree, tmp_path / "finished")
    with monkeypatch.context() as patched:
        patched.setattr(shards, "write_shard", lambda *task, **rest: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            compact(tree, tmp_path / "begun")
    for name in ("finished", "begun"):
        before = contents(tmp_path / name)
        with pytest.raises(UserError, match=f"with {differing}"):
            compact(tree, tmp_path / name, **options)
        assert contents(tmp_path / name) == before


def test_other_pictures_are_another_plan(tree, tmp_path):
    compact(tree, tmp_path / "set")
    Image.new("RGB", (50, 50)).save(tree / "train" / "cat" / "000.png")
    with pytest.raises(UserError, match="with other pictures"):
        compact(tree, tmp_path / "set")
    (tree / "train" / "dog").rename(tree / "train" / "fox")
    (tree / "val" / "dog").rename(tree / "val" / "fox")
    with pytest.raises(UserError, match="is a data set with another source;"):
        compact(tree, tmp_path / "set")


def test_limit_takes_the_same_pictures_whatever_else_is_there_and_keeps_all_classes(make_tree, tmp_path, read_records):
    manifest = compact(make_tree(tmp_path / "pictures", train=20), tmp_path / "set", limit=4)
    assert manifest.classes == ("cat", "dog", "eel")
    assert [manifest.splits[split].records for split in ("train", "val")] == [4, 4]
    everything = compact(tmp_path / "pictures", tmp_path / "all")
    ids = [record["id"] for record in read_records(*everything.shard_files("train"))]
    assert [record["id"] for record in read_records(*manifest.shard_files("train"))] == ids[:4]


def test_a_sample_may_have_the_one_broken_picture_of_a_class(make_tree, tmp_path):
    tree = make_tree(tmp_path / "pictures", train=20)
    plan = compaction.make_plan(FolderSource(tree), ("center",), limit=4)
    for task in plan.tasks:
        if task.split == "train":
            (tree / "train" / task.pictures[0].id).write_bytes(b"broken")
            break
    first = task.pictures[0]
    alone = [picture.label for picture in task.pictures].count(first.label) == 1
    manifest = compact(tree, tmp_path / "set", limit=4)
    assert manifest.splits["train"].records == 3
    assert (0 in manifest.splits["train"].per_class) == alone
    assert [row["id"] for row in skipped(tmp_path / "set")] == [first.id]


def test_a_sample_of_which_several_pictures_of_a_class_are_all_broken_is_refused(make_tree, tmp_path):
    tree = make_tree(tmp_path / "pictures", train=20)
    plan = compaction.make_plan(FolderSource(tree), ("center",), limit=20)
    for task in plan.tasks:
        for picture in task.pictures:
            if task.split == "train" and picture.label == 0:
                (tree / "train" / picture.id).write_bytes(b"broken")
    with pytest.raises(UserError, match=r"none of the \d+ train pictures of the class 'cat' can be read"):
        compact(tree, tmp_path / "set", limit=20)
    assert not (tmp_path / "set").exists()


def test_without_room_the_limit_that_is_named_fits(make_tree, tmp_path, monkeypatch):
    tree = make_tree(tmp_path / "pictures", train=20, val=4)  # 60 + 12 pictures
    each = shards.picture_bytes(144, "raw", 1)
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 40 * each))
    with pytest.raises(UserError, match=r"about 28 pictures of each split fit") as refused:
        compact(tree, tmp_path / "set")
    assert "--codec jpeg" in str(refused.value)
    assert sum(compact(tree, tmp_path / "set", limit=28).splits[split].records for split in ("train", "val")) == 40
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10 * each))
    with pytest.raises(UserError, match=r"about 5 pictures of each split fit"):
        compact(tree, tmp_path / "other")


def test_a_predictor_that_cannot_begin_leaves_the_folder_free_for_another(tree, tmp_path, monkeypatch):
    def refuse(self, images):
        raise UserError("no weights")

    with monkeypatch.context() as patched:
        patched.setattr("saliency_keras.saliency.controls.Center.__call__", refuse)
        with pytest.raises(UserError, match="no weights"):
            compact(tree, tmp_path / "set")
    assert compact(tree, tmp_path / "set", saliency=("uniform",)).map_names == ("uniform",)


def test_every_nasty_file_is_used_or_skipped_with_a_reason(shared_data, tree, tmp_path, read_records):
    with open(shared_data / "nasty" / "index.csv", newline="", encoding="utf-8") as file:
        loads = {row["file"]: row["load"].startswith("ok") for row in csv.DictReader(file)}
    for name in loads:
        shutil.copy(shared_data / "nasty" / name, tree / "train" / "dog" / name)
    manifest = compact(tree, tmp_path / "set")
    used = {record["id"].decode() for record in read_records(*manifest.shard_files("train"))}
    rows = skipped(tmp_path / "set")
    assert {row["id"] for row in rows} == {f"dog/{name}" for name, good in loads.items() if not good}
    assert {f"dog/{name}" for name, good in loads.items() if good} <= used
    assert all(row["reason"] and row["split"] == "train" for row in rows)
    assert len(used) == 18 + sum(loads.values())


def test_a_shard_of_unreadable_pictures_is_left_out(tree, tmp_path, read_records):
    plan = compaction.make_plan(FolderSource(tree), ("center",), shards=9)
    for picture in plan.tasks[4].pictures:
        (tree / "train" / picture.id).write_bytes(b"broken")
    manifest = compact(tree, tmp_path / "set", shards=9)
    assert "train-00004-of-00009.tfrecord" not in contents(tmp_path / "set")
    assert len(manifest.splits["train"].shards) == 8
    assert len(read_records(*manifest.shard_files("train"))) == 16
    assert len(skipped(tmp_path / "set")) == 2


def test_a_class_without_a_readable_picture_is_told_and_nothing_is_left(tree, tmp_path):
    for path in (tree / "val" / "dog").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(
        UserError, match=r"none of the 3 val pictures of the class 'dog' can be read \(the first one: not"
    ):
        compact(tree, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_two_pictures_of_one_id_are_refused_and_both_are_named(tree, tmp_path, monkeypatch):
    twins = [Picture("cat/1", 0, "shelf/a.jpg", 1), Picture("cat/2", 0, "b.jpg", 1), Picture("cat/1", 0, "c.jpg", 1)]
    monkeypatch.setattr(FolderSource, "pictures", lambda source, split: twins)
    with pytest.raises(UserError, match=r"'cat/1': shelf/a.jpg and c.jpg"):
        compact(tree, tmp_path / "set")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"side": 1025}, "the side must be 16 to 1024 pixels; received 1025"),
        ({"side": 15}, "the side must be 16 to 1024 pixels; received 15"),
        ({"square": 2000}, "the square must be 16 to 1024 pixels; received 2000"),
        ({"side": 300, "square": 299}, r"received --side 300, --square 299, --shorter 299"),
        ({"square": 299, "shorter": 256}, r"received --side 144, --square 299, --shorter 256"),
        ({"codec": "png"}, "raw, jpeg or npy"),
        ({"saliency": ("look",)}, "no saliency predictor 'look'"),
        ({"saliency": ("center", "center")}, "once only"),
        ({"limit": 0}, "1 or more"),
        ({"shards": 0}, "1 to 18 shards"),
        ({"shards": 19}, "1 to 18 shards"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(tree, tmp_path, options, sentence):
    with pytest.raises(UserError, match=sentence):
        compact(tree, tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_a_file_or_a_folder_of_something_else_is_refused(tree, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        compact(tree, tmp_path / "file")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "draft.txt").write_text("mine")
    with pytest.raises(UserError, match="no data set of ours"):
        compact(tree, tmp_path / "thesis")
    assert contents(tmp_path / "thesis") == {"draft.txt": b"mine"}


def test_a_folder_another_run_is_writing_is_refused(tree, tmp_path):
    (tmp_path / "set").mkdir()
    handle = os.open(tmp_path / "set", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(UserError, match="another process is writing"):
        compact(tree, tmp_path / "set")
    os.close(handle)
    compact(tree, tmp_path / "set")


@pytest.mark.parametrize(("codec", "instead"), [("raw", r"--codec jpeg \(about "), ("jpeg", "a smaller --side")])
def test_a_set_that_will_not_fit_is_refused_with_the_alternative(tree, tmp_path, monkeypatch, codec, instead):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**5, 10**5))
    with pytest.raises(UserError, match=f"100.0 kB are free.*{instead}"):
        compact(tree, tmp_path / "set", codec=codec)
    assert not (tmp_path / "set").exists()


def test_a_killed_worker_is_told_and_the_next_run_goes_on(tree, tmp_path, monkeypatch):
    class DeadWorker(concurrent.futures.ProcessPoolExecutor):
        def submit(self, work, task, number):
            return super().submit(*(os._exit, 9) if number == 2 else (work, task, number))

    with monkeypatch.context() as patched:
        patched.setattr(concurrent.futures, "ProcessPoolExecutor", DeadWorker)
        with pytest.raises(UserError, match="worker process was killed"):
            compact(tree, tmp_path / "set", shards=3, workers=1)
    assert not list((tmp_path / "set").glob("*.incomplete"))
    compact(tree, tmp_path / "set", shards=3)
    assert contents(tmp_path / "set") == contents(compact(tree, tmp_path / "whole", shards=3).folder)


def edited(path, value):
    """Overwrites a picture by another one of the same length in bytes."""
    length = path.stat().st_size
    Image.new("RGB", Image.open(path).size, (value, 0, 0)).save(path)
    assert path.stat().st_size == length


@pytest.fixture
def bitmaps(tree):
    """The tree with bitmaps, which keep their length whatever they show."""
    for path in tree.glob("*/*/*.png"):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    return tree


def test_a_picture_that_was_changed_in_place_makes_another_set(bitmaps, tmp_path, capsys):
    compact(bitmaps, tmp_path / "set")
    (bitmaps / "train" / "dog" / "002.bmp").touch()
    compact(bitmaps, tmp_path / "set")
    assert "nothing to do" in capsys.readouterr().out
    edited(bitmaps / "train" / "dog" / "002.bmp", 7)
    with pytest.raises(UserError, match=r"other pictures: train/dog/002\.bmp has been changed since"):
        compact(bitmaps, tmp_path / "set")


def test_a_shard_whose_picture_was_changed_is_written_again(bitmaps, tmp_path, monkeypatch):
    def stopped(*words):
        raise OSError("the machine stops")

    with monkeypatch.context() as patched:
        patched.setattr(compaction, "_finish", stopped)
        with pytest.raises(OSError, match="stops"):
            compact(bitmaps, tmp_path / "set", shards=3)
    edited(bitmaps / "train" / "eel" / "004.bmp", 9)
    compact(bitmaps, tmp_path / "set", shards=3)
    compact(bitmaps, tmp_path / "anew", shards=3)
    assert contents(tmp_path / "set") == contents(tmp_path / "anew")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), MemoryError("too little memory")])
def test_the_machine_s_trouble_stops_the_run_and_the_next_one_goes_on(tree, tmp_path, monkeypatch, error):
    content = FolderSource.content

    def troubled(self, picture):
        if picture.id == "dog/003.png":
            raise error
        return content(self, picture)

    with monkeypatch.context() as patched:
        patched.setattr(FolderSource, "content", troubled)
        with pytest.raises(type(error)):
            compact(tree, tmp_path / "set", shards=4)
    compact(tree, tmp_path / "set", shards=4)
    compact(tree, tmp_path / "other", shards=4)
    assert contents(tmp_path / "set") == contents(tmp_path / "other")
    assert not skipped(tmp_path / "set")


def test_pictures_of_val_that_are_in_train_too_are_counted(tree, tmp_path, capsys):
    compact(tree, tmp_path / "set")
    assert "duplicates" not in capsys.readouterr().out
    shutil.copy(tree / "train" / "cat" / "001.png", tree / "val" / "cat" / "again.png")
    shutil.copy(tree / "train" / "cat" / "002.png", tree / "val" / "dog" / "again.png")
    compact(tree, tmp_path / "more")
    printed = capsys.readouterr().out
    assert "2 of 11 val pictures are duplicates of pictures in train, 1 of them under another class" in printed
    assert "cat/again.png, in train as cat/001.png" in printed


def test_files_that_are_no_pictures_are_no_duplicates(tree, tmp_path, capsys):
    for split in ("train", "val"):
        (tree / split / "cat" / "Thumbs.db").write_bytes(b"the same everywhere")
    shutil.copy(tree / "train/dog/000.png", tree / "val/dog/again.png")
    compaction.compact(FolderSource(tree), tmp_path / "out", ["center"], side=32, workers=0)
    said = capsys.readouterr().out
    assert "1 of 10 val pictures are duplicates of pictures in train; one is dog/again.png" in said


def test_pictures_with_an_orientation_tag_are_counted(tree, tmp_path, capsys):
    tag = Image.Exif()
    tag[274] = 8
    for name in ("train/cat/x.png", "val/dog/x.png"):
        Image.new("RGB", (30, 20)).save(tree / name, exif=tag)
    compact(tree, tmp_path / "set")
    assert "2 of 29 pictures have an orientation tag (EXIF) and are stored as they lie" in capsys.readouterr().out


def test_what_was_skipped_is_named_with_the_total(tree, tmp_path, capsys):
    (tree / "train" / "dog" / "Thumbs.db").write_bytes(b"nothing")
    compact_command.main([str(tree), str(tmp_path / "set"), "--saliency", "uniform", "--workers", "0"])
    printed = capsys.readouterr().out
    assert "skipped: 1 of 28 pictures, which cannot be read (see skipped.csv): dog/Thumbs.db" in printed


@pytest.mark.parametrize("place", ["train/set", "val/deeper/set"])
def test_a_set_among_the_class_folders_of_its_source_is_refused(tree, tmp_path, place):
    with pytest.raises(UserError, match="whose folders are classes; choose a folder elsewhere"):
        compact(tree, tree / place)
    assert not (tree / place).exists()
    (tmp_path / "link").symlink_to(tree / "train")
    with pytest.raises(UserError, match="whose folders are classes"):
        compact(tree, tmp_path / "link" / "set")
    compact(tree, tree / "set")  # beside train/ and val/ nothing is taken for a class


def test_a_link_that_leads_nowhere_is_named_as_one(tree, tmp_path):
    (tree / "train" / "cat" / "gone.png").symlink_to(tmp_path / "removed.png")
    compact(tree, tmp_path / "set")
    reasons = {row["id"]: row["reason"] for row in skipped(tmp_path / "set")}
    assert reasons["cat/gone.png"] == f"a link to {tmp_path / 'removed.png'}, where nothing is"
    (tmp_path / "nowhere").symlink_to(tmp_path / "removed")
    with pytest.raises(UserError, match=f"nowhere is a link to {tmp_path / 'removed'}, where nothing is; choose"):
        compact(tree, tmp_path / "nowhere")
