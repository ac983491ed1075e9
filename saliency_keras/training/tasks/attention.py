"""Classifiers with local classifiers and a mask: the local loss and the object loss, and how good the mask's boxes are.

Shen and Liu, section 4.4: the sum of both losses is minimised, each with its weight (`loss_weights` of the experiment).
The accuracies of the history are those of the prediction, the mean of both levels.
"""

import keras
import numpy as np

from saliency_keras.console import tell
from saliency_keras.data.boxes import read_boxes
from saliency_keras.metrics.boxes import box_of_mask, iou, largest_component
from saliency_keras.models.attention import MASK_LAYER, local_loss
from saliency_keras.saliency.attended import mask_edges
from saliency_keras.training.tasks.classification import Classification
from saliency_keras.training.tasks.task import Term


class ClassifierAttention(Classification):
    """A classifier with the outputs of `models.attention`; a `Task`. Arguments and errors as `Classification`."""

    def __init__(self, experiment, manifest, seed, folder, augment="host", start=None):
        super().__init__(experiment, manifest, seed, folder, augment, start)
        weights, prediction = experiment.loss_weights, self.terms["logits"]
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.terms = {
            "logits": Term(None, metrics=prediction.metrics),
            "local": Term(None),
            "object": Term(cross_entropy, weights["object"]),
            "locations": Term(local_loss, weights["locations"]),
        }
        self.training, self.validation = (_with_targets(batches) for batches in (self.training, self.validation))

    def finish(self, folder):
        """As `Classification.finish`; adds how much is attended to, and how well its boxes fit those of the set.

        Boxes are compared in the picture that the network sees: parts of the true box outside of it do not count.
        """
        summary = super().finish(folder)
        reader = self._reader(*self._parts["validation"])
        found = attended_boxes(self.network.model, reader, self._experiment.arguments["cells"])
        summary["attention"] = against_true_boxes(found, reader)
        if "iou" in summary["attention"]:
            told = summary["attention"]
            tell(
                f"attended boxes against true ones: mean IoU {told['iou']:.3f} over {told['boxes']:,} pictures (the "
                f"whole picture as a box: {told['iou_whole_picture']:.3f})"
            )
        return summary


def attended_boxes(model, reader, cells):
    """The boxes around what a network attends to in each picture of a reader.

    Args:
        model: The network.
        reader: The `Reader`.
        cells: As for `saliency.attended.mask_edges`.

    Returns:
        A dictionary of lists, an entry a picture in the reader's order: `share` that is attended to; `box`, the box
        around it, and `largest_component`, that around its largest part, in pixels of the picture that the network
        sees; `whole`, whether nothing stands out.
    """
    masks = keras.Model(model.input, model.get_layer(MASK_LAYER).output)
    rows, columns = mask_edges(model, cells)

    def box(mask):
        places = box_of_mask(mask) or (0, 0, *mask.shape[::-1])
        return columns[places[0]], rows[places[1]], columns[places[2]], rows[places[3]]

    found = {name: [] for name in ("share", "box", "largest_component", "whole")}
    for inputs, _ in reader.validation():
        for mask in np.asarray(masks.predict_on_batch({"image": inputs["image"]}))[..., 0] > 0:
            found["share"].append(float(mask.mean()))
            found["box"].append(box(mask))
            found["largest_component"].append(box(largest_component(mask)))
            found["whole"].append(bool(mask.all() or not mask.any()))
    return found


def against_true_boxes(found, reader):
    """What `attended_boxes` found, in numbers: for the summary of a run.

    Args:
        found: Of `attended_boxes`.
        reader: Its `Reader`.

    Returns:
        Dictionary: `attended_share`, the mean; `whole`, the number of pictures in which nothing stands out; and where
        the set has boxes `iou` and `iou_largest_component`, the means over `boxes` pictures, and what a box around the
        whole picture would have, `iou_whole_picture`.
    """
    summary = {"attended_share": float(np.mean(found["share"])), "whole": int(sum(found["whole"]))}
    true = read_boxes(reader.manifest.folder, reader.split)
    stored, side = reader.manifest.side, reader.side
    found = {**found, "whole_picture": [(0, 0, side, side)] * len(found["box"])}
    start, scores = (stored - side) // 2, {"box": [], "largest_component": [], "whole_picture": []}
    for place, identifier in enumerate(reader.ids_and_labels()[0]):
        if identifier in true:
            box = np.clip(np.multiply(true[identifier], stored) - start, 0, side)
            for name, of_kind in scores.items():
                of_kind.append(iou(found[name][place], box))
    if scores["box"]:
        means = {name: float(np.mean(values)) for name, values in scores.items()}
        summary |= {"iou": means.pop("box"), **{f"iou_{name}": mean for name, mean in means.items()}}
        summary["boxes"] = len(scores["box"])
    return summary


def _with_targets(batches):
    """The batches of a function with the labels as the target of every output."""

    def taught(*epochs):
        return batches(*epochs).mapped(_for_each_output)

    return taught


def _for_each_output(batch):
    inputs, labels = batch
    return inputs, dict.fromkeys(("logits", "local", "object", "locations"), labels)
