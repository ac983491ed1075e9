"""What maps are scored, by the names that a user gives: predictors, run folders, the human density, folders of maps."""

from saliency_keras.data.map_folder import MapFolder
from saliency_keras.saliency import predictor
from saliency_keras.saliency.fixations import Fixations

FIXATIONS = "fixations"


def sources_of(names, folders, fixation_set, images=None, sigma=None):
    """Sources of maps as `scoring.fixation_scores.score_set` takes them.

    Args:
        names: Names of predictors, run folders, and `"fixations"` for the human density itself.
        folders: Folders of maps, one grey picture for each picture of the set.
        fixation_set: The `FixationSet`.
        images: Names of the pictures to score; `None` for all.
        sigma: Blur of the human density in pixels, or `None` for the set's.

    Returns:
        A list of sources.

    Raises:
        UserError: If a name is of no predictor, or a folder lacks maps.
    """
    images = fixation_set.images if images is None else images
    sizes = {image: fixation_set.size(image) for image in images if len(fixation_set.points(image))}
    return [
        *(Fixations(fixation_set, sigma) if name == FIXATIONS else predictor(name) for name in names),
        *(MapFolder(folder, sizes) for folder in folders),
    ]
