"""Attention from classifier activations: local classifiers, a mask from what they say, and an object-level classifier.

Shen and Liu, *Generating Attention from Classifier Activations for Fine-grained Recognition*, section 4. On a
backbone's last features f(X), n linear classifiers over the L classes and the background look at every location (1x1
convolutions). The greatest of their n activations is kept at each location and class (Eq. 1). The attention M is the
greatest value of any class but the background; Otsu's threshold makes it the binary mask M_b. The object-level
classifier sees the greatest value of each masked feature. No gradient goes through the mask: it is a label of the local
classifiers and a mask of the features.

    layer                                448 px, ResNet50, CUB-200
    features, ReLU                       14x14x2048
    local_classifiers  n (L + 1), 1x1    14x14x3216      16 x 201
    maximum over classifiers             14x14x201
    softmax over L + 1                   14x14x201
    saliency_map, `attention_mask`       14x14x1
    attended_features, maximum           2048
    object_classifier  L                 200

Outputs, all float32: `logits` `(L,)`, the logarithm of the predicted probabilities, which are the mean of both levels
(section 4.4.3); `local` `(L,)`, the logarithm of those of the local level; `object` `(L,)`, logits of the object level;
`locations` `(h, w, L + 2)`, the logarithm of the probabilities at each location and, last, the mask: what `local_loss`
takes.
"""

import math

import keras
from keras import layers, ops

from saliency_keras.models import dual_path
from saliency_keras.models.backbones import BACKBONES, check_weights, classifier_features, of_one_width
from saliency_keras.models.network import MAP_LAYER, Network

BINS = 256  # of the histogram that Otsu's threshold is found in
TINY = 1e-30
MASK_LAYER = "attention_mask"
CLASSIFIERS = ("local_classifiers", "object_classifier")
OURS = "alexnet"  # the thesis's convolutions, for the built-in pictures
CHOICES = {
    "aggregate": ("logits", "probs"),
    "attention_from": ("probs", "logits"),
    "mask": ("otsu", "none"),
    "local_prediction": ("mean_of_probs", "mean_of_logits"),
    "levels": ("both", "local", "object"),
    "box": ("all", "largest_component"),
    "cells": ("even", "receptive_fields"),
}


def classifier_attention(
    image,
    saliency,
    classes,
    layer,
    backbone="ResNet50",
    classifiers=16,
    aggregate="logits",
    attention_from="probs",
    mask="otsu",
    local_prediction="mean_of_probs",
    levels="both",
    box="all",
    cells="even",
    margin=0.0,
):
    """The network of one scale. FACTS of the paper that it leaves open are arguments, the reading we chose first.

    Args:
        image: Tensor `(side, side, 3)`, 0 to 1.
        saliency: Not used.
        classes: L, the number of classes without the background.
        layer: The `Layers` of the backbone `"alexnet"`.
        backbone: A network of `models.backbones.BACKBONES`, or `"alexnet"` for the thesis's convolutions.
        classifiers: n, the number of local classifiers.
        aggregate: What the maximum over classifiers is taken of, `"logits"` or `"probs"`.
        attention_from: What the attention is the maximum of, `"probs"` or the aggregated `"logits"`; where a map of
            logits is shown, negative ones count as 0.
        mask: `"otsu"`, or `"none"` for ones everywhere.
        local_prediction: `"mean_of_probs"`, the spatial mean of the probabilities without the background, scaled to sum
            to 1, or `"mean_of_logits"`, the softmax of the spatial mean of the logits.
        levels: Which levels are averaged to the prediction: `"both"`, `"local"` or `"object"`.
        box: Which part of the mask the second look's box is drawn around, `"all"` or its `"largest_component"`.
        cells: Which part of the picture a location stands for there: `"even"` shares of it, or those around the centres
            of its `"receptive_fields"`.
        margin: Share of the box's width and height that is added to it on each side.

    Returns:
        The outputs by name.

    Raises:
        ValueError: If an argument has a value that it cannot have.
    """
    given = {
        "aggregate": aggregate, "attention_from": attention_from, "mask": mask, "local_prediction": local_prediction,
        "levels": levels, "box": box, "cells": cells,
    }  # fmt: skip
    for name, value in given.items():
        if value not in CHOICES[name]:
            raise ValueError(f"{name} is {' or '.join(CHOICES[name])}. Received: {value}")
    if classifiers < 1 or not 0 <= margin < 1:
        raise ValueError(
            f"classifiers must be 1 or more, margin at least 0 and below 1. Received: {classifiers}, {margin}"
        )
    features = backbone_features(image, backbone, layer)  # (h, w, c)
    activations = _activations(features, classifiers, classes + 1, aggregate == "probs")  # (h, w, L + 1)
    if aggregate == "logits":
        probs, logarithms = ops.softmax(activations, axis=-1), ops.log_softmax(activations, axis=-1)
    else:
        probs, logarithms = activations, ops.log(ops.maximum(activations, TINY))
    attention = ops.max((probs if attention_from == "probs" else activations)[..., :classes], axis=-1, keepdims=True)
    attention = layers.Activation("linear", dtype="float32", name=MAP_LAYER)(attention)  # (h, w, 1)
    seen = otsu_mask(attention) if mask == "otsu" else ops.ones_like(attention)
    seen = layers.Activation("linear", dtype="float32", name=MASK_LAYER)(seen)  # (h, w, 1)
    attended = layers.Multiply(name="attended_features")([features, seen])
    logits = _object_classifier(attended, classes)
    if local_prediction == "mean_of_probs":
        local = ops.mean(probs[..., :classes], axis=(1, 2))
        local = local / ops.maximum(ops.sum(local, axis=-1, keepdims=True), TINY)
    else:
        local = ops.softmax(ops.mean(activations[..., :classes], axis=(1, 2)), axis=-1)
    of_level = {"local": local, "object": ops.softmax(logits, axis=-1)}
    prediction = (of_level["local"] + of_level["object"]) / 2.0 if levels == "both" else of_level[levels]
    return {
        "logits": ops.log(ops.maximum(prediction, TINY)),
        "local": ops.log(ops.maximum(local, TINY)),
        "object": logits,
        "locations": ops.concatenate([logarithms, seen], axis=-1),
    }


def max_pooled(image, saliency, classes, layer, backbone="ResNet50"):
    """The baseline of section 5.3: a classifier on the spatial maximum of a backbone's last features. Logits.

    Args:
        image: As for `classifier_attention`, and so are the others.
        saliency: Not used.
        classes: Number of classes.
        layer: The `Layers` of the backbone `"alexnet"`.
        backbone: Whose features.

    Returns:
        Logits.

    Raises:
        ValueError: If there is no such backbone.
    """
    return _object_classifier(backbone_features(image, backbone, layer), classes)


def otsu_mask(maps):
    """Where maps are above Otsu's threshold, each map by its own: the binary attention M_b (section 4.3).

    Otsu 1979 as scikit-image has it: a histogram of 256 bins between the map's minimum and maximum, the threshold at
    the centre of the bin after which the variance between both sides is greatest, the first of several. A map that is
    the same everywhere has no threshold; its mask is ones, so that the object-level classifier still sees features.

    Args:
        maps: Float tensor or array `(pictures, h, w, 1)`.

    Returns:
        float32 tensor `(pictures, h, w, 1)` of zeros and ones, without a gradient.
    """
    height, width = maps.shape[1:3]
    flat = ops.reshape(ops.stop_gradient(ops.cast(maps, "float32")), (-1, height * width))
    low, span = ops.min(flat, axis=1, keepdims=True), ops.max(flat, axis=1, keepdims=True)
    span = span - low
    varies = ops.greater(span, 0.0)
    place = (flat - low) / ops.where(varies, span, 1.0) * float(BINS)  # 0 to 256
    bins = ops.cast(ops.clip(ops.floor(place), 0, BINS - 1), "int32")
    counts = ops.sum(ops.one_hot(bins, BINS), axis=1)  # (B, 256)
    centres = ops.cumsum(ops.ones_like(counts), axis=1) - 0.5
    sums = counts * centres
    below, above = ops.cumsum(counts, axis=1), _from_the_end(counts)
    mean_below, mean_above = ops.cumsum(sums, axis=1) / below, _from_the_end(sums) / above
    between = below[:, :-1] * above[:, 1:] * ops.square(mean_below[:, :-1] - mean_above[:, 1:])
    threshold = ops.cast(ops.argmax(between, axis=1, keepdims=True), "float32") + 0.5
    mask = ops.where(varies, ops.cast(ops.greater(place, threshold), "float32"), 1.0)
    return ops.stop_gradient(ops.reshape(mask, (-1, height, width, 1)))


def local_loss(labels, locations):
    """The loss of the local classifiers, Eq. 2: the background is weighted by the attended share of the picture.

    `((1 - w) l_1 + w l_0) / (W H)`: l_1 is the sum of -log p_t over the mask, l_0 that of -log p_background outside it,
    w the share of the mask. It is w (1 - w) times the sum of both mean losses, and 0 for a mask of zeros or of ones.

    Args:
        labels: Integer tensor `(pictures,)`.
        locations: Tensor `(pictures, h, w, L + 2)`, the network's output of that name.

    Returns:
        float32 tensor `(pictures,)`, nats.
    """
    locations = ops.cast(locations, "float32")
    logarithms, mask = locations[..., :-1], ops.stop_gradient(locations[..., -1])
    entries = logarithms.shape[-1]
    chosen = ops.one_hot(ops.cast(ops.reshape(labels, (-1, 1, 1)), "int32"), entries)  # (B, 1, 1, L + 1)
    attended = ops.mean(mask * -ops.sum(logarithms * chosen, axis=-1), axis=(1, 2))
    background = ops.mean((1.0 - mask) * -logarithms[..., -1], axis=(1, 2))
    share = ops.mean(mask, axis=(1, 2))
    return (1.0 - share) * attended + share * background


def parts_by_stride(model):
    """The parts of such a network: `top`, both classifiers, and the backbone by the stride of its layers.

    `stride2` to `stride32` of a ResNet are its conv1 to its conv5, so that `frozen=stride2,stride4,stride8` keeps the
    lower stages as they are, whichever backbone it is.

    Args:
        model: The built Keras model.

    Returns:
        `{part: names of layers}`.
    """
    parts, stride, height = {}, 1, model.inputs[0].shape[1]
    for layer in model.layers:
        if not layer.weights:
            continue
        shape = layer.output.shape
        if len(shape) == 4 and 1 < shape[1] < height:
            # Step by step, for unpadded layers lose more than their strides.
            stride *= 2 ** round(math.log2(height / shape[1]))
            height = shape[1]
        name = "top" if layer.name in CLASSIFIERS else f"stride{stride}"
        parts.setdefault(name, []).append(layer.name)
    return {name: tuple(names) for name, names in parts.items()}


def pretrained_backbone(backbone, weights):
    """A backbone with weights, to take them from part by part.

    Args:
        backbone: A network of `models.backbones.BACKBONES`.
        weights: `"imagenet"`, or the path of a weights file of the whole classifier.

    Returns:
        The `Network`; its one part, `backbone`, has all its layers.

    Raises:
        UserError: If the weights cannot be had.
    """
    check_weights(backbone, weights)
    model = classifier_features(backbone, weights)
    return Network(model, {"backbone": tuple(one.name for one in model.layers if one.weights)})


def backbone_features(image, backbone, layer):
    """The last features of a backbone, built upon a tensor with random weights.

    Args:
        image: Tensor `(side, side, 3)`, 0 to 1.
        backbone: A network of `models.backbones.BACKBONES`, or `"alexnet"` for the thesis's convolutions.
        layer: The `Layers` of the backbone `"alexnet"`.

    Returns:
        Tensor `(h, w, c)`.

    Raises:
        ValueError: If there is no such backbone, or a network of Keras is to be narrower than it is.
    """
    if backbone == OURS:
        return layer.blocks345(layer.block2(layer.block1(image)))
    if backbone not in BACKBONES:
        raise ValueError(f"backbone is {OURS} or one of {', '.join(BACKBONES)}. Received: {backbone}")
    if layer.width_multiplier != 1.0:
        raise of_one_width(backbone)
    x = BACKBONES[backbone](layers.Rescaling(255.0, name="pixels")(image))
    # Built upon our own tensor, so that all its layers are layers of ours, with sizes, names and parts.
    build = dual_path.DPN92 if backbone == "DPN92" else getattr(keras.applications, backbone)
    return build(include_top=False, weights=None, input_tensor=x).output


def _activations(features, classifiers, entries, normalise):
    """The aggregated activations A, Eq. 1: `(h, w, c) -> (h, w, L + 1)`."""
    height, width = features.shape[1:3]
    x = layers.Conv2D(classifiers * entries, 1, dtype="float32", name=CLASSIFIERS[0])(features)
    x = layers.Reshape((height, width, classifiers, entries), dtype="float32", name="by_classifier")(x)
    return ops.max(ops.softmax(x, axis=-1) if normalise else x, axis=3)


def _object_classifier(features, classes):
    x = layers.GlobalMaxPooling2D(name="pooled")(features)
    return layers.Dense(classes, dtype="float32", name=CLASSIFIERS[1])(x)


def _from_the_end(values):
    """Sums from each column to the last one."""
    return ops.flip(ops.cumsum(ops.flip(values, axis=1), axis=1), axis=1)
