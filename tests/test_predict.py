"""The command that writes maps."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency_keras import predict
from saliency_keras.console import UserError
from saliency_keras.saliency import predictor


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name, shape in (("a.png", (20, 30)), ("b.bmp", (30, 20)), ("c.png", (20, 30)), ("d.jpg", (1, 1))):
        Image.fromarray(generator.integers(0, 256, (*shape, 3), np.uint8)).save(folder / name)
    return folder


def test_every_picture_gets_a_grey_map_of_its_size_and_stem(pictures, tmp_path, capsys):
    predict.main(["gbvs", str(pictures), str(tmp_path / "out")])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "c.png", "d.png"]
    for path in pictures.iterdir():
        with Image.open(tmp_path / "out" / f"{path.stem}.png") as one, Image.open(path) as picture:
            assert one.mode == "L"
            assert one.size == picture.size
            assert one.getextrema()[1] == 255
    assert "4 maps of gbvs" in capsys.readouterr().out


def test_the_png_is_the_predictors_map(pictures, tmp_path):
    predict.main(["gbvs", str(pictures / "c.png"), str(tmp_path)])
    with Image.open(pictures / "c.png") as picture:
        (expected,) = predictor("gbvs")(np.asarray(picture)[None])
    with Image.open(tmp_path / "c.png") as one:
        np.testing.assert_allclose(np.asarray(one), expected / expected.max() * 255, atol=0.51)


def test_unreadable_pictures_are_named_and_counted(pictures, tmp_path, capsys):
    (pictures / "broken.jpg").write_bytes(b"no picture")
    predict.main(["uniform", str(pictures), str(tmp_path / "out")])
    printed = capsys.readouterr()
    assert "broken.jpg" in printed.err
    assert "1 of 5 pictures skipped" in printed.out
    assert not (tmp_path / "out" / "broken.png").exists()


def test_the_tree_of_an_image_folder_is_repeated(tmp_path, capsys):
    for name in ("train/cat/1.png", "train/dog/1.jpg", "val/cat/deep/1.jfif", "val/dog/1"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), "red").save(tmp_path / "in" / name, "PNG")
    (tmp_path / "in" / "classes.csv").write_text("class,name\n")
    out = tmp_path / "in" / "maps"
    for _ in range(2):  # maps that lie among the pictures are not taken for pictures
        predict.main(["center", str(tmp_path / "in"), str(out)])
        made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
        assert made == ["train/cat/1.png", "train/dog/1.png", "val/cat/deep/1.png", "val/dog/1.png"]
        printed = capsys.readouterr().out
        assert "4 maps of center" in printed
        assert "1 file is no picture and is left out (classes.csv)" in printed


def test_maps_of_upright_pictures_are_upright(tmp_path, capsys):
    tag = Image.Exif()
    tag[274] = 6
    Image.new("RGB", (6, 4)).save(tmp_path / "phone.jpg", exif=tag)
    for words, size in (([], (6, 4)), (["--upright"], (4, 6))):
        predict.main(["center", str(tmp_path), str(tmp_path / "out"), *words])
        assert Image.open(tmp_path / "out" / "phone.png").size == size
        assert ("1 of 1 pictures have an orientation tag" in capsys.readouterr().out) == (not words)


def test_a_few_large_pictures_do_not_pile_up_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "WAITING_BYTES", 3 * 3000)
    for width in range(40, 60):
        Image.new("RGB", (width, 20)).save(tmp_path / f"{width}.bmp")
    most, waiting = [], predict._bytes
    monkeypatch.setattr(predict, "_bytes", lambda groups: most.append(waiting(groups)) or most[-1])
    written, _ = predict.predict_files(predictor("uniform"), sorted(tmp_path.iterdir()), tmp_path)
    assert written == 20
    assert max(most) <= 3 * 3000 + 60 * 20 * 3


def test_a_single_unreadable_picture_is_told_once(tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken\.jpg"):
        predict.main(["uniform", str(tmp_path / "broken.jpg"), str(tmp_path / "out")])
    assert not capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_a_map_of_zeros_is_black_and_one_of_next_to_nothing_is_not(tmp_path):
    def faint(images):
        scale = np.array([0, 1e-44], np.float32)[: len(images), None, None]
        return np.ones(images.shape[:3], np.float32) * scale

    names = "zeros.png", "faint.png"
    predict._write_maps(faint, [(Path(name), np.zeros((2, 3, 3), np.uint8)) for name in names], tmp_path)
    assert [np.asarray(Image.open(tmp_path / name)).max() for name in names] == [0, 255]


@pytest.mark.parametrize("out", ["pictures", "pictures/../pictures"])
def test_maps_never_overwrite_pictures(pictures, out):
    before = (pictures / "a.png").read_bytes()
    with pytest.raises(UserError, match="overwrite"):
        predict.main(["uniform", str(pictures), str(pictures.parent / out)])
    assert (pictures / "a.png").read_bytes() == before


def test_a_map_does_not_replace_the_namesake_beside_the_picture(pictures):
    (pictures / "a.jpg").write_bytes((pictures / "a.png").read_bytes())
    before = (pictures / "a.png").read_bytes()
    with pytest.raises(UserError, match=r"would overwrite a\.png beside it"):
        predict.main(["uniform", str(pictures / "a.jpg"), str(pictures)])
    assert (pictures / "a.png").read_bytes() == before


def test_two_pictures_of_one_stem_are_refused(pictures, tmp_path):
    (pictures / "a.jpg").write_bytes((pictures / "a.png").read_bytes())
    with pytest.raises(UserError, match=r"a\.jpg and .*a\.png"):
        predict.main(["uniform", str(pictures), str(tmp_path / "out")])


@pytest.mark.parametrize("images", ["absent", "empty", "empty/none.png"])
def test_nothing_to_predict_is_an_error(tmp_path, images):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no picture"):
        predict.main(["uniform", str(tmp_path / images), str(tmp_path / "out")])


def test_an_unknown_predictor_is_told_the_known_ones(pictures, tmp_path):
    with pytest.raises(UserError, match="gbvs, itti"):
        predict.main(["gvbs", str(pictures), str(tmp_path / "out")])


def test_many_sizes_do_not_pile_up_in_memory(tmp_path, monkeypatch):
    """More pictures than may wait, each of its own size: all are written, in small batches."""
    monkeypatch.setattr(predict, "WAITING", 3)
    for width in range(1, 9):
        Image.new("RGB", (width, 2)).save(tmp_path / f"{width}.bmp")
    sizes = []

    def remembering(images):
        sizes.append(len(images))
        return predictor("uniform")(images)

    written, refusals = predict.predict_files(remembering, sorted(tmp_path.iterdir()), tmp_path)
    assert written == 8
    assert not refusals
    assert sizes == [1] * 8
