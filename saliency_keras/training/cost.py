"""What a training costs, before it begins: the pictures of all epochs together, and the multiply-adds."""

import json

from saliency_keras.data.few_shot import HELD_OUT, to_train_on
from saliency_keras.models.count import multiply_adds
from saliency_keras.models.layer_table import symbolic
from saliency_keras.runs.networks import build_network


def training_cost(one, manifest, networks=None):
    """What a classifier's training costs.

    Args:
        one: The `Experiment`, with its settings.
        manifest: The `Manifest` of its set.
        networks: Dictionary that keeps the multiply-adds of networks, for trainings of the same network.

    Returns:
        The pictures that it is trained on in all epochs together, and the multiply-adds: three times those of the
        network for each picture, forward, and back for features and weights.
    """
    networks = {} if networks is None else networks
    key = one.network, json.dumps(one.arguments), one.pictures.side, len(manifest.classes)
    if key not in networks:
        with symbolic():
            networks[key] = multiply_adds(build_network(one, len(manifest.classes)).model) or 0
    pictures = _training_pictures(one.pictures, manifest) * one.schedule.epochs
    return pictures, 3 * pictures * networks[key]


def _training_pictures(pictures, manifest):
    """How many pictures an epoch has."""
    if not pictures.few_shot:
        share = 1 - HELD_OUT if pictures.train_on == "val" else 1
        return round(share * manifest.split(pictures.train_on).records)
    if pictures.few_shot == "K":
        return sum(to_train_on(manifest, pictures.few_shot_splits))
    return int(pictures.few_shot) * len(manifest.classes)
