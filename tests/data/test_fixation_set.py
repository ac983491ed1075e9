"""A fixation set is read whole, or refused in one sentence that names the place."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import read_fixation_set, readable

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
    for name in ("a.png", "b.png", "c.png"):
        (folder / "images" / name).write_text("no picture")
    with pytest.raises(UserError, match=r"images has no pictures: .*a\.png cannot be read as a picture"):
        read_fixation_set(folder)


def test_rows_without_a_position_are_left_out_and_counted(folder):
    lost = "a.png,ann,nan,1\na.png,ann,,\nb.png,bob,.,.\nb.png,bob,inf,2\nb.png,bob,NA,NA\n"
    (folder / "fixations.csv").write_text(ROWS + lost)
    fixation_set = read_fixation_set(folder)
    assert len(fixation_set.x) == 4
    assert fixation_set.outside == 0
    assert fixation_set.notes == (
        "5 of 9 rows of fixations.csv have no position (blinks, lost samples) and are left out",
    )


def test_a_few_bad_rows_do_not_lose_the_others(folder):
    bad = "a.png,ann,left,1\nz.png,ann,1,1\na.png,bob\n"
    (folder / "fixations.csv").write_text(ROWS + "a.png,eve,2,2\n" * 50 + bad)
    fixation_set = read_fixation_set(folder)
    assert len(fixation_set.x) == 54
    malformed, absent = fixation_set.notes
    assert malformed.startswith("2 of 57 rows of fixations.csv are malformed")
    assert "line 56: 'left', '1'" in malformed
    assert absent.startswith("1 of 57 rows of fixations.csv name pictures that are not in images/")
    assert "'z.png' in line 57" in absent


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_picture_that_cannot_be_read_is_left_out_with_its_fixations(folder, content):
    (folder / "images" / "b.png").write_bytes(content)
    (folder / "images" / "notes.txt").write_text("nobody looked at this")
    fixation_set = read_fixation_set(folder)
    assert fixation_set.images == ("a.png", "c.png")
    assert len(fixation_set.x) == 2
    (note,) = fixation_set.notes
    assert note.startswith("1 of 3 pictures cannot be read and are left out: b.png (")
    assert note.endswith("with 2 fixations")


def test_a_picture_that_does_not_decode_is_kept_from_what_learns(folder):
    noise = np.random.default_rng(0).integers(0, 256, (11, 12, 3), np.uint8)
    Image.fromarray(noise).save(folder / "images" / "b.png")
    path = folder / "images" / "b.png"
    path.write_bytes(path.read_bytes()[:200])
    fixation_set = read_fixation_set(folder)
    assert fixation_set.images == ("a.png", "b.png", "c.png")
    kept = readable(fixation_set)
    assert kept.images == ("a.png", "c.png")
    assert kept.x.tolist() == [1, 1.2]
    assert "1 of 3 pictures cannot be read and are left out: b.png" in kept.notes[-1]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_other_delimiters_and_decimal_commas_are_read(folder, delimiter, encoding):
    expected = read_fixation_set(folder)
    text = ROWS.replace(",", delimiter).replace(".5", ",5").replace("1.2", "1,2")
    (folder / "fixations.csv").write_text(text, encoding=encoding)
    found = read_fixation_set(folder)
    assert found.x.tolist() == expected.x.tolist()
    assert found.subjects.tolist() == expected.subjects.tolist()


def test_pictures_may_be_named_without_suffix_or_with_another_one_where_that_is_one_picture(tmp_path):
    (tmp_path / "images/of").mkdir(parents=True)
    for name in ("a.png", "of/b.png", "two.png", "two.jpg"):
        Image.new("RGB", (40, 30)).save(tmp_path / "images" / name)
    rows = ["a,x,1,1", "a.JPG,x,2,2", "of/b,x,3,3", "two.jpg,x,4,4"]
    (tmp_path / "fixations.csv").write_text("\n".join(["image,subject,x,y", *rows]))
    found = read_fixation_set(tmp_path)
    assert [len(found.points(name)) for name in ("a.png", "of/b.png", "two.jpg", "two.png")] == [2, 1, 1, 0]
    (tmp_path / "fixations.csv").write_text("\n".join(["image,subject,x,y", *rows, "two,x,5,5"]))
    with pytest.raises(UserError, match=r"not in images/, the first 'two' in line 6"):
        read_fixation_set(tmp_path)


def test_names_that_differ_in_unicode_composition_are_the_same(folder):
    composed, decomposed = "\u00fcber.png", "u\u0308ber.png"
    (folder / "images" / "a.png").rename(folder / "images" / decomposed)
    (folder / "fixations.csv").write_text(ROWS.replace("a.png", composed), encoding="utf-8")
    fixation_set = read_fixation_set(folder)
    assert len(fixation_set.points(decomposed)) == 2
    Image.new("RGB", (8, 6)).save(folder / "images" / composed)
    with pytest.raises(UserError, match="differ in Unicode composition only"):
        read_fixation_set(folder)


def test_a_name_that_is_no_utf8_is_text_and_its_picture_is_read(folder):
    name = os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (4, 3), "red").save(folder / "images" / name)
    fixation_set = read_fixation_set(folder)
    assert "caf\\xe9.png" in fixation_set.images
    assert fixation_set.read("caf\\xe9.png").shape == (3, 4, 3)
    assert len(readable(fixation_set).images) == 4


def test_pictures_in_subfolders_belong_to_the_set(folder):
    (folder / "images" / "more").mkdir()
    Image.new("RGB", (8, 6)).save(folder / "images" / "more" / "a.png")
    (folder / "fixations.csv").write_text(ROWS + "more/a.png,ann,5,5\n")
    assert read_fixation_set(folder).points("more/a.png").x.tolist() == [5]


@pytest.fixture
def large(tmp_path):
    """Three pictures of 200x100 and a function that writes their fixations, 30 each around (120, 40)."""
    (tmp_path / "images").mkdir()
    for index in range(3):
        Image.new("RGB", (200, 100)).save(tmp_path / "images" / f"{index}.png")
    places = np.random.default_rng(1).normal((120, 40), (25, 12), (3, 30, 2)).clip((0, 0), (199, 99))

    def write(carried):
        lines = [
            f"{index}.png,ann,{x:.4f},{y:.4f}"
            for index, of_one in enumerate(places)
            for x, y in (carried(*place) for place in of_one)
        ]
        (tmp_path / "fixations.csv").write_text("\n".join(["image,subject,x,y", *lines]))
        return tmp_path

    return write


def test_shares_are_refused_as_pixels_and_read_as_shares(large):
    expected = read_fixation_set(large(lambda x, y: (x, y)))
    folder = large(lambda x, y: ((x + 0.5) / 200, (y + 0.5) / 100))
    with pytest.raises(UserError, match=r"90 of 90 fixations .*shares of width and height.*--coordinates shares"):
        read_fixation_set(folder)
    found = read_fixation_set(folder, coordinates="shares")
    np.testing.assert_allclose(found.x, expected.x, atol=0.02)
    np.testing.assert_allclose(found.y, expected.y, atol=0.02)
    (folder / "set.json").write_text('{"coordinates": "shares"}')
    assert read_fixation_set(folder).x.tolist() == found.x.tolist()
    with pytest.raises(UserError, match=r"only 0 of 90 fixations .*no shares"):
        read_fixation_set(large(lambda x, y: (x + 2, y + 2)), coordinates="shares")


@pytest.mark.parametrize(
    ("carried", "sentence"),
    [
        (lambda x, y: (x + 900, y + 500), r"90 fixations lie outside their pictures, x from 9\d\d"),
        (lambda x, y: (2 * x, 2 * y), r"\d\d of 90 fixations of \S+ \(\d\d%\) lie outside.*such as a screen's"),
        (lambda x, y: (x / 2, y / 2), r"all 90 fixations .* top left quarter .*coordinates of smaller pictures"),
        (lambda x, y: (x / 100 - 1, y / 50 - 1), r"all 90 fixations .* top left quarter .*x from -"),
        (lambda x, y: (y, x), r"lie outside their picture, and 0 with x and y exchanged; exchange the names"),
    ],
)
def test_coordinates_of_something_else_are_refused_with_total_and_share(large, carried, sentence):
    with pytest.raises(UserError, match=sentence):
        read_fixation_set(large(carried))


def test_a_few_fixations_outside_are_told_with_total_and_share(large):
    folder = large(lambda x, y: (200.2 if x > 150 else x, y))
    fixation_set = read_fixation_set(folder)
    assert 4 < fixation_set.outside < 30
    note = f"{fixation_set.outside} fixations of 90 ({fixation_set.outside / 90:.0%}) lie outside their picture"
    assert fixation_set.notes[0].startswith(note)


def test_pictures_that_people_saw_upright_are_refused_on_their_side_and_read_upright(large):
    folder = large(lambda x, y: (x, y))
    expected = read_fixation_set(folder)
    tag = Image.Exif()
    tag[274] = 8  # stored a quarter turn to the right
    for index in range(3):
        path = folder / "images" / f"{index}.png"
        upright = np.zeros((100, 200, 3), np.uint8)
        upright[:, :100] = 255
        Image.fromarray(upright).transpose(Image.Transpose.ROTATE_270).save(path, exif=tag)
    with pytest.raises(UserError, match=r"3 of 3 pictures .* stored on their side .*--upright"):
        read_fixation_set(folder)
    found = read_fixation_set(folder, upright=True)
    assert found.sizes == expected.sizes
    assert found.x.tolist() == expected.x.tolist()
    np.testing.assert_array_equal(found.read("0.png"), upright)
    (folder / "set.json").write_text('{"upright": true}')
    assert read_fixation_set(folder).sizes == expected.sizes


def test_pictures_with_an_orientation_tag_that_fit_as_stored_are_told(large):
    folder = large(lambda x, y: (x, y))
    tag = Image.Exif()
    tag[274] = 3
    Image.new("RGB", (200, 100)).save(folder / "images" / "1.png", exif=tag)
    (note,) = read_fixation_set(folder).notes
    assert note.startswith("1 of 3 pictures have an orientation tag (EXIF) and are read as stored")


@pytest.mark.shared_data
def test_osie_is_read_with_all_its_fixations(shared_data):
    fixation_set = read_fixation_set(shared_data / "osie")
    assert (len(fixation_set.images), len(fixation_set.x), fixation_set.outside) == (700, 98_321, 0)
    assert fixation_set.sigma("1001.jpg") == pytest.approx(15.36)
    assert len(fixation_set.observers("1001.jpg")) == 15
    assert sum(len(fixation_set.points(image)) for image in fixation_set.images) == 98_321
