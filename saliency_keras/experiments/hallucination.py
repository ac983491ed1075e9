"""Figueroa-Flores et al. 2020, *Hallucinating Saliency Maps for Fine-Grained Image Classification for Limited Data*.

The five methods of Table I on AlexNet (227 px, padded conv2, no batch normalisation) and on a ResNet of
`keras.applications`: 70 epochs, rate 1e-4, L2 of 5e-3 (§IV-A). Optimiser, batch, augmentation, dropout and mean
subtraction are not stated: SGD with momentum 0.9 as in the thesis, batches of 32, random crops and flips, AlexNet's own
dropout and mean. Step 1 trains the saliency branch alone, on a *val* split: pictures that the frozen network has
memorised leave the branch nothing to learn. Keras has no weights of AlexNet: name a file (`--set weights=FILE`), or
begin with pre-training:

    train() { python -m saliency_keras.train "$1" --out "runs/$1" "${@:2}"; }
    train pretrain_alexnet --data LARGE
    train hallucination_step1_alexnet --data LARGE --init runs/pretrain_alexnet
    train approach_a_alexnet --data DIR --init runs/hallucination_step1_alexnet --set few_shot=5

A ResNet begins with `--set weights=imagenet` (the default), a weights file, or `--init RUN`. Unless the large set has
ImageNet's thousand classes in the order of their wnids, its step 1 needs a new last layer: `--set fresh=top --set
frozen=trunk`, which the tables of `reproduce` set by themselves. Batch normalisation can keep its statistics while few
pictures are learned from: `--set frozen_statistics=true`.
On pictures that the frozen network is overconfident about, which a small LARGE makes likely, l (s + 1) drives s to zero
and kills the branch: `docs/hallucination.md` has the measurements, and the settings that keep it alive (`skip=false`).
The tables it prints are in `published`. The L2 is Keras', whose gradient is 0.01 w; the paper does not say whether it
is that or half of it.
"""

import dataclasses

from saliency_keras.experiments.experiment import WHOLE, Experiment, Pictures, Schedule, Start
from saliency_keras.experiments.thesis import SMALL

ALEXNET = {
    "saliency_branch": "rgb",
    "fuse_at": "conv2",
    "skip": True,
    "saliency_activation": "relu",
    "saliency_bias": 0.1,  # not 0, with which a branch may be born dead
    "conv2_padding": "same",
    "batch_norm": False,
    "batch_norm_momentum": 0.9,
    "dropout": 0.5,
    "dense_units": 4096,
    "width_multiplier": 1.0,
    "weight_decay": 5e-3,
    "kernel_initializer": "glorot_uniform",  # "Xavier" in the paper
}
RESNET = {
    "backbone": "ResNet152",
    "saliency_branch": "rgb",
    "fuse_at": "conv4",
    "skip": True,
    "saliency_activation": "relu",
    "saliency_bias": 0.1,  # not 0, with which a branch may be born dead
    "conv2_padding": "same",
    "batch_norm": False,
    "weight_decay": 5e-3,
}
HEADING = "Networks that hallucinate their map: Figueroa-Flores et al. 2020"
RANDOM = Start()
BACKBONES = {"alexnet": "AlexNet", "resnet": "ResNet-152"}
SCHEDULE = Schedule(epochs=70, batch=32, learning_rate=1e-4, drops=())
POPOUT = {"side": 128, "epochs": 12, "batch": 32, "drops": (), "learning_rate": 1e-3, **SMALL}


def _row(name, what, row, network, arguments, branch="rgb", schedule=SCHEDULE, start=RANDOM, train_on="train"):
    base = {"alexnet": ALEXNET, "resnet": RESNET}[network]
    return Experiment(
        f"{name}_{network}",
        "hallucination",
        row,
        what.format(BACKBONES[network]),
        f"modulated_{network}",
        arguments={**base, "saliency_branch": branch, **arguments},
        pictures=Pictures(side=227, subtract_mean=network == "alexnet", train_on=train_on),
        start=start,
        schedule=schedule,
        popout=POPOUT,
    )


def _methods(network, row, base, step1):
    """The rows of a table, all begun alike: the network's weights from `base`, the branch's from `step1` or random."""
    begin = Start({WHOLE: base} if base else {}, weights="" if base else "imagenet", fresh=("top",))
    taught = Start({WHOLE: step1}, fresh=("top",))
    return (
        _row("baseline_rgb", "{}: the picture alone, the baseline", f"{row}, Baseline-RGB", network, {}, branch="",
             start=begin),
        _row("scratch_sal", "{}: makes its map by a branch with new weights", f"{row}, Baseline-RGB + scratch SAL",
             network, {}, start=begin),
        _row("smic", "{}: its branch sees the map of the data set", f"{row}, SMIC", network, {}, branch="map",
             start=begin),
        _row("approach_a", "{}: makes its map by the branch of step 1, which is frozen", f"{row}, Approach A", network,
             {}, start=dataclasses.replace(taught, frozen=("saliency",))),
        _row("approach_b", "{}: makes its map by the branch of step 1, trained further", f"{row}, Approach B", network,
             {}, start=taught),
    )


STEP_1 = "{}, step 1: only the branch that makes the map learns"
ALL_BUT_THE_BRANCH = ("trunk", "dense", "top")
EXPERIMENTS = (
    # AlexNet's ImageNet weights, by Krizhevsky's schedule; He's initialiser, for there is no batch normalisation.
    _row("pretrain", "{} on a large set, for the others to begin with", "§III-D, ImageNet weights", "alexnet",
         {"weight_decay": 5e-4, "kernel_initializer": "he_normal"},
         branch="", schedule=Schedule()),
    _row("hallucination_step1", STEP_1, "§III-D, Step 1", "alexnet", {}, train_on="val",
         start=Start({WHOLE: "pretrain_alexnet"}, frozen=ALL_BUT_THE_BRANCH)),
    _row("hallucination_step1", STEP_1, "§III-D, Step 1", "resnet", {}, train_on="val",
         start=Start(weights="imagenet", frozen=("trunk", "top"))),
    *_methods("alexnet", "Table I", "pretrain_alexnet", "hallucination_step1_alexnet"),
    *_methods("resnet", "Table II", "", "hallucination_step1_resnet"),
)  # fmt: skip

METHODS = {
    "baseline_rgb": "Baseline-RGB",
    "scratch_sal": "Baseline-RGB + scratch SAL",
    "smic": "SMIC",
    "approach_a": "Approach A",
    "approach_b": "Approach B",
}
