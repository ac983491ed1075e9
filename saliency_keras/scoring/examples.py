"""Where models expect people to look, beside where they did: pictures in columns, models in rows.

The arrangement is that of Fig. 2 of the hallucination paper: the picture in the first row, the density of human
fixations in the second, one model in each further row. Every map is stretched from its own minimum to its own maximum,
so maps compare by where they are bright, not by how bright. `scores_table` tells the scores of all pictures.
"""

import itertools

import numpy as np

from saliency_keras.data.pictures import UnreadablePicture
from saliency_keras.figures import style
from saliency_keras.figures.document import Document, Table
from saliency_keras.figures.table import plus_minus
from saliency_keras.metrics.fixation_metrics import METRICS
from saliency_keras.scoring.fixation_scores import HUMAN, human_density, make_maps

COLUMNS = 6  # example pictures
LETTERS = 26  # of a text above a picture
LETTER = 0.55  # width of one, of its height: a row's name is not longer than the row is high


def map_figure(pictures, human, models, captions=None, scores=None):
    """Pictures, human densities and models' maps in one grid.

    Args:
        pictures: uint8 arrays `(height, width, 3)`, RGB, one a column; sizes may differ.
        human: Arrays `(height, width)`, the density of human fixations of each picture.
        models: From a model's name to its maps, arrays `(height, width)`, one a picture.
        captions: One text a picture, its name for example; `None` for none.
        scores: From a model's name to one text a picture, written above its map; `None` for none.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there are no pictures, or a row has not one map for each.
    """
    captions = [""] * len(pictures) if captions is None else captions
    rows = {"picture": pictures, "humans": human, **models}
    above = {"picture": captions, **(scores or {})}
    odd = [name for name, row in [*rows.items(), *above.items()] if len(row) != len(pictures)]
    if not len(pictures) or odd:
        raise ValueError(f"a row has one entry for each picture. Received: {len(pictures)} pictures, other in {odd}")
    height = 1.7 * np.mean([picture.shape[0] / picture.shape[1] for picture in pictures])
    size = min(9, 72 * height / (LETTER * max(len(style.one_line(name)) for name in rows)))  # points
    with style.look():
        figure = style.new_figure(1.7 * len(pictures) + 0.4, height * len(rows) + 0.18 * len(above) + 0.1)
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
        grid = figure.subplots(len(rows), len(pictures), squeeze=False)
        for axes, (name, row) in zip(grid, rows.items(), strict=True):
            for ax, image in zip(axes, row, strict=True):
                # Grey, for maps are quantities; constant ones are shown dark rather than as noise.
                ax.imshow(image, cmap="gray", interpolation="nearest" if name == "picture" else "bilinear")
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
                ax.spines[:].set_visible(False)
            axes[0].set_ylabel(style.one_line(name), fontsize=size)
            for ax, text in zip(axes, above.get(name, ()), strict=name in above):
                ax.set_title(style.shortened(text, LETTERS), fontsize=7, fontweight="normal", loc="center", pad=2)
    return figure


class Scored(Document):
    """Scores on a fixation set: in print and in a notebook a table under its caption.

    Attributes:
        fixation_set: The `FixationSet`.
        sources: What made the maps.
        scores: The `scoring.fixation_scores.Scores`.
        metrics: Names of the metrics, in the order of the scores' columns.
    """

    metrics = tuple(METRICS)

    def __init__(self, fixation_set, sources, scores):
        super().__init__(scores_table(scores))
        self.fixation_set, self.sources, self.scores = fixation_set, sources, scores

    def figure(self):
        """The first pictures with the maps of all sources: `examples_figure`."""
        scores = self.scores
        return examples_figure(self.fixation_set, self.sources, scores.protocol, scores.images, scores)


def scores_table(scores):
    """The means of all predictors and their standard errors as a table under its caption.

    Args:
        scores: `scoring.fixation_scores.Scores`.

    Returns:
        A `figures.document.Document`; what people themselves reach is the last row.
    """
    names = sorted(scores.rows, key=lambda name: name == HUMAN)
    lines = [[name, *map(plus_minus, scores.mean(name), scores.standard_error(name))] for name in names]
    return Document([scores.caption(), Table(["predictor", *METRICS], lines)])


def examples_figure(fixation_set, sources, protocol, images, scores=None):
    """`map_figure` of the first pictures of a fixation set that have fixations.

    Args:
        fixation_set: `data.fixation_set.FixationSet`.
        sources: Predictors, as `scoring.fixation_scores.score_set` takes them.
        protocol: `scoring.fixation_scores.Protocol`.
        images: Names of pictures.
        scores: `scoring.fixation_scores.Scores` of these sources, whose NSS is written above each map; `None` for none.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    shown = list(itertools.islice(_with_fixations(fixation_set, images), COLUMNS))
    maps = [make_maps(fixation_set, sources, [image]) for image in shown]

    def written(name):
        column = list(METRICS).index("NSS")
        return [f"NSS {scores.rows[name][scores.images.index(image), column]:.2f}" for image in shown]

    return map_figure(
        [fixation_set.read(image) for image in shown],
        [human_density(fixation_set, image, protocol).values for image in shown],
        {source.name: [of_one[source.name][0] for of_one in maps] for source in sources},
        shown,
        scores and {source.name: written(source.name) for source in sources},
    )


def _with_fixations(fixation_set, images):
    """Names of the pictures that have fixations and can be read."""
    for image in images:
        if len(fixation_set.points(image)):
            try:
                fixation_set.read(image)
            except UnreadablePicture:
                continue
            yield image
