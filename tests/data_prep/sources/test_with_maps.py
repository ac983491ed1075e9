"""Maps computed elsewhere: where they go, what they become, and which are refused."""

import shutil

import numpy as np
import pytest
import scipy.io
from PIL import Image

from data_prep import compact
from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.stored import Records


@pytest.fixture
def maps(tree, tmp_path):
    """A folder with a map for every picture of the tree, bright where a point drawn by the picture's name is."""
    folder = tmp_path / "maps"
    for path in tree.glob("*/*/*.png"):
        width, height = Image.open(path).size
        rows, columns = np.mgrid[:height, :width]
        centre = np.random.default_rng(list(str(path.relative_to(tree)).encode())).uniform(0, (height, width))
        levels = np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / 200)
        place = folder / path.relative_to(tree)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((levels * 65535).astype("uint16")).save(place)
    return folder


def run(tree, out, *words):
    compact.main([str(tree), str(out), "--codec", "npy", "--side", "64", "--workers", "1", *words])
    return Manifest.load(out)


@pytest.fixture
def _in_this_process(monkeypatch):
    from data_prep import compaction

    made = compaction.compact
    monkeypatch.setattr(compaction, "compact", lambda *words, **options: made(*words, **{**options, "workers": 0}))


pytestmark = pytest.mark.usefixtures("_in_this_process")


def test_maps_go_through_the_geometry_of_their_pictures(tree, maps, tmp_path):
    manifest = run(tree, tmp_path / "set", "--maps", f"salnet={maps}")
    assert manifest.map_names == ("salnet",)
    assert manifest.source["maps"] == {"salnet": "maps"}
    stored = Records(manifest, "val")
    places = np.arange(9)
    for identifier, saliency in zip(stored.ids(places), stored.maps(places), strict=True):
        levels = np.asarray(Image.open(maps / "val" / identifier)).astype("float32")
        np.testing.assert_array_equal(saliency, geometry.stored_map(geometry.square(levels, geometry.Framing()), 64))
        assert saliency.max() == 255


def test_the_first_map_named_on_the_command_line_is_interleaved(tree, maps, tmp_path):
    words = ("--maps", f"salnet={maps}")
    assert run(tree, tmp_path / "one", *words, "--saliency", "center").map_names == ("salnet", "center")
    assert run(tree, tmp_path / "two", "--saliency", "center", *words).map_names == ("center", "salnet")


def test_a_map_of_a_picture_made_at_another_size_and_format_is_scaled(tree, maps, tmp_path):
    for path in sorted(maps.glob("*/cat/*.png")):
        levels = np.asarray(Image.open(path)).astype("float32")
        height, width = levels.shape
        small = Image.fromarray(levels).resize((round(0.6 * width), round(0.6 * height)), Image.Resampling.BILINEAR)
        small.save(path.with_suffix(".tif"))
        path.unlink()
    stored = Records(run(tree, tmp_path / "set", "--maps", f"salnet={maps}"), "train")
    for identifier, saliency in zip(stored.ids(np.arange(18)), stored.maps(np.arange(18)), strict=True):
        if identifier.startswith("cat"):
            pixels = np.asarray(Image.open(tree / "train" / identifier))
            levels = np.asarray(Image.open((maps / "train" / identifier).with_suffix(".tif")))
            box = (0, 0, levels.shape[1], levels.shape[0])
            whole = Image.fromarray(levels).resize(pixels.shape[1::-1], Image.Resampling.BILINEAR, box=box)
            expected = geometry.stored_map(geometry.square(np.asarray(whole), geometry.Framing()), 64)
            np.testing.assert_array_equal(saliency, expected)


def test_other_maps_are_another_data_set(tree, maps, tmp_path):
    run(tree, tmp_path / "set", "--maps", f"salnet={maps}")
    path = maps / "train" / "cat" / "000.png"
    Image.fromarray(np.zeros(np.asarray(Image.open(path)).shape, "uint8")).save(path)
    with pytest.raises(UserError, match="is a data set with other pictures"):
        run(tree, tmp_path / "set", "--maps", f"salnet={maps}")


def test_maps_of_another_content_and_the_same_length_are_another_data_set(tree, maps, tmp_path):
    for path in maps.glob("*/*/*.png"):
        Image.fromarray((np.asarray(Image.open(path)) // 256).astype("uint8")).save(path.with_suffix(".bmp"))
        path.unlink()
    run(tree, tmp_path / "set", "--maps", f"salnet={maps}")
    path = maps / "val" / "dog" / "001.bmp"
    length = path.stat().st_size
    Image.fromarray(np.zeros(np.asarray(Image.open(path)).shape, "uint8")).save(path)
    assert path.stat().st_size == length
    with pytest.raises(UserError, match="is a data set with other pictures or maps"):
        run(tree, tmp_path / "set", "--maps", f"salnet={maps}")


def test_a_picture_that_cannot_be_read_needs_no_map(tree, maps, tmp_path):
    (tree / "train" / "cat" / "broken.jpg").write_bytes(b"")
    manifest = run(tree, tmp_path / "set", "--maps", f"salnet={maps}")
    assert manifest.splits["train"].records == 18


def other_file(write):
    """Rewrites each map of one class in another file format."""

    def change(maps):
        for path in maps.glob("*/cat/*.png"):
            write(path, np.asarray(Image.open(path)).astype("float64"))
            path.unlink()

    return change


def as_npy(path, levels):
    np.save(path.with_suffix(".npy"), levels)


def as_mat(path, levels):
    scipy.io.savemat(path.with_suffix(".mat"), {"map": levels})


@pytest.mark.parametrize("write", [as_npy, as_mat])
def test_arrays_make_the_maps_that_pictures_of_the_same_numbers_make(tree, maps, tmp_path, write):
    expected = run(tree, tmp_path / "greys", "--maps", f"salnet={maps}")
    other_file(write)(maps)
    found = run(tree, tmp_path / "arrays", "--maps", f"salnet={maps}")
    assert [one.sha256 for one in found.splits["train"].shards] == [
        one.sha256 for one in expected.splits["train"].shards
    ]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_of_maps_makes_the_set_that_its_folder_makes(tree, maps, tmp_path, kind):
    expected = run(tree, tmp_path / "folder", "--maps", f"salnet={maps}")
    archive = shutil.make_archive(tmp_path / "packed", kind, maps)
    found = run(tree, tmp_path / "archive", "--maps", f"salnet={archive}")
    for split in ("train", "val"):
        assert found.splits[split] == expected.splits[split]


def test_log_densities_are_taken_as_densities(tree, maps, tmp_path):
    expected = run(tree, tmp_path / "plain", "--maps", f"salnet={maps}")
    for path in maps.glob("*/*/*.png"):
        with np.errstate(divide="ignore"):
            np.save(path.with_suffix(".npy"), np.log(np.asarray(Image.open(path)).astype("float64")))
        path.unlink()
    with pytest.raises(UserError, match=r"no numbers|negative"):
        run(tree, tmp_path / "wrong", "--maps", f"salnet={maps}")
    found = run(tree, tmp_path / "logs", "--maps", f"salnet={maps}", "--log")
    for split in ("train", "val"):
        places = np.arange(found.splits[split].records)
        one, two = (list(Records(each, split).maps(places)) for each in (expected, found))
        np.testing.assert_allclose(np.array(one, int), np.array(two, int), atol=1)


def test_maps_of_the_squares_are_stored_as_they_are(tree, tmp_path, capsys):
    maps, drawn = tmp_path / "squares", {}
    for path in sorted(tree.glob("*/*/*.png")):
        name = path.relative_to(tree)
        drawn[str(name)] = np.random.default_rng(len(drawn)).uniform(0, 1, (256, 256)).astype("float32")
        (maps / name).parent.mkdir(parents=True, exist_ok=True)
        np.save((maps / name).with_suffix(".npy"), drawn[str(name)])
    manifest = run(tree, tmp_path / "set", "--maps", f"salnet={maps}")
    assert manifest.maps[0].made_of == "square"
    assert "the maps salnet are those of the pictures' central squares" in capsys.readouterr().out
    for split in ("train", "val"):
        stored = Records(manifest, split)
        places = np.arange(len(stored))
        for identifier, saliency in zip(stored.ids(places), stored.maps(places), strict=True):
            expected = geometry.stored_map(drawn[f"{split}/{identifier}"], 64)
            np.testing.assert_array_equal(saliency, expected)
    np.save(maps / "train" / "cat" / "003.npy", np.ones((90, 90)))
    with pytest.raises(UserError, match=r"003\.npy is 90x90; the other maps are those of .*' central squares, 256x256"):
        run(tree, tmp_path / "mixed", "--maps", f"salnet={maps}")


def test_links_to_folders_of_maps_are_followed(tree, maps, tmp_path):
    expected = run(tree, tmp_path / "plain", "--maps", f"salnet={maps}")
    (tmp_path / "linked").mkdir()
    for split in ("train", "val"):
        (tmp_path / "linked" / split).symlink_to(maps / split)
    found = run(tree, tmp_path / "set", "--maps", f"salnet={tmp_path / 'linked'}")
    assert found.splits == expected.splits


def test_maps_that_are_the_same_everywhere_are_told(tree, maps, tmp_path, capsys):
    path = maps / "val" / "eel" / "001.png"
    Image.new("L", Image.open(path).size).save(path)
    run(tree, tmp_path / "set", "--maps", f"salnet={maps}")
    sentence = "1 of 27 maps salnet are the same everywhere, 1 of them black; one is that of eel/001.png"
    assert sentence in capsys.readouterr().out


def missing(maps):
    for name in ("000", "003"):
        (maps / "train" / "dog" / f"{name}.png").unlink()


def unreadable(maps):
    for name in ("000", "003"):
        (maps / "train" / "dog" / f"{name}.png").write_bytes(b"no map")


def other_aspect(maps):
    path = maps / "val" / "eel" / "001.png"
    levels = Image.open(path)
    levels.crop((0, 0, levels.width, levels.height // 2)).save(path)


def colour(maps):
    Image.new("RGB", Image.open(maps / "val" / "eel" / "001.png").size, "red").save(maps / "val" / "eel" / "001.png")


def in_alpha(maps):
    path = maps / "val" / "eel" / "001.png"
    grey = (np.asarray(Image.open(path)) // 256).astype("uint8")
    Image.fromarray(np.dstack([np.full_like(grey, 255), grey])).save(path)


def not_finite(maps):
    path = maps / "val" / "eel" / "001.png"
    levels = np.asarray(Image.open(path)).astype("float32")
    levels[0, 0] = np.nan
    Image.fromarray(levels).save(path.with_suffix(".tif"))
    path.unlink()


def twice(maps):
    shutil.copy(maps / "val" / "eel" / "001.png", maps / "val" / "eel" / "001.jpg")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (missing, r"lacks the maps of 2 of 18 train pictures, the first is that of dog/00[03]\.png"),
        (unreadable, r"the maps of 2 of the 18 pictures of train-\S+ cannot be used; the first: \S+dog/00[03]\.png"),
        (other_aspect, r"of 1 of the 9 pictures of val-\S+ cannot be used; the first: \S+eel/001\.png is .*aspect"),
        (colour, r"eel/001\.png is a colour picture"),
        (in_alpha, r"eel/001\.png has an alpha channel"),
        (not_finite, r"eel/001\.tif has 1 of [\d,]+ values that are no numbers"),
        (twice, r"two maps for one picture, val/eel/001\.\w+ and val/eel/001\.\w+"),
        (shutil.rmtree, "no folder of maps"),
    ],
)
def test_maps_that_do_not_fit_are_one_sentence_and_nothing_is_left(tree, maps, tmp_path, change, sentence):
    change(maps)
    with pytest.raises(UserError, match=sentence) as refused:
        run(tree, tmp_path / "set", "--maps", f"salnet={maps}")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("name", ["shuffled", "own", "a/b", "..", "a b"])
def test_a_name_that_no_map_can_have_is_refused(tree, maps, tmp_path, name):
    with pytest.raises(UserError, match="a map's name"):
        run(tree, tmp_path / "set", "--maps", f"{name}={maps}")


def test_two_maps_of_one_name_are_refused(tree, maps, tmp_path):
    with pytest.raises(UserError, match="once only"):
        run(tree, tmp_path / "set", "--maps", f"gbvs={maps}", "--saliency", "gbvs")
