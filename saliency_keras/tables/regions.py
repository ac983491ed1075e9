"""SalClassNet, Table 7: the regions of pictures that activate chosen feature maps of the joined network most.

Depths are the ends of the stages of the trunk, where the size of its features halves. At each, the feature maps are
chosen whose strongest pictures stand out most from all others. A region is a square around the place of the greatest
activation, as large as sixteen positions of that depth.
"""

import dataclasses

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.figures.document import Table
from saliency_keras.runs.run import network_in
from saliency_keras.tables.class_accuracy import Staged
from saliency_keras.tables.results import write_files

BATCH = 16
FEATURES = 3  # feature maps of each depth
SHOWN = 6  # regions of each feature map
POSITIONS = 4  # of a region, along each side
MOST = 2000  # pictures, the first of the split, which is shuffled


@dataclasses.dataclass(frozen=True)
class Regions(Staged):
    """What the feature maps of the joined network respond to."""

    def write(self, results, folder):
        """As `TableKind.write`."""
        from saliency_keras.data.reader import Reader
        from saliency_keras.figures.regions import regions_figure

        name = results.table.rows[-1].experiment
        made = [run for run in results.planned if run.experiment.name == name and run.finished and run.seed == 0]
        if not made:
            raise UserError(f"the table is about the features of {name}, whose run is missing.")
        joined = made[0]
        network, side = network_in(joined.folder), joined.experiment.pictures.side
        manifest = Manifest.load(results.data)
        some = np.arange(min(MOST, manifest.split("val").records))
        reader = Reader(manifest, "val", side, BATCH, None, subset=some)
        ids, labels = reader.ids_and_labels()
        header = ["layer", "feature map", "classes of its strongest pictures", "activation"]
        rows, csv_rows, shown = [], [], []
        for found in strongest(network, reader):
            classes = [reader.classes[labels[place]] for place in found.pictures]
            rows.append([found.layer, found.feature, ", ".join(classes), f"{found.activations[0]:.3g}"])
            shown.append((f"{found.layer}, {found.feature}", found.crops))
            for rank, place in enumerate(found.pictures):
                where = [*found.places[rank], float(found.activations[rank])]
                csv_rows.append([found.layer, found.feature, rank + 1, ids[place], classes[rank], *where])
        numbers = ["layer", "feature_map", "rank", "picture", "class", "row", "column", "activation"], csv_rows
        notes = [*results.head(), f"{len(ids)} validation pictures; seed 0."]
        figures = {"regions.png": regions_figure(shown)}
        return write_files(folder, results.table, notes, [Table(header, rows, keys=2)], numbers, figures)


@dataclasses.dataclass(frozen=True, eq=False)
class Feature:
    """A feature map and what activates it most.

    Attributes:
        layer: Name of its layer.
        feature: Its number.
        pictures: Places of the pictures in the reader, the strongest first.
        activations: The greatest activation of each.
        places: Row and column of each, in pixels.
        crops: uint8 arrays, the region of each.
    """

    layer: str
    feature: int
    pictures: np.ndarray
    activations: np.ndarray
    places: list
    crops: list


def strongest(network, reader):
    """The regions that activate chosen feature maps most.

    Args:
        network: The `Network`, from pictures alone.
        reader: A `Reader` without maps.

    Returns:
        A list of `Feature`s, from the first depth to the last.
    """
    import keras

    from saliency_keras.models.receptive_fields import receptive_centres

    names = stage_ends(network.model)
    model = keras.Model(network.model.input, [network.model.get_layer(name).output for name in names])
    greatest, positions, pictures = [[] for _ in names], [[] for _ in names], []
    for inputs, _ in reader.validation():
        pictures.append(inputs["image"])
        outputs = model.predict_on_batch(inputs)
        for place, features in enumerate(outputs if isinstance(outputs, list) else [outputs]):
            flat = np.asarray(features, "float32").reshape(len(features), -1, features.shape[-1])
            positions[place].append(flat.argmax(axis=1))
            greatest[place].append(flat.max(axis=1))
    pictures, found = np.concatenate(pictures), []
    for name, most, where in zip(names, map(np.concatenate, greatest), map(np.concatenate, positions), strict=True):
        centres, width = receptive_centres(network.model, name), network.model.get_layer(name).output.shape[2]
        step = pictures.shape[1] / width
        for feature in _standing_out(most):
            order = np.argsort(-most[:, feature], kind="stable")[:SHOWN]
            rows, columns = np.divmod(where[order, feature], width)
            places = [
                (round(float(centres[0][row])), round(float(centres[1][column])))
                for row, column in zip(rows, columns, strict=True)
            ]
            crops = [region(pictures[one], place, step * POSITIONS) for one, place in zip(order, places, strict=True)]
            found.append(Feature(name, int(feature), order, most[order, feature], places, crops))
    return found


def stage_ends(model):
    """Names of the last layers of a trunk before the size of its features becomes smaller; the last features too."""
    import keras

    from saliency_keras.models.network import BRANCH

    ends = {}
    for layer in model.layers:
        shape = layer.output.shape
        inner = len(shape) == 4 and shape[-1] > 4 and not layer.name.endswith(BRANCH)
        if inner and not isinstance(layer, keras.layers.ZeroPadding2D | keras.layers.MaxPooling2D) and shape[1] > 1:
            ends[shape[1]] = layer.name
    return [ends[size] for size in sorted(ends, reverse=True)]


def region(picture, place, size):
    """A square of the picture around a place, moved so that it lies inside."""
    size = min(max(8, round(size)), *picture.shape[:2])
    top, left = (
        min(max(0, at - size // 2), length - size) for at, length in zip(place, picture.shape[:2], strict=True)
    )
    return picture[top : top + size, left : left + size]


def _standing_out(most):
    """The feature maps whose strongest pictures lie most standard deviations above the mean picture."""
    mean, deviation = most.mean(axis=0), most.std(axis=0)
    top = np.sort(most, axis=0)[-SHOWN:].mean(axis=0)
    score = np.where(deviation > 1e-6, (top - mean) / np.maximum(deviation, 1e-6), -1.0)
    return np.argsort(-score, kind="stable")[:FEATURES]
