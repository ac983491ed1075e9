"""Maps of where people looked, on the pictures of any source: `compact --saliency fixations`."""

import numpy as np
import pytest
from PIL import Image

from data_prep.compact import main
from data_prep.sources.source import FolderSource, UnusableMap
from data_prep.sources.with_fixations import SourceWithFixations
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.stored import Records

WIDTH, HEIGHT = 60, 40
HEADER = "image,subject,x,y\n"


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{split}{name}{number}.png")
    return tmp_path / "photos"


def write(photos, rows, name="gaze.csv"):
    (photos / name).write_text(HEADER + rows)
    return SourceWithFixations(FolderSource(photos))


def test_a_map_is_the_sum_of_gaussians_of_three_percent_of_the_width(photos):
    source = write(
        photos, "train/cat/traincat0.png,a,10,20\ncat/traincat0.png,b,9,9\ntrain/cat/traincat0.png,b,40,5.4\n"
    )
    found = {picture.id: source.read(picture)[1]["fixations"] for picture in source.pictures("train")}
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    sigma = 0.03 * WIDTH
    expected = sum(np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2)) for x, y in ((10, 20), (40, 5)))
    np.testing.assert_allclose(found["cat/traincat0.png"], expected / expected.sum(), atol=1e-6)
    assert not found["cat/traincat1.png"].any(), "nobody looked"


def test_a_compact_set_has_maps_of_maximum_255_and_zeros_where_nobody_looked(photos, tmp_path, capsys):
    (photos / "gaze.csv").write_text(HEADER + "train/cat/traincat0.png,a,30,20\nval/dog/valdog1.png,a,31,21\n")
    words = [str(photos), str(tmp_path / "set"), "--saliency", "fixations", "--side", "40", "--workers", "0"]
    main(words)
    manifest = Manifest.load(tmp_path / "set")
    assert manifest.maps[0].name == "fixations"
    assert manifest.maps[0].made_of == "picture"
    maximum = {}
    for split in ("train", "val"):
        records = Records(manifest, split)
        places = np.arange(len(records))
        maximum |= dict(zip(records.ids(places), (int(one.max()) for one in records.maps(places)), strict=True))
    assert maximum["cat/traincat0.png"] == maximum["dog/valdog1.png"] == 255
    assert sorted(maximum.values()) == [0] * 6 + [255] * 2
    main(words)
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("train/cat/other.png,a,1,2\n", "about no picture of the source: its first row names 'train/cat/other.png'"),
        ("train/cat/traincat0.png,a,left,2\n", r"line 2: 'left', '2' is not a pair of numbers"),
    ],
)
def test_a_table_that_does_not_fit_is_told_in_a_sentence(rows, says, photos):
    with pytest.raises(UserError, match=says):
        write(photos, rows)


def test_no_table_and_no_wish_for_one_are_told(photos, tmp_path):
    with pytest.raises(UserError, match="name the table: --fixations FILE"):
        main([str(photos), str(tmp_path / "set"), "--saliency", "fixations"])
    with pytest.raises(UserError, match="not asked for"):
        main([str(photos), str(tmp_path / "set"), "--saliency", "center", "--fixations", "gaze.csv"])
    (photos / "fixations.csv").write_text("image,subject,y\n")
    with pytest.raises(UserError, match="lacks the column x"):
        SourceWithFixations(FolderSource(photos))
    assert not (tmp_path / "set").exists()


def test_coordinates_of_another_screen_stop_the_run(photos):
    source = write(photos, "train/cat/traincat0.png,a,700,20\ntrain/cat/traincat0.png,a,600,5\n")
    picture = next(one for one in source.pictures("train") if one.id == "cat/traincat0.png")
    with pytest.raises(UnusableMap, match=r"2 of 2 fixations on cat/traincat0.png lie outside its 60x40 px"):
        source.read(picture)
