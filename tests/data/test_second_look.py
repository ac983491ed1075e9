"""Boxes of a second look: at the picture's edge, of one pixel, after other looks, by gaze, maps and true boxes."""

import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.geometry import Framing, square
from saliency_keras.data.second_look import BoxLook, GazeLook, MapLook, Seen, attended, looks_of, squared

WHOLE = (0, 0, 100, 60)


class Fixed:
    """Looks at a box in what it is shown, or at nothing."""

    margin, identity = 0.0, {"fixed": True}

    def __init__(self, box):
        self.box = box

    def boxes(self, pictures):
        return [self.box] * len(pictures)


def pixels(width=100, height=60, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((20, 10, 40, 30), (20, 10, 40, 30)),  # a square stays
        ((20, 10, 60, 20), (20, 0, 60, 40)),  # widened upwards and downwards, moved in at the upper edge
        ((90, 50, 100, 60), (90, 50, 100, 60)),  # in the corner
        ((95, 0, 100, 20), (80, 0, 100, 20)),  # moved in at the right edge
        ((0, 0, 100, 30), (0, 0, 100, 60)),  # wider than the picture is high: as high as there is room
        ((50, 30, 50.5, 30.5), (49, 29, 51, 31)),  # less than one pixel becomes whole pixels around it
        ((99.2, 59.5, 99.9, 59.9), (99, 59, 100, 60)),  # the last pixel
        ((10.4, 10.4, 20.2, 20.2), (10, 10, 21, 21)),  # rounded outwards
    ],
)
def test_a_box_becomes_a_square_of_whole_pixels_inside_the_picture(box, expected):
    found = squared(box, WHOLE)
    assert found == expected
    inside = (max(box[0], 0), max(box[1], 0), min(box[2], 100), min(box[3], 60))
    assert found[0] <= inside[0]
    assert found[1] <= inside[1]
    assert found[2] >= inside[2]
    assert found[3] >= inside[3]


def test_a_margin_is_added_on_each_side():
    assert squared((40, 20, 60, 40), WHOLE, margin=0.1) == (38, 18, 62, 42)


def test_nothing_that_stands_out_leaves_all_of_what_was_seen():
    first, second = attended([Fixed((10, 10, 50, 50)), Fixed(None)], [Seen(pixels())])[0]
    assert (first.crop, first.whole) == ((10, 10, 50, 50), False)
    assert (second.crop, second.whole) == (first.crop, True)


def test_a_look_sees_what_the_one_before_left_and_its_box_lies_in_the_whole_picture():
    seen = []

    class Second(Fixed):
        def boxes(self, pictures):
            seen.extend(one.pixels for one in pictures)
            return super().boxes(pictures)

    picture = pixels()
    found = attended([Fixed((20, 10, 60, 50)), Second((5, 5, 15, 15))], [Seen(picture)])[0]
    np.testing.assert_array_equal(seen[0], picture[10:50, 20:60])
    assert found[1].crop == (25, 15, 35, 25)


def test_a_pictures_own_box_bounds_everything():
    found = attended([Fixed((0, 0, 8, 8))], [Seen(pixels()[10:30, 40:60])])[0][0]
    assert found.crop == (0, 0, 8, 8)
    found = attended([Fixed((0, 0, 30, 2))], [Seen(pixels())], [(40, 10, 70, 40)])[0][0]
    assert found.crop == (40, 10, 70, 40)


def test_true_boxes_are_taken_together_and_move_with_the_crop():
    boxes = ((0.1, 0.5, 0.2, 0.75), (0.3, 0.5, 0.4, 1.2))
    found = BoxLook().boxes([Seen(pixels(), boxes=boxes), Seen(pixels()), Seen(pixels(), boxes=((1.5, 0, 2, 1),))])
    assert found[0] == pytest.approx((10, 30, 40, 60))
    assert found[1:] == [None, None]
    after = attended([Fixed((20, 20, 60, 60)), BoxLook()], [Seen(pixels(), boxes=boxes)])[0][1]
    assert after.box == pytest.approx((20, 30, 40, 60))


def test_a_map_that_came_with_the_picture_is_cut_off_at_otsus_threshold():
    bright = np.full((60, 100), 0.1, "float32")
    bright[20:40, 50:70] = 0.9
    framing = Framing(60, 60, 60)
    (found,) = MapLook("bright", None, framing).boxes([Seen(pixels(), {"bright": bright})])
    assert found == (50, 20, 70, 40)
    np.testing.assert_array_equal(square(bright, framing)[20:40, 30:50] > 0.5, True)
    (found,) = MapLook("bright", None, framing).boxes([Seen(pixels(), {"bright": bright * 0})])
    assert found is None


def test_gaze_is_a_box_around_where_most_people_looked(tmp_path):
    lines = [f"train/cat/0.png,s{number},{30 + number % 3},{20 + number % 2}" for number in range(20)]
    (tmp_path / "gaze.csv").write_text("image,subject,x,y\n" + "\n".join([*lines, "cat/1.png,s,500,500"]) + "\n")
    look = GazeLook(tmp_path / "gaze.csv")
    left, top, right, bottom = look.boxes([Seen(pixels(), name="train/cat/0.png")])[0]
    assert left < 30 < right - 2
    assert top < 20 < bottom - 1
    assert right - left < 25
    assert look.boxes([Seen(pixels(), name="train/cat/1.png"), Seen(pixels(), name="val/cat/2.png")]) == [None, None]
    after = look.boxes([Seen(pixels()[10:, 20:], name="train/cat/0.png", corner=(20, 10))])[0]
    assert after[0] < 10 < after[2]
    (tmp_path / "odd.csv").write_text("image,x\n0,1\n")
    with pytest.raises(UserError, match="is no table of gaze"):
        GazeLook(tmp_path / "odd.csv")


@pytest.mark.parametrize("word", ["nobody", "center=nowhere", "gbvs+", ""])
def test_who_cannot_look_is_refused(word):
    with pytest.raises(UserError, match=r"can look|no finished run"):
        looks_of(word)
