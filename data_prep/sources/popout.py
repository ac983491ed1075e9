"""The built-in pictures: one object of the labelled class pops out among weaker ones of other classes.

Every picture is drawn by seed, split and index alone. Its class is the shape of the object that stands out by
contrast, colour and size; position, hue and turn are drawn at random, so neither place nor colour tells the class, and
the distractors, shapes of the other classes, make it worth something to know where to look. The object's own mask is
there as the map `mask`: an upper bound, never a prediction. `popout` shows that the program works; it is no evidence
for a claim about saliency. How pictures become a data set is in `data_prep.compaction`.
"""

import colorsys
import dataclasses

import numpy as np

from data_prep.sources.source import Picture, Source
from saliency_keras.data.manifest import SPLITS

# Counts up when the drawing changes, so that a set in somebody's cache folder is made again.
VERSION = 1
COUNTS = {"train": 2000, "val": 500}
SQUARE = 256  # pixels: pictures are drawn at this size, whatever framing they are stored in
SUPERSAMPLING = 4


@dataclasses.dataclass(frozen=True)
class Difficulty:
    """How hard the pictures are; ranges are drawn from uniformly.

    Attributes:
        object_radius: Radius of the object, in pixels of the 256.
        distractor_radius: Radius of a distractor.
        distractors: How many there are at most; one that finds no room is left out.
        object_contrast: How much of its own colour the object shows over the background, 0 to 1.
        distractor_contrast: The same for a distractor.
        turn: Greatest turn of a shape to either side, in degrees.
        clutter: Number of strokes in the background.
        clutter_contrast: How much of its own colour a stroke shows.
        noise: Standard deviation of the pixel noise, in grey levels.
    """

    object_radius: tuple[float, float] = (52, 66)
    distractor_radius: tuple[float, float] = (18, 28)
    distractors: int = 6
    object_contrast: tuple[float, float] = (0.85, 1.0)
    distractor_contrast: tuple[float, float] = (0.20, 0.40)
    turn: float = 15
    clutter: int = 40
    clutter_contrast: tuple[float, float] = (0.10, 0.25)
    noise: float = 6


def make(split, index, seed=0, difficulty=Difficulty()):
    """Draws one picture.

    Args:
        split: `"train"` or `"val"`.
        index: Number of the picture in its split; its label is `index % 10`.
        seed: Seed of the set.
        difficulty: How hard the pictures are.

    Returns:
        The picture, uint8 `(256, 256, 3)`; the mask of its object, float32 `(256, 256)`, 0 to 1; and its label.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, SPLITS.index(split) << 32 | index]))
    label = index % len(CLASSES)
    hue = random.uniform()
    canvas = _background(random, hue, difficulty)
    radius = random.uniform(*difficulty.object_radius)
    place = random.uniform(radius + 8, SQUARE - radius - 8, 2)
    taken = [(place, radius)]
    for _ in range(difficulty.distractors):
        _add_distractor(canvas, random, hue, label, taken, difficulty)
    mask = _shape(CLASSES[label], radius, place, _turn(random, difficulty))
    # The object's hue lies opposite the background's, give or take: whatever it is, it stands out.
    colour = _colour(random, hue + random.uniform(0.3, 0.7), saturation=(0.8, 1.0), value=(0.75, 1.0))
    _paint(canvas, mask, colour, random.uniform(*difficulty.object_contrast))
    canvas += difficulty.noise * random.standard_normal(canvas.shape, "float32")
    return np.rint(canvas.clip(0, 255)).astype("uint8"), mask, label


class PopoutSource(Source):
    """The built-in pictures as a source of `data_prep.sources`: 2,000 to train on and 500 to validate, 10 classes."""

    own_maps = ("mask",)

    def __init__(self, counts=None, seed=0, difficulty=Difficulty()):
        self.classes = CLASSES
        self.counts = dict(counts or COUNTS)
        self.seed = seed
        self.difficulty = difficulty
        self.description = {
            "kind": "popout",
            "name": "popout",
            "version": VERSION,
            "drawing_seed": seed,
            "difficulty": dataclasses.asdict(difficulty),
        }

    def pictures(self, split):
        """Names the pictures of a split; they are drawn when read."""
        labels = [index % len(self.classes) for index in range(self.counts[split])]
        return [
            Picture(f"{self.classes[label]}/{split}-{index:05d}", label, (split, index), 0)
            for index, label in enumerate(labels)
        ]

    def read(self, picture, content=None):
        """Draws one picture and its object's mask."""
        pixels, mask, _ = make(*picture.place, self.seed, self.difficulty)
        return pixels, {"mask": mask}


def _background(random, hue, difficulty):
    """Soft patches of neighbouring hues, crossed by faint strokes; float32 `(256, 256, 3)`."""
    from PIL import Image, ImageDraw

    patches = [
        _colour(random, hue + random.normal(0, 0.05), saturation=(0.1, 0.5), value=(0.35, 0.65)) for _ in range(25)
    ]
    small = Image.fromarray(np.asarray(patches, "uint8").reshape(5, 5, 3))
    image = small.resize((SQUARE, SQUARE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(difficulty.clutter):
        colour = _colour(random, hue + random.normal(0, 0.1), saturation=(0.1, 0.6), value=(0.1, 0.9))
        opacity = round(255 * random.uniform(*difficulty.clutter_contrast))
        start = random.uniform(0, SQUARE, 2)
        ends = start + random.normal(0, SQUARE / 5, 2)
        draw.line((*start, *ends), fill=(*map(int, colour), opacity), width=int(random.integers(1, 7)))
    return np.asarray(image).astype("float32")


def _add_distractor(canvas, random, hue, label, taken, difficulty):
    """Paints a shape of another class where there is room, in a hue near the background's."""
    radius = random.uniform(*difficulty.distractor_radius)
    for _ in range(20):
        place = random.uniform(radius, SQUARE - radius, 2)
        if all(np.hypot(*(place - other)) > radius + beside + 4 for other, beside in taken):
            break
    else:
        return
    taken.append((place, radius))
    others = [name for name in CLASSES if name != CLASSES[label]]
    mask = _shape(others[random.integers(len(others))], radius, place, _turn(random, difficulty))
    colour = _colour(random, hue + random.uniform(-0.15, 0.15), saturation=(0.2, 0.8), value=(0.0, 1.0))
    _paint(canvas, mask, colour, random.uniform(*difficulty.distractor_contrast))


def _turn(random, difficulty):
    return np.radians(random.uniform(-difficulty.turn, difficulty.turn))


def _colour(random, hue, saturation, value):
    """An RGB colour, 0 to 255, of a hue (any real number, its whole part is dropped) and ranges of the other two."""
    return 255 * np.asarray(colorsys.hsv_to_rgb(hue % 1, random.uniform(*saturation), random.uniform(*value)))


def _paint(canvas, mask, colour, contrast):
    """Blends a colour into the canvas where the mask is, in place."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    where = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    canvas[where] += (contrast * mask[where])[..., None] * (colour.astype("float32") - canvas[where])


def _shape(name, radius, place, turn):
    """The antialiased mask of a shape, float32 `(256, 256)`, 0 to 1."""
    from PIL import Image, ImageDraw

    half = int(np.ceil(radius)) + 2
    corner = np.floor(place).astype(int) - half
    patch = Image.new("L", (2 * half * SUPERSAMPLING,) * 2)
    draw = ImageDraw.Draw(patch)
    for outline, inside in SHAPES[name]:
        points = (_turned(outline, turn) * radius + place - corner) * SUPERSAMPLING
        draw.polygon([tuple(point) for point in points], fill=255 if inside else 0)
    mask = np.zeros((SQUARE + 2 * half,) * 2, "float32")
    left, top = corner + half
    mask[top : top + 2 * half, left : left + 2 * half] = np.asarray(patch.reduce(SUPERSAMPLING), "float32") / 255
    return mask[half:-half, half:-half]


def _turned(outline, turn):
    # Written out: the bytes of a matrix product depend on the processor.
    x, y = np.transpose(outline)
    return np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], -1)


def _arc(radius=1.0, start=0, end=360, centre=(0, 0)):
    angles = np.radians(np.linspace(start, end, 48))
    return np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], -1).tolist()


def _star():
    radii = np.where(np.arange(10) % 2, 0.42, 1.0)
    angles = np.radians(np.arange(10) * 36 - 90)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], -1).tolist()


def _heart():
    t = np.linspace(0, 2 * np.pi, 64)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x / 17, -y / 17 - 0.1], -1).tolist()


# Each shape is a list of outlines (x to the right, y down, radius 1), painted one over the other: filled or cut out.
SHAPES = {
    "arrow": [([(-1, -0.25), (0.1, -0.25), (0.1, -0.7), (1, 0), (0.1, 0.7), (0.1, 0.25), (-1, 0.25)], True)],
    "bolt": [([(0.25, -1), (-0.65, 0.2), (-0.05, 0.2), (-0.3, 1), (0.65, -0.25), (0.05, -0.25)], True)],
    "crescent": [(_arc(), True), (_arc(0.85, centre=(0.5, 0)), False)],
    "cross": [
        ([(-0.95, -0.3), (0.95, -0.3), (0.95, 0.3), (-0.95, 0.3)], True),
        ([(-0.3, -0.95), (0.3, -0.95), (0.3, 0.95), (-0.3, 0.95)], True),
    ],
    "drop": [([(0, -1), *_arc(0.6, -25, 205, (0, 0.4))], True)],
    "heart": [(_heart(), True)],
    "ring": [(_arc(), True), (_arc(0.55), False)],
    "square": [([(-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75)], True)],
    "star": [(_star(), True)],
    "triangle": [([(0, -1), (0.9, 0.65), (-0.9, 0.65)], True)],
}
CLASSES = tuple(SHAPES)
