"""Sets in other sizes than the default ones, and of pictures that are cropped to boxes; sets of version 1."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import beam, compact, compaction, shards, verify
from data_prep.add_map import add_map
from data_prep.convert import convert
from data_prep.sources.popout import PopoutSource
from data_prep.sources.source import FolderSource, UnusableBox
from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.geometry import Framing
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.pictures import read_picture
from saliency_keras.data.reader import Reader
from saliency_keras.data.stored import Records
from saliency_keras.saliency import predictor
from tests.data_prep.boxed_source import BoxedSource
from tests.small_sets import as_version_1

ROOT = Path(__file__).parents[2]
SALCLASSNET = {"side": 299, "shorter": 340}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stored(manifest, split, map_name=None):
    """Pictures and maps of a split by id: `{id: (uint8 (side, side, 3), uint8 (side, side))}`."""
    records = Records(manifest, split)
    places = np.arange(len(records))
    pictures = [words.copy().view("uint8").reshape(manifest.side, manifest.side, 4) for words in records.words(places)]
    maps = list(Records(manifest, split, map_name or manifest.map_names[0]).maps(places))
    rows = zip(records.ids(places), pictures, maps, strict=True)
    return {identifier: (rgbs[..., :3], saliency) for identifier, rgbs, saliency in rows}


def stopped_at(number, monkeypatch):
    """Has the writing of shards stopped before that one."""
    write, written = shards.write_shard, []

    def stopping(task, **rest):
        if len(written) == number:
            raise KeyboardInterrupt
        written.append(task)
        return write(task, **rest)

    monkeypatch.setattr(shards, "write_shard", stopping)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder of a few pictures of 30 to 700 pixels."""
    folder, random = tmp_path_factory.mktemp("large"), np.random.default_rng(0)
    sizes = ((500, 375), (375, 500), (340, 340), (30, 90), (700, 351))
    for split, count in (("train", 6), ("val", 4)):
        for index in range(count):
            path = folder / split / ("cat", "dog")[index % 2] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = random.integers(0, 256, (7, 7, 3), np.uint8)
            Image.fromarray(coarse).resize(sizes[index % 5], Image.Resampling.BICUBIC).save(path)
    return folder


@pytest.fixture(scope="module")
def cropped(large, tmp_path_factory):
    """That folder's set of 299 px, cropped from 340: its `Manifest`."""
    out = tmp_path_factory.mktemp("sets") / "299"
    return compaction.compact(FolderSource(large), out, ("center",), codec="npy", shards=3, workers=0, **SALCLASSNET)


def test_a_set_of_299_px_cropped_from_340_holds_the_middle_of_the_scaled_pictures(large, cropped):
    assert cropped.framing == Framing(340, 299, 299)
    assert cropped.side == 299
    centre = geometry.stored_map(predictor("center")(np.zeros((1, 299, 299, 3), np.uint8))[0], 299)
    for split in ("train", "val"):
        for identifier, (picture, saliency) in stored(cropped, split).items():
            pixels = read_picture(large / split / identifier).astype("float32")
            height, width = (int(np.floor(side * 340 / min(pixels.shape[:2]) + 0.5)) for side in pixels.shape[:2])
            channels = [Image.fromarray(pixels[..., one]) for one in range(3)]  # of floats: nothing is rounded between
            scaled = np.dstack([one.resize((width, height), Image.Resampling.BILINEAR) for one in channels])
            top, left = (height - 299) // 2, (width - 299) // 2
            assert np.abs(picture - scaled[top : top + 299, left : left + 299]).max() <= 1.01
            np.testing.assert_array_equal(saliency, centre)


def test_that_set_is_verified_read_and_gets_a_map(cropped, tmp_path, capsys):
    folder = shutil.copytree(cropped.folder, tmp_path / "set")
    verify.main([str(folder)])
    assert "pictures: 299 px, of a square of 299 px, shorter side 340 px" in capsys.readouterr().out
    ((inputs, _),) = Reader(cropped, "val", 256, 8).validation()
    assert inputs["image"].shape == (4, 256, 256, 3)
    first = next(iter(stored(cropped, "val").values()))[0]
    np.testing.assert_array_equal(inputs["image"][0], first[21:277, 21:277])
    manifest, _ = add_map(folder, "uniform", workers=0)
    assert manifest.framing == cropped.framing
    assert [one.made_of for one in manifest.maps] == ["square", "stored"]
    assert manifest.digest() == cropped.digest()
    converted = convert(folder, tmp_path / "raw", "raw")
    assert (converted.framing, [one.made_of for one in converted.maps]) == (cropped.framing, ["square", "stored"])


def test_that_set_stopped_before_any_shard_and_run_again_has_the_same_bytes(large, cropped, tmp_path, monkeypatch):
    whole = contents(cropped.folder)
    options = {"saliency": ("center",), "codec": "npy", "shards": 3, "workers": 0, **SALCLASSNET}
    for number in range(4):
        out = tmp_path / f"stopped{number}"
        with monkeypatch.context() as patched:
            stopped_at(number, patched)
            with pytest.raises(KeyboardInterrupt):
                compaction.compact(FolderSource(large), out, **options)
        assert not (out / "manifest.json").exists()
        compaction.compact(FolderSource(large), out, **options)
        assert contents(out) == whole


def test_the_command_killed_and_run_again_by_two_workers_makes_the_same_set(large, cropped, tmp_path):
    words = [sys.executable, "-m", "data_prep.compact", large, tmp_path / "set", "--saliency", "center"]
    words += ["--codec", "npy", "--shards", "3", "--shorter", "340", "--side", "299", "--workers"]
    process = subprocess.Popen([*words, "1"], cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 100
    while not list((tmp_path / "set").glob(".*-of-*.json")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert subprocess.run([*words, "2"], cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0
    assert contents(tmp_path / "set") == contents(cropped.folder)


@pytest.mark.parametrize(
    ("options", "differing"),
    [
        ({}, "another --shorter (340, now 256) and another --square (299, now 256) and another --side (299, now 144)"),
        ({"side": 299}, "another --shorter (340, now 299);"),
        ({"side": 280, "square": 299, "shorter": 340}, "another --side (299, now 280);"),
        ({"side": 299, "square": 320, "shorter": 340}, "another --square (299, now 320);"),
    ],
)
def test_a_set_of_another_framing_is_refused_with_what_differs_finished_or_not(
    large, cropped, tmp_path, monkeypatch, options, differing
):
    rest = {"saliency": ("center",), "codec": "npy", "shards": 3, "workers": 0}
    with monkeypatch.context() as patched:
        stopped_at(1, patched)
        with pytest.raises(KeyboardInterrupt):
            compaction.compact(FolderSource(large), tmp_path / "begun", **rest, **SALCLASSNET)
    for folder in (cropped.folder, tmp_path / "begun"):
        before = contents(folder)
        with pytest.raises(UserError) as refused:
            compaction.compact(FolderSource(large), folder, **rest, **options)
        assert differing in str(refused.value)
        assert contents(folder) == before


def test_what_an_earlier_version_began_is_finished_and_compared_by_its_sides(tree, tmp_path, monkeypatch):
    options = {"saliency": ("center",), "shards": 3, "workers": 0}
    whole = compaction.compact(FolderSource(tree), tmp_path / "whole", **options).folder
    out = tmp_path / "begun"
    with monkeypatch.context() as patched:
        stopped_at(2, patched)
        with pytest.raises(KeyboardInterrupt):
            compaction.compact(FolderSource(tree), out, **options)
    plan = json.loads((out / ".plan.json").read_text())
    for name in ("shorter", "square", "boxes"):
        del plan["settings"][name]
    (out / ".plan.json").write_text(json.dumps(plan))
    with pytest.raises(UserError, match=r"with another --shorter \(256, now 340\);"):
        compaction.compact(FolderSource(tree), out, **options, shorter=340)
    compaction.compact(FolderSource(tree), out, **options)
    assert contents(out) == contents(whole)


def test_plans_with_the_default_framing_are_those_of_version_1():
    # Written down with the program that knew no other framing: a changed digest would have every set made again.
    source = PopoutSource(counts={"train": 20, "val": 10})
    plan = compaction.make_plan(source, ("center",))
    assert plan.digest == "7c9a64f67f280130d4a46fa72df3695e1b6280a1cca149e51d9648f7672586cb"
    plan = compaction.make_plan(source, ("center",), side=100, codec="jpeg", seed=3, limit=7)
    assert plan.digest == "14600eacd6808f0ccedbe4e16d0e70144016f26636fb0b7a1a04001738fa8c3c"
    sides = [{}, {"side": 100}, {"square": 200}, {"shorter": 300}, {"square": 300}, {"side": 300}]
    assert len({compaction.make_plan(source, ("center",), **chosen).digest for chosen in sides}) == len(sides)


@pytest.mark.parametrize("codec", ["raw", "npy", "jpeg"])
def test_a_set_of_version_1_is_known_verified_read_converted_and_gets_a_map(tree, tmp_path, capsys, codec):
    options = {"saliency": ("center", "uniform"), "codec": codec, "side": 48, "workers": 0}
    new = compaction.compact(FolderSource(tree), tmp_path / "new", **options)
    folder = as_version_1(shutil.copytree(new.folder, tmp_path / "old"))
    old = Manifest.load(folder)
    assert dataclasses.replace(old, folder=new.folder) == new
    assert (old.digest(), old.digest("uniform")) == (new.digest(), new.digest("uniform"))
    verify.main([str(folder)])
    before = contents(folder)
    compaction.compact(FolderSource(tree), folder, **options)
    assert "already there and finished" in capsys.readouterr().out
    assert contents(folder) == before
    for one, other in zip(Reader(old, "train", 40, 5, seed=1).training(1, 2),
                          Reader(new, "train", 40, 5, seed=1).training(1, 2), strict=True):  # fmt: skip
        np.testing.assert_array_equal(one[0]["image"], other[0]["image"])
        np.testing.assert_array_equal(one[0]["saliency"], other[0]["saliency"])
    into = "raw" if codec == "npy" else "npy"
    first, again = (convert(place, tmp_path / f"{place.name}-{into}", into) for place in (new.folder, folder))
    assert contents(first.folder) == contents(again.folder)
    grown, _ = add_map(folder, "center", "again", workers=0)
    assert json.loads((folder / "manifest.json").read_text())["version"] == 2
    assert [one.made_of for one in grown.maps] == ["square", "square", "stored"]
    assert grown.digest() == new.digest()
    with pytest.raises(UserError, match=r"another --side \(48, now 64\)"):
        compaction.compact(FolderSource(tree), folder, **{**options, "side": 64})


def test_sides_are_chosen_on_the_command_line_of_compact_and_beam_alike(tree, tmp_path):
    parser = compact.options_parser(compact.__name__, compact.__doc__)
    asked = compact.settings(parser.parse_args([str(tree), "set", "--shorter", "340", "--side", "299"]))
    asked = {name: value for name, value in asked.items() if name != "out"} | {"saliency": ("center",)}
    plan = compaction.make_plan(**asked)
    assert {task.framing for task in plan.tasks} == {Framing(340, 299, 299)}
    out = tmp_path / "set"
    out.mkdir()
    mark = json.dumps({"plan": plan.digest, "libraries": compaction.versions()})
    (out / compaction.PLAN).write_text(mark)
    assert beam.planned([0, 1], asked, out, mark) == list(plan.tasks)


def test_converting_refuses_sides(cropped, tmp_path):
    words = [str(cropped.folder), str(tmp_path / "raw"), "--codec", "raw", "--shorter", "300", "--square", "300"]
    with pytest.raises(UserError, match=r"only --codec can be chosen\. Received: --shorter, --square"):
        compact.main(words)


# Boxes


def boxes_of(tree):
    """A box for most pictures, by id: inside, over the edges, of one pixel, in fractions."""
    boxes = {}
    for number, path in enumerate(sorted(tree.glob("*/*/*.png"))):
        width, height = Image.open(path).size
        identifier = "/".join(path.parts[-2:])
        boxes[identifier] = [
            (2, 3, width - 4, height - 1),
            (-7, -3, width / 2, height / 2),
            (width / 2, height / 2, width + 50, height + 0.5),
            (5, 6, 6, 7),
            (4.6, 3.2, 4.6, 9.9),
            None,
        ][number % 6]
    return {identifier: box for identifier, box in boxes.items() if box}


def by_hand(pixels, box):
    """A picture's part inside a box, from the definition: each pixel whose square the box touches."""
    height, width = pixels.shape[:2]

    def touched(begin, end, side):
        return [n for n in range(side) if (n < end and n + 1 > begin) or n <= begin == end < n + 1]

    return pixels[np.ix_(touched(box[1], box[3], height), touched(box[0], box[2], width))]


def split_tree(tree):
    """The tree with other names in val, for boxes go by id."""
    for path in sorted((tree / "val").glob("*/*.png")):
        path.rename(path.with_name(f"v{path.name}"))
    return tree


def test_pictures_and_their_own_maps_are_cropped_to_their_boxes(tree, tmp_path):
    boxes = boxes_of(split_tree(tree))
    manifest = compaction.compact(BoxedSource(tree, boxes), tmp_path / "set", ("center",), side=64, workers=0)
    assert len(manifest.framing.boxes) == 64
    for path in tree.glob("*/*/*.png"):  # what a person would do: crop the files, then compact
        identifier = "/".join(path.parts[-2:])
        if identifier in boxes:
            Image.fromarray(by_hand(read_picture(path), boxes[identifier])).save(path)
    plain = compaction.compact(BoxedSource(tree, {}), tmp_path / "plain", ("center",), side=64, workers=0)
    assert plain.framing.boxes is None
    for name in ("center", "green"):
        for split in ("train", "val"):
            cropped, whole = stored(manifest, split, name), stored(plain, split, name)
            assert cropped.keys() == whole.keys()
            for identifier in cropped:
                np.testing.assert_array_equal(cropped[identifier][0], whole[identifier][0])
                np.testing.assert_array_equal(cropped[identifier][1], whole[identifier][1])
    assert [one.made_of for one in manifest.maps] == ["square", "picture"]
    assert manifest.digest() != plain.digest()


def test_boxes_of_objects_are_those_in_the_cropped_pictures(tree, tmp_path):
    (path,) = (one for one in split_tree(tree).glob("train/cat/000.png"))
    Image.new("RGB", (80, 60)).save(path)
    source = BoxedSource(tree, {"cat/000.png": (10, 10, 50, 50)})
    compaction.compact(source, tmp_path / "set", ("center",), side=64, workers=0)
    with open(tmp_path / "set" / "boxes.csv", newline="") as file:
        (row,) = (row for row in csv.DictReader(file) if row["id"] == "cat/000.png")
    # The object covers (20, 15) to (60, 45); of that, the crop of 40 px keeps (10, 5) to its right edge and 35.
    found = [float(row[name]) for name in ("xmin", "ymin", "xmax", "ymax")]
    assert found == pytest.approx([10 / 40, 5 / 40, 1, 35 / 40], abs=1e-6)


def test_bytes_with_boxes_do_not_depend_on_workers_or_interruptions(tree, tmp_path, monkeypatch):
    source = BoxedSource(tree, boxes_of(split_tree(tree)))
    options = {"saliency": ("center",), "shards": 4, **SALCLASSNET}
    whole = contents(compaction.compact(source, tmp_path / "whole", workers=0, **options).folder)
    with monkeypatch.context() as patched:
        stopped_at(3, patched)
        with pytest.raises(KeyboardInterrupt):
            compaction.compact(source, tmp_path / "stopped", workers=0, **options)
    for folder in ("stopped", "two"):
        compaction.compact(source, tmp_path / folder, workers=2, **options)
        assert contents(tmp_path / folder) == whole


def test_other_boxes_are_another_set(tree, tmp_path):
    boxes = boxes_of(split_tree(tree))
    options = {"saliency": ("center",), "side": 32, "workers": 0}
    compaction.compact(BoxedSource(tree, boxes), tmp_path / "set", **options)
    same = {name: tuple(map(np.float64, box)) for name, box in boxes.items()}
    compaction.compact(BoxedSource(tree, same), tmp_path / "set", **options)
    first = next(iter(boxes))
    for others in ({}, {**boxes, first: (0, 0, 5, 5)}, {name: box for name, box in boxes.items() if name != first}):
        with pytest.raises(UserError, match="is a data set with other boxes of the pictures; choose"):
            compaction.compact(BoxedSource(tree, others), tmp_path / "set", **options)


@pytest.mark.parametrize(
    ("workers", "box", "reason"),
    [
        (
            2,
            (1000, 0, 1010, 10),
            r"the box 1000, 0, 1010, 10 \(left, top, right, bottom\) lies outside the \d+x\d+ pixels",
        ),
        (0, (9, 0, 8, 10), "the box 9, 0, 8, 10 .* is no box"),
        (0, (float("nan"), 0, 8, 10), "the box nan, 0, 8, 10 .* is no box"),
    ],
)
def test_a_box_outside_its_picture_is_told_with_the_picture_and_nothing_is_left(tree, tmp_path, workers, box, reason):
    source = BoxedSource(split_tree(tree), {"dog/003.png": box})
    sentence = (
        rf"the boxes of 1 of the 6 pictures of train-0000\d-of-00003.tfrecord cannot be used; the first: {reason}"
    )
    with pytest.raises(UnusableBox, match=rf"{sentence} of the picture 'dog/003.png'\."):
        compaction.compact(source, tmp_path / "set", ("center",), shards=3, workers=workers)
    assert not (tmp_path / "set").exists()


def test_a_box_that_is_told_by_a_runner_is_the_same_sentence():
    said = "data_prep.sources.source.UnusableBox: the boxes of 1 of the 6 pictures cannot be used."
    error = RuntimeError(f"Traceback\n{said} [while running 'write']")
    with pytest.raises(UnusableBox, match=r"^the boxes of 1 of the 6 pictures cannot be used\.$"), beam._sentences():
        raise error


def test_the_box_of_a_picture_that_cannot_be_read_does_not_matter(tree, tmp_path):
    (split_tree(tree) / "train" / "dog" / "003.png").write_bytes(b"no picture")
    source = BoxedSource(tree, {"dog/003.png": (1000, 0, 1010, 10)})
    manifest = compaction.compact(source, tmp_path / "set", ("center",), side=32, workers=0)
    assert manifest.splits["train"].records == 17
