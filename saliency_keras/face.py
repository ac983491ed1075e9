"""Verbs of the Python face that no command has: a network, and the batches of a data set."""

from saliency_keras.data.manifest import Manifest
from saliency_keras.data.reader import Reader
from saliency_keras.data.shown import Shown
from saliency_keras.runs.networks import build_network


def network(name, *, classes=1000, side=None, mean=None, weights="", **arguments):
    """Builds the network of an experiment, with random weights.

    Args:
        name: Name of the experiment, or an `Experiment`.
        classes: Number of classes.
        side: Width and height of the pictures in pixels; `None` for the experiment's.
        mean: Means of red, green, blue and saliency (0 to 1) to subtract after scaling, or `None` for none.
        weights: Of the backbone of a network that predicts saliency: `"imagenet"`, a file, or `""` for random ones.
        **arguments: The network's own arguments, where they differ from the experiment's.

    Returns:
        A `keras.Model` from uint8 pixels, `{"image": (batch, side, side, 3), "saliency": (batch, side, side, 1)}`, to
        float32 logits `(batch, classes)`; of a network that predicts saliency, from pixels to a map.

    Raises:
        UserError: If there is no such experiment or argument, or an argument has a value that it cannot have.
    """
    return build_network(name, classes, side, mean, weights, **arguments).model


def read(folder, split="train", *, side=None, batch=32, maps="own", seed=0, subset=None):
    """Opens a split of a compact data set.

    Args:
        folder: Its folder.
        split: `"train"` or `"val"`.
        side: Width and height of the crops in pixels; `None` for whole pictures as they are stored.
        batch: Pictures in a batch.
        maps: Which maps to show: `"own"`, `"shuffled"`, a further map's name and so on, or `None` for none.
        seed: Seed of order, crops, flips and swaps.
        subset: Places in the split of the only pictures to read, or `None` for all.

    Returns:
        A `Reader`. `reader[0]` is its first batch in the order on disk, cropped at the centre; `reader.training(1, 3)`
        are those of three epochs. A batch is `{"image": uint8 (batch, side, side, 3), "saliency": uint8 (batch, side,
        side, 1)}` and int64 labels `(batch,)`.

    Raises:
        UserError: If it is no compact data set, or the side or a map does not fit.
    """
    manifest = Manifest.load(folder)
    return Reader(manifest, split, side or manifest.side, batch, maps and Shown.parse(maps), seed, subset=subset)
