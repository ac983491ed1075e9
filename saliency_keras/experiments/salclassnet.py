"""Murabito et al. 2017, *Top-Down Saliency Detection Driven by Visual Classification* (SalClassNet).

The paper trains in five stages (§5.2). Each is an ordinary run here; R stands for `vgg`, `inception` or `resnet`:

    (i)    salclassnet_osie       the detector on free-viewing fixations (OSIE), a fixation set
    (ii)   salclassnet_detector   the detector on the maps of a compact set, its own gaze
    (iii)  R_pretrain             the classifier on a large set, from scratch
           R_rgb                  the same fine-tuned on the set: the baseline of three channels
    (iv)   R_rgbs                 the classifier of four channels, fine-tuned on pictures with their true maps
    (v)    salclassnet, salclassnet_vgg, salclassnet_resnet     detector and classifier joined, taught both

    train() { python -m saliency_keras.train "$1" --out "runs/$1" "${@:2}"; }
    train salclassnet_osie --data OSIE
    train salclassnet_detector --data DIR --init runs/salclassnet_osie
    train inception_pretrain --data LARGE --exclude-classes dogs.txt
    train inception_rgbs --data DIR --init runs/inception_pretrain
    train salclassnet --data DIR --init runs/inception_rgbs --init saliency=runs/salclassnet_detector

Stages (ii), `R_rgb` and (iv) begin with ImageNet's weights where no run is given. `reproduce salclassnet-5` chains
them. ResNet-50 is ours: its weights can be had. What the paper leaves open:

    rate of (iii)          0.01 to 0.0001 "over the first 53 epochs": the steps of the widespread Torch schedule
    epochs                 (i) not stated: 70; (ii), (iv), (v) "converged in 70-120 epochs": at most 120, patience 10
    patience               both accuracy and MSE must have stopped; here the stage's own criterion must
    crops                  five crops and their flips: one of the ten an epoch and picture (`crops=five`)
    new weights            rate 0.05 for the fourth channel; the new last layer learns as fast
    range of the map       batch-normalised, then as the colours that the trunk's weights expect (`new_channel_range`)
    the target's range     the maximum of each map (each crop) is 1; alpha = 0.2 depends on it

For five crops of 299 px out of 340, compact with `--shorter 340 --square 340 --side 340`.
"""

import dataclasses

from saliency_keras.data.shown import Shown
from saliency_keras.experiments.experiment import WHOLE, Experiment, Pictures, Schedule, Start

HEADING = "SalClassNet: Murabito et al. 2017"
ALPHA = {"logits": 0.2, "map": 1.0}  # L = 0.2 cross-entropy + mean squared error (§3.3, Fig. 4)
DETECTOR = {
    "detector": "VGG16",  # thirteen convolutions
    "detector_level": "",
    "pool_padding": "same",
    "saliency_activation": "linear",
    "width_multiplier": 1.0,
}
CLASSIFIER = {
    "fourth_channel": "",
    "bn_over": "saliency",
    "new_channel_range": "pixels",
    "new_channel_initializer": "glorot_uniform",
    "dense_units": 4096,
}
TRUNKS = {
    "vgg": {"backbone": "VGG19", "classifier_size": 224, "dropout": 0.5},
    "inception": {"backbone": "InceptionV3", "classifier_size": 0, "dropout": 0.0},
    "resnet": {"backbone": "ResNet50", "classifier_size": 0, "dropout": 0.0},
}
CALLED = {"vgg": "VGG-19", "inception": "Inception-v3", "resnet": "ResNet-50"}
JOINT = {"vgg": "salclassnet_vgg", "inception": "salclassnet", "resnet": "salclassnet_resnet"}
# Mean class accuracies of Table 5 (on SalDogs-test).
MCA = {
    "vgg_rgb": 0.434,
    "vgg_rgbs": 0.472,
    "salclassnet_vgg": 0.490,
    "inception_rgb": 0.671,
    "inception_rgbs": 0.684,
    "salclassnet": 0.705,
}
PICTURES = Pictures(side=299, crops="five")
AS_TARGET = Shown(as_="target")
SGD = {"batch": 16, "drops": (), "momentum": 0.9, "decay": 5e-4, "patience": 10, "keep": "best"}
FINE = Schedule(epochs=120, learning_rate=0.001, inverse_time=1e-5, **SGD)
FREE_VIEWING = Schedule(epochs=70, learning_rate=1e-5, **SGD)
PRETRAINING = Schedule(
    epochs=70,
    batch=32,
    learning_rate=0.01,
    drops=(),
    steps=((1, 0.01), (19, 0.005), (30, 0.001), (44, 0.0005), (53, 0.0001)),
    decay=5e-4,
    decay_until=29,
)
NEW = {"new_channel": 50.0, "top": 50.0}  # 0.05 for what is new, 0.001 for the rest
# Narrow networks from random weights on the built-in pictures. The classifier sees nearly all of each, at 64 px.
POPOUT = {
    "side": 128,
    "epochs": 8,
    "batch": 32,
    "learning_rate": 0.02,
    "factors": {},
    "decay": 0.0,
    "weights": "",
    "backbone": "ResNet50",
    "classifier_size": 64,
    "detector": "ResNet50",
    "detector_level": "conv3_block4_out",
    "width_multiplier": 0.25,
    "dropout": 0.0,
}


def _experiment(name, what, row, network="salclassnet", **fields):
    published = {"mean_class_accuracy": MCA[name]} if name in MCA else {}
    fields = {"pictures": PICTURES, "schedule": FINE, "popout": POPOUT, **fields}
    return Experiment(name, "salclassnet", row, what, network, published, **fields)


def _of_trunk(trunk):
    """The classifier's stages on one trunk, and the network that is joined in the end."""
    plain = {**CLASSIFIER, "width_multiplier": 1.0, **TRUNKS[trunk]}
    shown, begin = {**plain, "fourth_channel": "map"}, Start(weights="imagenet", fresh=("top",))
    joined = {**plain, **DETECTOR, "fourth_channel": "detector"}
    rgb, rgbs, called = f"{trunk}_rgb", f"{trunk}_rgbs", CALLED[trunk]
    faster_top, faster_new = (dataclasses.replace(FINE, factors=factors) for factors in ({"top": 50.0}, NEW))
    return (
        _experiment(f"{trunk}_pretrain", f"stage 3: {called} on a large set, from scratch", "§5.2, stage (iii)",
                    arguments=plain, schedule=PRETRAINING),
        _experiment(rgb, f"{called} on the picture alone, the baseline", "Table 5, 3 channels", arguments=plain,
                    start=begin, schedule=faster_top),
        _experiment(rgbs, f"stage 4: {called} on the picture and its map as a fourth channel",
                    "Table 5, 4 channels + ground truth", arguments=shown, start=begin, schedule=faster_new),
        _experiment(JOINT[trunk], f"stage 5: a detector makes the map, {called} sees it; both learn",
                    "Table 5, SalClassNet", arguments=joined, task="joint", loss="squared",
                    loss_weights=ALPHA, shown=AS_TARGET,
                    start=Start({WHOLE: rgbs, "saliency": "salclassnet_detector"})),
    )  # fmt: skip


EXPERIMENTS = (
    Experiment(
        "salclassnet_osie",
        "salclassnet",
        "§5.2, stage (i)",
        "stage 1: the detector learns where people look (a fixation set)",
        "salclassnet_osie",
        arguments={"height": 299, "width": 399, **DETECTOR},  # OSIE's pictures are 4:3
        task="fixation_maps",
        loss="squared",
        pictures=None,
        shown=None,
        start=Start(weights="imagenet"),
        schedule=FREE_VIEWING,
    ),
    _experiment("salclassnet_detector", "stage 2: the detector learns the maps of a compact set", "§5.2, stage (ii)",
                "salclassnet_detector", arguments=DETECTOR, task="maps", loss="squared", shown=AS_TARGET,
                start=Start(weights="imagenet")),
    *(one for trunk in TRUNKS for one in _of_trunk(trunk)),
)  # fmt: skip
