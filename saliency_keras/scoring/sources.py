"""What maps are scored, by the names that a user gives: predictors, run folders, the human density, folders of maps."""

from pathlib import Path

from saliency_keras.data.map_folder import MapFolder
from saliency_keras.saliency import predictor
from saliency_keras.saliency.fixations import Fixations

FIXATIONS = "fixations"


def sources_of(names, maps, fixation_set, images=None, sigma=None, log=False):
    """Sources of maps as `scoring.fixation_scores.score_set` takes them.

    Args:
        names: Names of predictors, run folders, and `"fixations"` for the human density itself.
        maps: Places of maps, each a folder, tar, zip or HDF5 file with one map for each picture of the set, perhaps
            with a name before it: `"NAME=PLACE"`.
        fixation_set: The `FixationSet`.
        images: Names of the pictures to score; `None` for all.
        sigma: Blur of the human density in pixels, or `None` for the set's.
        log: Whether `maps` are log densities.

    Returns:
        A list of sources.

    Raises:
        UserError: If a name is of no predictor, or a folder lacks maps.
    """
    images = fixation_set.images if images is None else images
    sizes = {image: fixation_set.size(image) for image in images if len(fixation_set.points(image))}
    return [
        *(Fixations(fixation_set, sigma) if name == FIXATIONS else predictor(name) for name in names),
        *(MapFolder(place, sizes, name, log) for name, place in map(_named, maps)),
    ]


def _named(text):
    """Name, or `None`, and place of one `[NAME=]PLACE`."""
    name, equals, place = str(text).partition("=")
    return (name, place) if equals and name and not Path(text).exists() else (None, text)
