"""A fixation set is read whole, or refused in one sentence that names the place."""

import json

import numpy as np
import pytest
from PIL import Image

from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import read_fixation_set

ROWS = "image,subject,x,y\na.png,ann,1,2\nb.png,ann,3.5,0\na.png,bob,1.2,2\nb.png,bob,10,10\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name, size in (("a.png", (8, 6)), ("b.png", (12, 11)), ("c.png", (8, 6))):
        Image.new("RGB", size).save(tmp_path / "images" / name)
    (tmp_path / "fixations.csv").write_text(ROWS)
    return tmp_path


def test_a_set_knows_its_pictures_observers_and_fixations(folder):
    fixation_set = read_fixation_set(folder)
    assert fixation_set.images == ("a.png", "b.png", "c.png")
    assert fixation_set.size("b.png") == (12, 11)
    assert fixation_set.observers("a.png") == ("ann", "bob")
    assert fixation_set.points("a.png").counts()[2, 1] == 2
    assert fixation_set.points("a.png", only="bob").x.tolist() == [1.2]
    assert fixation_set.points("a.png", without="bob").x.tolist() == [1.0]
    assert len(fixation_set.points("c.png")) == 0
    assert fixation_set.path("c.png").is_file()


def test_columns_may_come_in_any_order_with_others_between(folder):
    expected = read_fixation_set(folder)
    lines = [line.split(",") for line in ROWS.splitlines()]
    text = "\r\n".join(f"{y},9,{x},{image},{subject}" for image, subject, x, y in lines).replace("y,9", "y,time")
    (folder / "fixations.csv").write_text("\ufeff" + text + "\r\n\r\n", encoding="utf-8")
    found = read_fixation_set(folder)
    assert found.x.tolist() == expected.x.tolist()
    assert found.subjects.tolist() == expected.subjects.tolist()


def test_fixations_outside_their_picture_are_left_out_and_counted(folder):
    (folder / "fixations.csv").write_text(ROWS + "a.png,ann,7.5,2\na.png,ann,7.49,2\nb.png,ann,-3,2\n")
    fixation_set = read_fixation_set(folder)
    assert fixation_set.outside == 2
    assert len(fixation_set.points("a.png")) == 3


def test_others_are_carried_over_by_relative_position(folder):
    others = read_fixation_set(folder).others("a.png")
    np.testing.assert_allclose(others.x, np.array([3.5, 10]) * 8 / 12)
    np.testing.assert_allclose(others.y, np.array([0, 10]) * 6 / 11)
    same_size = read_fixation_set(folder).others("c.png")
    assert same_size.x.tolist()[:2] == [1.0, 1.2]
    assert len(same_size) == 4


def test_a_fixation_at_the_border_stays_inside_when_carried_to_another_size(folder):
    (folder / "fixations.csv").write_text(
        "image,subject,x,y\nb.png,ann,-0.5,-0.5\nb.png,ann,11.4,10.4\na.png,ann,1,1\n"
    )
    fixation_set = read_fixation_set(folder)
    assert len(fixation_set.others("c.png")) == 3
    assert len(fixation_set.others("a.png")) == 2


def test_a_sample_of_other_pictures_is_drawn_by_seed_among_those_with_fixations(folder):
    fixation_set = read_fixation_set(folder)
    one = [tuple(fixation_set.others("c.png", sample=1, seed=seed).x) for seed in range(20)]
    assert set(one) == {tuple(fixation_set.points("a.png").x), tuple(fixation_set.others("c.png").x[2:])}
    assert one[0] == tuple(fixation_set.others("c.png", sample=1, seed=0).x)
    assert len(fixation_set.others("c.png", sample=10)) == 4


def test_one_degree_is_what_the_set_says_or_a_share_of_the_width(folder):
    assert read_fixation_set(folder).sigma("b.png") == pytest.approx(0.36)
    (folder / "set.json").write_text(json.dumps({"pixels_per_degree": 24}))
    assert read_fixation_set(folder).sigma("b.png") == 24


def test_a_sample_of_pictures_keeps_its_members_when_it_grows(folder):
    fixation_set = read_fixation_set(folder)
    assert (
        set(fixation_set.sample(1))
        < set(fixation_set.sample(2))
        < set(fixation_set.sample(9))
        == {
            "a.png",
            "b.png",
            "c.png",
        }
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            ROWS + "x.png,ann,1,1\nz.png,ann,1,1\nx.png,bob,1,1\n",
            r"names 2 pictures that are not in images/.*'x.png' in line 6",
        ),
        (ROWS + "a.png,ann,1\n", "line 6 has 3 fields"),
        (ROWS + "a.png,ann,left,1\n", "line 6: 'left', '1' is not a pair of numbers"),
        (ROWS + "a.png,ann,nan,1\n", "line 6: the fixation at nan, 1 is not finite"),
        (ROWS + 'a.png,"ann,1,1\n', "line 6 is malformed"),
        ("image,x,y\na.png,1,1\n", "has no column subject"),
        ("", "has no column image, subject, x, y"),
        ("image,subject,x,y\n", "has no fixations"),
    ],
)
def test_a_malformed_table_is_refused_with_its_line(folder, text, sentence):
    (folder / "fixations.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_fixation_set(folder)


def test_text_that_is_not_utf8_is_refused(folder):
    (folder / "fixations.csv").write_bytes(b"image,subject,x,y\na.png,\xff,1,1\n")
    with pytest.raises(UserError, match="not UTF-8"):
        read_fixation_set(folder)


@pytest.mark.parametrize("text", ["[1]", "{", '{"pixels_per_degree": "24"}', '{"pixels_per_degree": 0}'])
def test_a_malformed_set_description_is_refused(folder, text):
    (folder / "set.json").write_text(text)
    with pytest.raises(UserError, match=r"set\.json"):
        read_fixation_set(folder)


def test_what_is_no_fixation_set_is_refused(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(UserError, match=r"fixations\.csv is a file"):
        read_fixation_set(folder / "fixations.csv")
    with pytest.raises(UserError, match=r"there is no folder .*absent"):
        read_fixation_set(folder / "absent")
    with pytest.raises(UserError, match=r"there is no folder .*images"):
        read_fixation_set(empty)
    (empty / "images").mkdir()
    with pytest.raises(UserError, match=r"there is no file .*fixations\.csv"):
        read_fixation_set(empty)
    (empty / "fixations.csv").write_text(ROWS)
    with pytest.raises(UserError, match="has no pictures"):
        read_fixation_set(empty)
    (folder / "images" / "b.png").write_text("no picture")
    with pytest.raises(UserError, match=r"b\.png cannot be read as a picture"):
        read_fixation_set(folder)


@pytest.mark.shared_data
def test_osie_is_read_with_all_its_fixations(shared_data):
    fixation_set = read_fixation_set(shared_data / "osie")
    assert (len(fixation_set.images), len(fixation_set.x), fixation_set.outside) == (700, 98_321, 0)
    assert fixation_set.sigma("1001.jpg") == pytest.approx(15.36)
    assert len(fixation_set.observers("1001.jpg")) == 15
    assert sum(len(fixation_set.points(image)) for image in fixation_set.images) == 98_321
