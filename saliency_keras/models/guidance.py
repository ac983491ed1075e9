"""Networks that a map teaches where to look: their maps are pulled towards it by a loss, and no map is shown to them.

    method       the map that is guided                                         after
    cam          features of a stage, weighted by the mean gradient of the      CYBORG (Boyd et al. 2021); with global
                 true class's logit: the class activation map                   pooling it is Zhou et al. 2016's map
    gradient     squared gradient of the summed log-probabilities at the        Right for the right reasons (Ross et
                 picture, summed over colours                                   al. 2017, Eq. 1)
    activation   sum of squared features over the channels of each stage        attention transfer (Zagoruyko and
                                                                                Komodakis 2017, F_sum^2)
    branch       the map of an attention branch, which multiplies features      attention branch network (Fukui et al.
                 a as a (1 + map)                                               2019), its map taught (Mitsuhara et
                                                                                al. 2019)

`classifier` is the network of all four. `Explained` computes the maps of `cam` and `gradient`, gradients that can be
differentiated again, from one run of the network forward and one back.
"""

import keras
from keras import layers, ops

from saliency_keras.models.alexnet import pool
from saliency_keras.models.attention import OURS, backbone_features
from saliency_keras.models.frozen import in_two
from saliency_keras.models.grad_cam import outputs_and_gradient
from saliency_keras.models.losses import transfer
from saliency_keras.models.network import BRANCH, MAP_LAYER
from saliency_keras.models.receptive_fields import receptive_centres
from saliency_keras.models.resized import resized

METHODS = ("cam", "gradient", "activation", "branch")
PICTURE = "image_scaled"  # the layer at whose output the gradient at the picture is taken
LABEL = "label"
LOGITS, MAP = "logits", "map"


def classifier(image, saliency, classes, layer, backbone=OURS, attention_branch=False):
    """AlexNet, or a backbone with global average pooling and one dense layer; perhaps with an attention branch.

    The branch is a 3x3 convolution with a quarter of the features' channels, a ReLU, a 1x1 convolution to one channel
    and a sigmoid. Fukui et al. 2019 also let it classify by a map for each class, which is left out here.

    Args:
        image: Tensor `(side, side, 3)`, 0 to 1.
        saliency: Not used.
        classes: Number of classes.
        layer: The `Layers` of AlexNet.
        backbone: `"alexnet"`, or a name in `models.backbones.BACKBONES`.
        attention_branch: Whether there is one.

    Returns:
        Logits `(classes,)`; with an attention branch a dictionary of `logits` and `map` `(h, w, 1)`, 0 to 1, at the
        size of the last features.

    Raises:
        ValueError: If there is no such backbone.
    """
    x = backbone_features(image, backbone, layer)  # (h, w, c)
    found = None
    if attention_branch:
        found = attention_map(x)
        x = layers.Multiply(name="attended")([x, layers.Rescaling(1.0, 1.0, name="skip")(found)])
    if backbone == OURS:
        logits = layer.classifier(pool(x, "pool5"), classes)
    else:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        logits = layers.Dense(classes, name="predictions", dtype="float32")(x)
    if found is None:
        return logits
    return {LOGITS: logits, MAP: layers.Activation("linear", dtype="float32", name="map")(found)}


def attention_map(features):
    """The attention branch: features `(h, w, c)` to a map `(h, w, 1)`, 0 to 1, output of the layer `saliency_map`."""
    channels = max(1, features.shape[-1] // 4)
    x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"attention{BRANCH}")(features)
    x = layers.Conv2D(1, 1, name=f"score{BRANCH}")(x)
    return layers.Activation("sigmoid", name=MAP_LAYER)(x)


class Explained(layers.Layer):
    """The rest of a classifier beside the map of its choice, for training.

    From `{"features", "label"}` to `{"logits", "map"}`.

    Args:
        head: A `keras.Model` from the features of a stage to logits.
        method: `"cam"` or `"gradient"`.
    """

    def __init__(self, head, method):
        super().__init__(name="explained")
        self.head, self.method = head, method

    def call(self, inputs, training=None):
        """float32 logits `(batch, classes)` and map `(batch, h, w, 1)`; that of `cam` may be negative."""
        features = inputs["features"]

        def head(features):
            return self.head(features, training=training)

        score = self._summed if self.method == "gradient" else lambda logits: self._chosen(logits, inputs[LABEL])
        logits, gradient = outputs_and_gradient(head, features, score, self.head.variables)
        gradient, features = ops.cast(gradient, "float32"), ops.cast(features, "float32")
        if self.method == "gradient":
            found = ops.sum(ops.square(gradient), axis=-1, keepdims=True)
        else:
            weights = ops.mean(gradient, axis=(1, 2), keepdims=True)
            found = ops.sum(weights * features, axis=-1, keepdims=True)
        return {LOGITS: logits, MAP: found}

    @staticmethod
    def _summed(logits):
        return ops.sum(ops.log_softmax(ops.cast(logits, "float32"), axis=-1))

    @staticmethod
    def _chosen(logits, labels):
        return ops.sum(ops.cast(logits, "float32") * ops.one_hot(ops.cast(labels, "int32"), logits.shape[-1]))

    def compute_output_spec(self, inputs, training=None):
        """Shapes and types of `call`'s outputs."""
        height, width = self.head.inputs[0].shape[1:3]
        shapes = {LOGITS: (None, self.head.output.shape[-1]), MAP: (None, height, width, 1)}
        return {name: keras.KerasTensor(shape, dtype="float32") for name, shape in shapes.items()}

    def get_config(self):
        """The layers and the method: what makes a copy with weights of its own, as for several devices."""
        return {"head": keras.saving.serialize_keras_object(self.head), "method": self.method}

    @classmethod
    def from_config(cls, config):
        """A copy from `get_config`, with random weights."""
        return cls(keras.saving.deserialize_keras_object(config["head"]), config["method"])


def guided(network, method, stages=(), teacher=None, teacher_stages=(), frozen=()):
    """A network with the maps that are to be taught beside its logits, for training; it shares the network's weights.

    Args:
        network: The `models.network.Network`.
        method: One of `METHODS`.
        stages: Names of layers: of `cam` one, of `activation` one or more; empty for the last features. `gradient` and
            `branch` take none.
        teacher: Of `activation`, a `keras.Model` that sees the picture alone and whose activations teach in place of
            maps; it is frozen. `None` for none.
        teacher_stages: Names of its layers, one for each of `stages`; empty for its last features.
        frozen: Names of layers whose features are kept: what they make of a picture is a model of its own.

    Returns:
        Two `keras.Model`s as those of `models.frozen.in_two`, and a dictionary. The second model has the outputs
        `logits` and `map`, or `map1`, `map2`, … of several stages. The dictionary has the rows and columns of the
        picture at which the positions of each map lie. With a teacher, a map has a second channel, the teacher's in
        the size of the first (`taught` is the loss), and needs no map of a set.

    Raises:
        ValueError: If the network has no such layer, or the layer no positions, part of what it sees passes by, or the
            method takes no stages.
    """
    model = network.classifier
    if method not in METHODS:
        raise ValueError(f"the method is one of {', '.join(METHODS)}. Received: {method}")
    if teacher is not None and method != "activation":
        raise ValueError(f"a network teaches activations, not {method}: leave teacher out")
    if stages and method in ("gradient", "branch"):
        raise ValueError(f"{method} has no stage to choose: leave stages out")
    if method == "branch":
        if network.map is None:
            raise ValueError("there is no attention branch to guide: --set attention_branch=true")
        return *in_two(network.model, frozen), {MAP: receptive_centres(model, MAP_LAYER)}
    stages = (PICTURE,) if method == "gradient" else tuple(stages) or (_last_features(model),)
    _check(model, stages)
    centres = [receptive_centres(model, stage) for stage in stages]
    if method == "activation":
        names = [MAP] if len(stages) == 1 else [f"{MAP}{number}" for number in range(1, len(stages) + 1)]
        maps = [_activity(model.get_layer(stage).output) for stage in stages]
        if teacher is not None:
            taught_by = _activities(teacher, teacher_stages, model.input["image"], [one.shape[1:3] for one in maps])
            maps = [ops.concatenate(pair, axis=-1) for pair in zip(maps, taught_by, strict=True)]
        maps = {
            name: layers.Activation("linear", dtype="float32", name=name)(one)
            for name, one in zip(names, maps, strict=True)
        }
        whole = keras.Model(model.input, {LOGITS: model.output, **maps})
        return *in_two(whole, frozen), dict(zip(names, centres, strict=True))
    if len(stages) > 1:
        raise ValueError(f"{method} is of one stage. Received: {', '.join(stages)}")
    at = model.get_layer(stages[0]).output
    try:
        head = keras.Model(at, model.output)
    except ValueError:
        told = f"part of what the classifier sees passes the layer {stages[0]} by; choose a later one"
        raise ValueError(told) from None
    front, rest = in_two(keras.Model(model.input, at), frozen)
    label = keras.Input((), dtype="int32", name=LABEL)
    outputs = Explained(head, method)({"features": rest.output, LABEL: label})
    return front, keras.Model({**rest.input, LABEL: label}, outputs), {MAP: centres[0]}


def _activity(features):
    return ops.sum(ops.square(ops.cast(features, "float32")), axis=-1, keepdims=True)


def _activities(teacher, stages, image, sizes):
    """The activities of a frozen network that sees the same picture, each in the size of the map that it teaches."""
    inputs = teacher.input if isinstance(teacher.input, dict) else {"image": teacher.input}
    if list(inputs) != ["image"]:
        raise ValueError(f"the teacher sees {', '.join(inputs)}, and there is the picture alone")
    stages = tuple(stages) or (_last_features(teacher),) * len(sizes)
    if len(stages) != len(sizes):
        raise ValueError(f"teacher_stages has {len(stages)} layers for {len(sizes)} stages")
    _check(teacher, stages, "teacher_stages")
    part = keras.Model(teacher.input, [teacher.get_layer(stage).output for stage in stages], name="teacher")
    part.trainable = False
    seen = inputs["image"]
    pixels = image
    if image.shape[1:3] != seen.shape[1:3]:
        pixels = resized(image, *seen.shape[1:3], "teacher_sees")
    pixels = ops.cast(ops.round(ops.cast(pixels, "float32")), seen.dtype)
    features = part({"image": pixels} if isinstance(teacher.input, dict) else pixels)
    features = features if isinstance(features, list) else [features]
    return [
        ops.image.resize(_activity(one), size, interpolation="bilinear", antialias=True)
        for one, size in zip(features, sizes, strict=True)
    ]


def taught(targets, outputs):
    """`losses.transfer` of a map whose second channel is the teacher's; the targets do not matter.

    Args:
        targets: Anything.
        outputs: Tensor `(pictures, h, w, 2)`.

    Returns:
        float32 tensor `(pictures,)`.
    """
    return transfer(ops.stop_gradient(outputs[..., 1:]), outputs[..., :1])


def _last_features(model):
    """Name of the last layer that is no pooling and whose output has positions."""
    pools = (layers.MaxPooling2D, layers.GlobalAveragePooling2D)
    return next(one.name for one in reversed(model.layers) if len(one.output.shape) == 4 and not isinstance(one, pools))


def _check(model, stages, called="stages"):
    known = {one.name: one for one in model.layers}
    with_positions = [
        name for name, one in known.items() if len(one.output.shape) == 4 and not isinstance(one, layers.InputLayer)
    ]
    for stage in stages:
        if stage not in with_positions:
            what = "has no positions" if stage in known else "is no layer of it"
            few = ", ".join(with_positions if len(with_positions) < 24 else ["…", *with_positions[-16:]])
            raise ValueError(f"{called} name layers with positions; {stage} {what}. There are {few}")
