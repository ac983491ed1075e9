"""Squares for a predictor elsewhere: what they hold, the way back of their maps, kills, changes, mistakes."""

import csv
import io
import os
import shutil
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import compaction
from data_prep import export_squares as command
from data_prep.add_map import add_map
from data_prep.export_squares import export_squares
from data_prep.sources import open_source
from data_prep.sources.with_maps import SourceWithMaps
from saliency_keras.console import UserError
from saliency_keras.data.geometry import Framing
from saliency_keras.data.stored import Records
from saliency_keras.saliency import predictor

ROOT = Path(__file__).parents[2]
SIZES = ((120, 80), (80, 120), (96, 96), (200, 61), (30, 40))  # width, height
SMALL = {"square": 64, "shorter": 64, "side": 48}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 15 pictures of mixed aspects, and one that is none."""
    folder, random = tmp_path_factory.mktemp("mixed") / "photos", np.random.default_rng(0)
    for number in range(15):
        path = folder / ("train", "val")[number >= 10] / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8))
        coarse.resize(SIZES[number % 5], Image.Resampling.BICUBIC).save(path)
    (folder / "val" / "cat" / "broken.jpg").write_bytes(b"no picture")
    return folder


def squares_in(folder):
    """Pixels of all squares by their name, in folders or in tars."""
    found = {str(one.relative_to(folder)): np.asarray(Image.open(one)) for one in folder.rglob("*.png")}
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                assert member.name not in found
                found[member.name] = np.asarray(Image.open(io.BytesIO(tar.extractfile(member).read())))
    return found


def everything(folder):
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("sides", [{}, {"shorter": 100, "square": 80, "side": 80}])
def test_squares_are_the_middle_of_the_scaled_pictures(photos, tmp_path, sides):
    written = export_squares(photos, tmp_path / "out", workers=0, **sides)
    shorter, side = sides.get("shorter", 256), sides.get("square", 256)
    found = squares_in(tmp_path / "out")
    pictures = sorted(photos.glob("*/*/[0-9]*.jpg"))
    assert found.keys() == {str(one.relative_to(photos).with_suffix(".png")) for one in pictures}
    for path in pictures:
        pixels = np.asarray(Image.open(path).convert("RGB")).astype("float32")
        height, width = (int(np.floor(one * shorter / min(pixels.shape[:2]) + 0.5)) for one in pixels.shape[:2])
        channels = [Image.fromarray(pixels[..., one]) for one in range(3)]  # of floats: nothing is rounded between
        scaled = np.dstack([one.resize((width, height), Image.Resampling.BILINEAR) for one in channels])
        top, left = (height - side) // 2, (width - side) // 2
        square = found[str(path.relative_to(photos).with_suffix(".png"))]
        assert np.abs(square - scaled[top : top + side, left : left + side]).max() <= 1.01
    assert (written["squares"], written["skipped"], written["side"]) == ({"train": 10, "val": 5}, 1, side)
    with open(tmp_path / "out" / "skipped.csv", newline="") as file:
        assert [(row["id"], row["split"]) for row in csv.DictReader(file)] == [("cat/broken.jpg", "val")]


def foreign(squares, maps):
    """A predictor elsewhere: reads PNGs, knows nothing of this program's sets, writes arrays of the same names."""
    for name, pixels in squares_in(squares).items():
        place = (maps / name).with_suffix(".npy")
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, predictor("itti")(pixels[None])[0])


def packed(maps, place, tars):
    place.mkdir()
    files = sorted(maps.rglob("*.npy"))
    for number in range(tars):
        with tarfile.open(place / f"{number}.tar", "w") as tar:
            for one in files[number::tars]:
                tar.add(one, one.relative_to(maps))


@pytest.mark.parametrize("tars", [False, True])
def test_maps_that_a_predictor_elsewhere_makes_come_back_as_if_it_were_ours(photos, tmp_path, tars):
    options = {"side": 48, "codec": "npy", "shards": 2, "workers": 0, "square": 64, "shorter": 64}
    ours = compaction.compact(open_source(photos), tmp_path / "ours", ("itti",), **options)
    export_squares(photos, tmp_path / "squares", tar=tars, shard_size=4 if tars else None, workers=0, **SMALL)
    foreign(tmp_path / "squares", place := tmp_path / "maps")
    if tars:
        packed(place, place := tmp_path / "packed", 3)
    source = SourceWithMaps(open_source(photos), {"itti": place}, framing=Framing(64, 64, 48))
    theirs = compaction.compact(source, tmp_path / "theirs", ("itti",), **options)
    plain = compaction.compact(open_source(photos), tmp_path / "plain", ("center",), **options)
    added, _ = add_map(plain.folder, ("itti", place), workers=0)
    for split in ("train", "val"):
        for one, other in zip(ours.shard_files(split), theirs.shard_files(split), strict=True):
            assert one.read_bytes() == other.read_bytes()
        places = np.arange(len(Records(ours, split)))
        for one, other in zip(
            Records(ours, split).maps(places), Records(added, split, "itti").maps(places), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    assert [one.map_named("itti").made_of for one in (ours, theirs, added)] == ["square"] * 3


def test_the_predictor_of_the_documentation_makes_maps_that_come_back(photos, tmp_path, capsys):
    text = (ROOT / "docs" / "maps_from_elsewhere.md").read_text(encoding="utf-8")
    code = textwrap.dedent(text.partition("```python\n")[2].partition("```")[0])
    export_squares(photos, tmp_path / "squares", limit=3, workers=0)
    done = subprocess.run([sys.executable, "-c", code, "squares", "maps"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    source = SourceWithMaps(open_source(photos), {"residual": tmp_path / "maps"})
    with pytest.raises(UserError, match=r"lacks the maps of 7 of 10 train pictures"):
        compaction.compact(source, tmp_path / "set", ("residual",), workers=0)
    export_squares(photos, tmp_path / "all", workers=0)
    subprocess.run([sys.executable, "-c", code, "all", "maps"], cwd=tmp_path, check=True)
    manifest = compaction.compact(source, tmp_path / "set", ("residual",), workers=0)
    assert "the maps residual are those of the pictures' central squares, as their size says" in capsys.readouterr().out
    (saliency,) = Records(manifest, "train").maps([0])
    (identifier,) = Records(manifest, "train").ids([0])
    levels = np.load((tmp_path / "maps" / "train" / identifier).with_suffix(".npy"))
    small = np.asarray(Image.fromarray(levels).resize((144, 144), Image.Resampling.BILINEAR))
    assert np.abs(saliency - 255 * small / small.max()).max() <= 1


@pytest.mark.parametrize("codec", ["npy", "jpeg"])
def test_squares_of_a_set_are_its_stored_pictures_and_their_maps_those_of_add_map(photos, tmp_path, codec):
    options = {"side": 48, "codec": codec, "shards": 2, "workers": 0, "square": 64, "shorter": 64}
    manifest = compaction.compact(open_source(photos), tmp_path / "set", ("center",), **options)
    ours, _ = add_map(shutil.copytree(manifest.folder, tmp_path / "ours"), "itti", workers=0)
    written = export_squares(manifest.folder, tmp_path / "squares", workers=0)
    assert (written["side"], written["squares"]) == (48, {"train": 10, "val": 5})
    found = squares_in(tmp_path / "squares")
    for split in ("train", "val"):
        records = Records(manifest, split)
        places = np.arange(len(records))
        for identifier, words in zip(records.ids(places), records.words(places), strict=True):
            name = f"{split}/{identifier.removesuffix('.jpg')}.png"
            np.testing.assert_array_equal(found[name], words.view("uint8").reshape(48, 48, 4)[..., :3])
    foreign(tmp_path / "squares", tmp_path / "maps")
    added, _ = add_map(manifest.folder, ("itti", tmp_path / "maps"), workers=0)
    for split in ("train", "val"):
        for one, other in zip(ours.shard_files(split, "itti"), added.shard_files(split, "itti"), strict=True):
            assert one.read_bytes() == other.read_bytes()
    assert [one.map_named("itti").made_of for one in (ours, added)] == ["stored", "stored"]


def test_squares_of_cropped_pictures_are_cropped(photos, tmp_path):
    lines = ["path,label,split,xmin,ymin,xmax,ymax"]
    for path in sorted(photos.glob("*/*/[0-9]*.jpg")):
        lines.append(f"{path.relative_to(photos)},{path.parent.name},{path.parts[-3]},4,5,24,30")
        place = tmp_path / "cut" / path.relative_to(photos)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).crop((4, 5, 24, 30)).save(place.with_suffix(".png"))
    (photos / "boxed.csv").write_text("\n".join(lines))
    export_squares(photos / "boxed.csv", tmp_path / "boxed", workers=0, **SMALL)
    export_squares(tmp_path / "cut", tmp_path / "plain", workers=0, **SMALL)
    boxed, plain = squares_in(tmp_path / "boxed"), squares_in(tmp_path / "plain")
    assert boxed.keys() == {f"{name.partition('/')[0]}/{name}" for name in plain}  # a list's ids are whole paths
    for name, square in plain.items():
        np.testing.assert_array_equal(boxed[f"{name.partition('/')[0]}/{name}"], square)


@pytest.mark.parametrize("tars", [False, True])
def test_killed_at_every_step_and_run_again_it_ends_with_the_same_files(photos, tmp_path, monkeypatch, tars):
    class Killed(BaseException):
        pass

    monkeypatch.setattr(command, "PER_PART", 4)
    options = {"tar": tars, "shard_size": 4 if tars else None, "workers": 0, **SMALL}
    export_squares(photos, tmp_path / "whole", **options)
    whole, replace, steps = everything(tmp_path / "whole"), os.replace, []

    def counted(*words):
        if len(steps) == limit:
            raise Killed
        steps.append(words)
        replace(*words)

    for limit in range(0, 60, 3 if tars else 7):
        out = tmp_path / f"killed{limit}"
        steps.clear()
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", counted)
            try:
                export_squares(photos, out, **options)
            except Killed:
                assert not (out / "squares.json").exists()
                finished = False
            else:
                finished = True
        export_squares(photos, out, **options)
        assert everything(out) == whole
        if finished:
            break
    assert finished
    assert limit > 6


def test_finished_parts_are_written_again_only_where_a_picture_was_changed(photos, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(photos, tmp_path / "photos")
    monkeypatch.setattr(command, "PER_PART", 4)
    write, done = command.write_part, []

    def stopping(part, **rest):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(part)
        return write(part, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(command, "write_part", stopping)
        with pytest.raises(KeyboardInterrupt):
            export_squares(folder, tmp_path / "out", workers=0, **SMALL)
    changed = done[1].pictures[0]
    path = folder / changed.place
    content = path.read_bytes()
    path.write_bytes(content[:-40] + b"x" * 40)  # as long as before
    done.clear()
    monkeypatch.setattr(command, "write_part", lambda part, **rest: done.append(part.number) or write(part, **rest))
    export_squares(folder, tmp_path / "out", workers=0, **SMALL)
    assert "2 of 5 parts are finished already" in capsys.readouterr().out
    assert done == [1, 0, 1]  # the changed one of train, then those of val
    export_squares(folder, tmp_path / "out", workers=0, **SMALL)
    assert "nothing to do" in capsys.readouterr().out
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"holds squares of other pictures: \S*{changed.place} has been changed since"):
        export_squares(folder, tmp_path / "out", workers=0, **SMALL)


@pytest.mark.slow
def test_workers_write_the_same_files_and_the_command_says_where_maps_go(photos, tmp_path):
    words = [sys.executable, "-m", "saliency_keras", "export_squares", str(photos), "--tar", "--shard-size", "4"]
    for workers in ("1", "2"):
        done = subprocess.run(
            [*words, str(tmp_path / workers), "--workers", workers, "--square", "64"],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert everything(tmp_path / "1") == everything(tmp_path / "2")
    assert "10 train + 5 val squares of 64 px are in" in done.stdout
    assert "1 pictures cannot be read (see skipped.csv)" in done.stdout
    printed = " ".join(done.stdout.replace("\\\n", " ").split())  # a long command goes on in the next line
    assert f"next: python -m saliency_keras compact {photos} OUT --maps NAME=maps" in printed
    assert "maps/train/" in done.stdout
    assert len(list((tmp_path / "1").glob("*.tar"))) == 3 + 2


def test_a_set_that_lacks_a_square_or_was_made_otherwise_is_refused(photos, tmp_path):
    export_squares(photos, tmp_path / "out", workers=0, **SMALL)
    for options, sentence in (
        ({**SMALL, "square": 60}, "holds squares of another framing"),
        ({**SMALL, "tar": True}, "another in_tars"),
        ({**SMALL, "limit": 3}, "another limit"),
    ):
        with pytest.raises(UserError, match=sentence):
            export_squares(photos, tmp_path / "out", workers=0, **options)
    (tmp_path / "out" / "train" / "cat" / "4.png").unlink()
    with pytest.raises(UserError, match=r"lacks train/cat/4\.png, which it had; delete .*squares\.json"):
        export_squares(photos, tmp_path / "out", workers=0, **SMALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty and holds no squares of ours"):
        export_squares(photos, tmp_path / "mine", workers=0, **SMALL)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"limit": 0}, "limit must be 1 or more"),
        ({"shard_size": 5}, "--shard-size 5 without --tar"),
        ({"shard_size": 0, "tar": True}, "1 or more; received --shard-size 0"),
        ({"workers": -1}, "workers must be 0 or more"),
        ({"square": 300, "shorter": 200}, "the square at most the shorter side"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(photos, tmp_path, options, sentence):
    with pytest.raises(UserError, match=sentence):
        export_squares(photos, tmp_path / "out", **{"workers": 0, **options})
    assert not (tmp_path / "out").exists()


def test_a_compact_set_takes_no_sides(photos, tmp_path):
    manifest = compaction.compact(open_source(photos), tmp_path / "set", ("center",), 48, workers=0)
    with pytest.raises(UserError, match=r"written as they are stored\. Received: --square, --upright"):
        export_squares(manifest.folder, tmp_path / "out", square=64, upright=True, workers=0)
    (shard, *_) = manifest.shard_files("train")
    content = shard.read_bytes()
    shard.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    with pytest.raises(UserError, match="is damaged"):
        export_squares(manifest.folder, tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()
    (tmp_path / "set" / "manifest.json").rename(tmp_path / "set" / ".plan.json")
    with pytest.raises(UserError, match="is an unfinished compact data set"):
        export_squares(tmp_path / "set", tmp_path / "out", workers=0)


def test_names_that_could_not_come_back_are_refused(photos, tmp_path):
    twin = shutil.copytree(photos, tmp_path / "twin")
    Image.new("RGB", (20, 20)).save(twin / "train" / "cat" / "0.png")
    with pytest.raises(UserError, match=r"cat/0\.\w+ and cat/0\.\w+ would have one map"):
        export_squares(twin, tmp_path / "out", workers=0)
    (tmp_path / "lists").mkdir()
    rows = [f"../twin/{split}/{name}/{n}.jpg,{name},{split}" for split, name, n in
            (("train", "cat", 0), ("train", "dog", 1), ("val", "cat", 10), ("val", "dog", 11))]  # fmt: skip
    (tmp_path / "lists" / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    with pytest.raises(UserError, match=r"picture \.\./twin/\S+ lies outside of its list's folder"):
        export_squares(tmp_path / "lists" / "list.csv", tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_too_small_is_told_at_once(photos, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"about 1\.7 MB are needed and 1\.0 kB are free"):
        export_squares(photos, tmp_path / "out", workers=0)
    monkeypatch.undo()  # the folder is free for another try
    export_squares(photos, tmp_path / "out", workers=0)


def test_the_estimate_of_the_disk_is_near_what_photographs_take(shared_data, tmp_path):
    written = export_squares(shared_data / "cub-10", tmp_path / "out", limit=20, workers=0)
    estimate = command.BYTES_PER_PIXEL * 256**2 * sum(written["squares"].values())
    assert 0.6 < written["bytes"] / estimate < 1.1
