"""A second look: which part of a picture somebody attends to, as a box in the picture's own pixels.

Shen and Liu, section 4.4: the attended region is located, cropped from the original picture and enlarged, and the next
network sees that. Who attends is a `Look`; several looks follow each other, each at what the one before has left. The
paper does not say how it crops. Here the box is the smallest one around the mask, made square as far as the picture
goes, for a compact set stores squares.
"""

import csv
import dataclasses
import hashlib
import io
import json
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.listing import name_key
from saliency_keras.metrics.boxes import box_of_mask, largest_component
from saliency_keras.saliency import PREDICTORS, predictor
from saliency_keras.saliency.attended import NETWORK, AttentionRun, masks_of

BOXES = "boxes"
CENTER_OF, GAZE_OF = "center=", "gaze="
GAZE_WIDTH = 1 / 16  # standard deviation of the Gaussian around each point of gaze, as a share of the shorter side


@dataclasses.dataclass(frozen=True)
class Attended:
    """What somebody attends to in a picture.

    Attributes:
        crop: `(left, top, right, bottom)`, whole pixels of the picture: what the next look sees.
        box: The smallest box around the attended places, in the picture's pixels, before it was made square.
        whole: Whether nothing stood out, so that the whole of what was seen is used.
    """

    crop: tuple[int, int, int, int]
    box: tuple[float, float, float, float]
    whole: bool = False


@dataclasses.dataclass(frozen=True)
class Seen:
    """A picture that is looked at.

    Attributes:
        pixels: uint8 array `(height, width, 3)`.
        maps: Maps that came with it, by name, float arrays `(height, width)`.
        boxes: Boxes of its objects, `(xmin, ymin, xmax, ymax)` as shares of its width and height.
        name: What it is called, `split/id`.
        corner: Where its first pixel lies in the whole picture, `(left, top)`.
    """

    pixels: np.ndarray
    maps: dict = dataclasses.field(default_factory=dict)
    boxes: tuple = ()
    name: str = ""
    corner: tuple[int, int] = (0, 0)


class RunLook:
    """A run of `classifier_attention` looks. It sees a square of the picture, as in training, and nothing beside it.

    Args:
        folder: The run folder.
        centred: Whether its box is moved to the centre of what was seen: the control for where it looks.
    """

    def __init__(self, folder, centred=False):
        self.run, self._centred = AttentionRun(folder), centred
        self.framing = framing_of(self.run.data)
        self.identity = {"center_of": self.run.identity} if centred else self.run.identity
        self.margin = self.run.margin

    def prepared(self, pixels):
        """The picture as the network sees it: uint8 `(side, side, 3)`."""
        stored = geometry.shrink(geometry.square(pixels, self.framing), self.framing.stored)
        start = (self.framing.stored - self.run.side) // 2
        return np.ascontiguousarray(stored[start : start + self.run.side, start : start + self.run.side])

    def boxes(self, pictures):
        """The attended box of each of some `Seen`s, in its pixels, or `None`."""
        masks = self.run(np.stack([self.prepared(one.pixels) for one in pictures]))
        return [self.box(mask, one.pixels.shape) for mask, one in zip(masks, pictures, strict=True)]

    def places(self, mask):
        """The box around a mask of the network's, in places of the mask; `None` where nothing stands out."""
        return None if mask.all() else box_of_mask(mask if self.run.box == "all" else largest_component(mask))

    def box(self, mask, shape):
        """That box in the pixels of a picture of that shape, or `None`."""
        places = self.places(mask)
        if places is None:
            return None
        rows, columns = self.run.edges
        box = columns[places[0]], rows[places[1]], columns[places[2]], rows[places[3]]
        start = (self.framing.stored - self.run.side) // 2
        box = _on_picture([start + edge for edge in box], self.framing.stored, shape, self.framing)
        return _centred(box, shape) if self._centred else box


class MapLook:
    """A predictor's map, or one that came with the pictures, is cut off at Otsu's threshold.

    Args:
        name: Name of the map that came with the pictures, where `maker` is `None`.
        maker: The predictor, or `None`.
        framing: The `Framing` of the square that it sees.
    """

    margin = 0.0

    def __init__(self, name, maker, framing):
        self._name, self._maker, self.framing = name, maker, framing
        self.identity = {"map": name}
        if maker:
            self.identity = {"predictor": maker.name, "version": maker.version, "parameters": maker.parameters}

    def boxes(self, pictures):
        """As `RunLook.boxes`."""
        if self._maker:
            maps = self._maker(np.stack([geometry.square(one.pixels, self.framing) for one in pictures]))
        else:
            maps = [geometry.square(one.maps[self._name], self.framing) for one in pictures]
        found = []
        for mask, one in zip(masks_of(np.stack(maps)), pictures, strict=True):
            places = None if mask.all() else box_of_mask(mask)
            found.append(places and _on_picture(places, len(mask), one.pixels.shape, self.framing))
        return found


class BoxLook:
    """Looks at the true boxes of the objects: the box around all of them."""

    identity, margin = {"boxes": "true"}, 0.0

    def boxes(self, pictures):
        """As `RunLook.boxes`."""
        found = []
        for one in pictures:
            height, width = one.pixels.shape[:2]
            edges = np.array(one.boxes).reshape(-1, 4)
            inside = np.clip([*edges[:, :2].min(0), *edges[:, 2:].max(0)], 0, 1) if len(edges) else np.zeros(4)
            there = inside[0] < inside[2] and inside[1] < inside[3]
            found.append(tuple((inside * [width, height, width, height]).tolist()) if there else None)
        return found


class GazeLook:
    """People look: their points of gaze, blurred, are cut off at Otsu's threshold.

    Args:
        file: CSV file, image,subject,x,y; pixel centres at integers. `image` is `split/id` of a picture, or its id.
    """

    margin = 0.0

    def __init__(self, file):
        self._points, content = {}, b""
        try:
            content = Path(file).read_bytes()
            for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")):
                self._points.setdefault(name_key(row["image"]), []).append((float(row["x"]), float(row["y"])))
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise UserError(f"{file} is no table of gaze, image,subject,x,y: {error}.") from None
        self.identity = {"gaze": hashlib.sha256(content).hexdigest()[:16]}

    def boxes(self, pictures):
        """As `RunLook.boxes`."""
        return [self._box(one) for one in pictures]

    def _box(self, one):
        height, width = one.pixels.shape[:2]
        key = name_key(one.name)
        points = self._points.get(key) or self._points.get(key.partition("/")[2]) or ()
        columns, rows = (np.array(axis) for axis in zip(*points, strict=True)) if points else (np.array([]),) * 2
        columns, rows = columns - one.corner[0], rows - one.corner[1]
        inside = (columns >= -0.5) & (columns < width - 0.5) & (rows >= -0.5) & (rows < height - 0.5)
        if not inside.any():
            return None
        sigma = GAZE_WIDTH * min(height, width)
        across = np.exp(-(((np.arange(width) - columns[inside, None]) / sigma) ** 2) / 2)
        down = np.exp(-(((np.arange(height) - rows[inside, None]) / sigma) ** 2) / 2)
        return box_of_mask(masks_of((down.T @ across).astype(np.float32)[None])[0])


def looks_of(words, framing=None, maps=(), classes=None):
    """Who looks, in order.

    Args:
        words: Names joined by `+`: run folders of `classifier_attention`, predictors, maps that come with the pictures,
            `boxes` for the true boxes, `gaze=FILE` for where people looked, or `center=RUN` for a box of a run's size
            at the centre.
        framing: The `Framing` of the square that predictors see, or `None` for the default.
        maps: Names of the maps that come with the pictures.
        classes: Names of the classes of the pictures, or `None`: a run must have been trained on the same.

    Returns:
        A list of looks.

    Raises:
        UserError: If a name is none of these, a run is not finished or of other classes, or it was trained on pictures
            that were cropped by others than those before it.
    """
    looks = []
    for word in words.split("+") if not Path(words).is_dir() else [words]:
        look = _look(word, framing or geometry.Framing(), maps)
        if isinstance(look, RunLook):
            _check_run(word.removeprefix(CENTER_OF), look.run, looks, classes)
        looks.append(look)
    return looks


def attended(looks, pictures, regions=None):
    """What each of some pictures is cropped to after several looks.

    Args:
        looks: Of `looks_of`.
        pictures: `Seen`s.
        regions: Of each picture the pixels it is cropped to before, `(left, top, right, bottom)`, or `None` for all.

    Returns:
        A list with one list of `Attended`s a picture, one for each look.
    """
    limits = [(0, 0, *one.pixels.shape[1::-1]) for one in pictures]
    limits = [limit if region is None else region for limit, region in zip(limits, regions or limits, strict=True)]
    found = [[] for _ in pictures]
    for look in looks:
        crops = [of[-1].crop if of else limit for of, limit in zip(found, limits, strict=True)]
        boxes = look.boxes([_cropped(one, crop) for one, crop in zip(pictures, crops, strict=True)])
        for of, limit, crop, box in zip(found, limits, crops, boxes, strict=True):
            if box is None:
                of.append(Attended(crop, crop, whole=True))
                continue
            box = box[0] + crop[0], box[1] + crop[1], box[2] + crop[0], box[3] + crop[1]
            of.append(Attended(squared(box, limit, look.margin), tuple(map(float, box))))
    return found


def squared(box, limit, margin=0.0):
    """A box in whole pixels, widened to a square around its centre as far as there is room.

    Args:
        box: `(left, top, right, bottom)`, fractions allowed.
        limit: The same, integers: nothing beyond it is used.
        margin: Share of the box's width and height that is added on each side.

    Returns:
        `(left, top, right, bottom)`, integers, all of the box that lies within the limit included.
    """
    size = [(1 + 2 * margin) * (box[end] - box[start]) for start, end in ((0, 2), (1, 3))]
    side = max(*size, 1.0)
    edges = []
    for start, end in (0, 2), (1, 3):
        room = limit[end] - limit[start]
        length = min(side, room)
        first = min(max((box[start] + box[end] - length) / 2, limit[start]), limit[end] - length)
        low = int(np.floor(first + 1e-6))
        edges.append((low, min(max(int(np.ceil(first + length - 1e-6)), low + 1), limit[end])))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def framing_of(data):
    """The framing of a run's set, from its `config.json`; runs of earlier versions knew the stored side alone."""
    return geometry.Framing(**data["framing"]) if "framing" in data else geometry.Framing(stored=data["side"])


def _look(word, framing, maps):
    if word == BOXES:
        return BoxLook()
    if word.startswith(CENTER_OF):
        return RunLook(word.removeprefix(CENTER_OF), centred=True)
    if word.startswith(GAZE_OF):
        return GazeLook(word.removeprefix(GAZE_OF))
    if word in maps:
        return MapLook(word, None, framing)
    if word in PREDICTORS:
        return MapLook(word, predictor(word), framing)
    if Path(word).is_dir():
        return RunLook(word)
    raise UserError(
        f"nobody called {word!r} can look: give a run of {NETWORK} (--zoom RUN, or RUN+RUN), a predictor "
        f"({', '.join(PREDICTORS)}), {BOXES}, {GAZE_OF}FILE, {CENTER_OF}RUN"
        f"{', or a map: ' + ', '.join(maps) if maps else ''}."
    )


def _check_run(word, run, before, classes):
    if classes is not None and tuple(classes) != run.classes:
        counts = f"{len(run.classes)} classes, {run.classes[0]} first; here {len(classes)}, {classes[0]} first"
        raise UserError(f"{word} was trained on other classes ({counts}); zoom by a run of these pictures.")
    cropped_by = run.data.get("source", {}).get("zoom", [])
    looked = json.loads(json.dumps([one.identity for one in before]))
    if cropped_by != looked:
        raise UserError(
            f"{word} was trained on pictures after {len(cropped_by)} looks, and is given {len(looked)} before it that "
            f"are {'other ones' if len(looked) == len(cropped_by) else 'not as many'}; name all runs in order: "
            "--zoom SCALE1+SCALE2."
        )


def _cropped(one, crop):
    left, top, right, bottom = crop
    height, width = one.pixels.shape[:2]
    if crop == (0, 0, width, height):
        return one
    boxes = tuple(
        ((x0 * width - left) / (right - left), (y0 * height - top) / (bottom - top),
         (x1 * width - left) / (right - left), (y1 * height - top) / (bottom - top))
        for x0, y0, x1, y1 in one.boxes
    )  # fmt: skip
    maps = {name: each[top:bottom, left:right] for name, each in one.maps.items()}
    corner = one.corner[0] + left, one.corner[1] + top
    return Seen(one.pixels[top:bottom, left:right], maps, boxes, one.name, corner)


def _on_picture(box, side, shape, framing):
    """A box in a square of `side` pixels as it lies in the picture of that shape that the square was cut from."""
    left, top, right, bottom = geometry.centre_box(shape[1], shape[0], framing)
    across, down = (right - left) / side, (bottom - top) / side
    return left + box[0] * across, top + box[1] * down, left + box[2] * across, top + box[3] * down


def _centred(box, shape):
    width, height = box[2] - box[0], box[3] - box[1]
    left, top = (shape[1] - width) / 2, (shape[0] - height) / 2
    return left, top, left + width, top + height
