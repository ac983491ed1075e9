"""Shen and Liu, *Generating Attention from Classifier Activations for Fine-grained Recognition*.

ResNet-50 from ImageNet's weights at 448 px, 16 local classifiers, rate 1e-4, 40 epochs (section 5.2). Optimiser, batch
and augmentation are not stated: Adam, batches of 16, random crops and flips. The paper tests whole pictures of any
shape; here all pictures are the squares of a compact set (store more than 448 px for random crops: `--side 512`). One
network is trained at each scale, each from ImageNet's weights; what a scale sees is a compact set of its own:

    python -m data_prep.compact SOURCE compact/scale1 --saliency uniform --side 512
    python -m saliency_keras.train classifier_attention --data compact/scale1 --out runs/scale1
    python -m data_prep.compact SOURCE compact/scale2 --saliency uniform --side 512 --zoom runs/scale1
    python -m saliency_keras.train classifier_attention --data compact/scale2 --out runs/scale2
    python -m data_prep.compact SOURCE compact/scale3 --saliency uniform --side 512 --zoom runs/scale1+runs/scale2
    python -m saliency_keras.evaluate runs/scale1+runs/scale2+runs/scale3

`reproduce attention-2 --source SOURCE` does all of it. What the paper leaves open is an argument of the network
(`models.attention`); its tables are in `published`. `--set frozen_statistics=true` suits batches below 16. On a
processor, `--set frozen=stride2,stride4,stride8,stride16` trains ResNet-50's last stage alone, and with `--set
keep_features=true --set crops=center` what is below it is computed once.
"""

from saliency_keras.experiments.experiment import Experiment, Pictures, Schedule, Start

HEADING = "Networks that look again at what they attend to: Shen and Liu"
BACKBONE = {
    "backbone": "ResNet50",
    # Of the backbone `alexnet`, for the built-in pictures.
    "width_multiplier": 1.0,
    "conv2_padding": "same",
    "batch_norm_momentum": 0.9,
    "weight_decay": 0.0,
}
ATTENTION = {
    "classifiers": 16,
    "aggregate": "logits",
    "attention_from": "probs",
    "mask": "otsu",
    "local_prediction": "mean_of_probs",
    "levels": "both",
    "box": "all",
    "cells": "even",
    "margin": 0.0,
}
POPOUT = {
    "backbone": "alexnet", "weights": "", "width_multiplier": 0.5, "cells": "receptive_fields", "classifiers": 4,
    "side": 128, "epochs": 10, "batch": 32, "learning_rate": 1e-3,
}  # fmt: skip
BOTH = {"locations": 1.0, "object": 1.0}


def _row(name, what, row, loss_weights=None, **arguments):
    attends = bool(loss_weights)
    return Experiment(
        name,
        "classifier-activations",
        row,
        what,
        "classifier_attention" if attends else "max_pooled",
        arguments={**BACKBONE, **(ATTENTION if attends else {}), **arguments},
        task="classifier_attention" if attends else "classification",
        loss_weights=loss_weights or {},
        pictures=Pictures(side=448),
        start=Start(weights="imagenet", fresh=("top",)),
        schedule=Schedule(epochs=40, batch=16, optimizer="adam", learning_rate=1e-4, drops=()),
        popout=POPOUT,
    )


EXPERIMENTS = (
    _row("classifier_attention", "classifies each place, then what these places attend to; one scale",
         "Tables 2 to 4, ours, one scale", BOTH),
    _row("classifier_attention_local", "classifier_attention taught and judged by its places alone",
         "Table 5, the local loss alone", {"locations": 1.0, "object": 0.0}, levels="local"),
    _row("classifier_attention_object", "classifier_attention taught and judged by the whole object alone",
         "Table 5, the object loss alone", {"locations": 0.0, "object": 1.0}, levels="object"),
    _row("max_pooled", "ResNet-50 on the maximum of each feature, the baseline",
         "Tables 2 to 4, ResNet50 with spatial maximum pooling"),
)  # fmt: skip
