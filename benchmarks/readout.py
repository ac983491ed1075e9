"""python benchmarks/readout.py [--pictures 200] [--turn 40] [--weights FILE]

What the predictor `readout` costs beside its backbone alone, on pictures of 512 x 384: processor seconds a picture, for
ResNet-50 up to its last features, for the whole network (both fed batch by batch, as the predictor does), and for the
predictor as users call it, with many pictures at once: conversion, network, maps at the pictures' size. The three take
turns, so that whatever else the machine does falls on all of them alike, and processor time is counted, not the clock.
Prints a table; the ratio is to the backbone.
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

WIDTH, HEIGHT = 512, 384


def main(arguments=None):
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description="The predictor readout beside its backbone alone.")
    parser.add_argument("--pictures", type=int, default=200, help="pictures in all")
    parser.add_argument("--turn", type=int, default=40, help="pictures a turn")
    parser.add_argument("--weights", help="weights of Keras' ResNet50 (default: Keras' own, of ImageNet)")
    options = parser.parse_args(arguments)

    import numpy as np

    from saliency_keras.models.backbones import feature_extractor
    from saliency_keras.saliency.per_picture import pictures_at_once
    from saliency_keras.saliency.readout import BACKBONE, ENVIRONMENT, LEVELS, Readout, readout_network

    weights = options.weights or os.environ.get(ENVIRONMENT, "imagenet")

    at_once = pictures_at_once()

    def in_batches(network):
        def predict(pictures):
            for start in range(0, len(pictures), at_once):
                network.predict_on_batch(pictures[start : start + at_once].astype(np.float32))

        return predict

    contestants = {
        "backbone": in_batches(feature_extractor(BACKBONE, LEVELS[-1:], weights)),
        "network": in_batches(readout_network(weights)),
        "predictor": Readout(weights=options.weights),
    }
    generator = np.random.default_rng(0)
    for contestant in contestants.values():
        contestant(generator.integers(0, 256, (at_once, HEIGHT, WIDTH, 3), np.uint8))
    seconds = dict.fromkeys(contestants, 0.0)
    turns = -(-options.pictures // options.turn)
    for _ in range(turns):
        pictures = generator.integers(0, 256, (options.turn, HEIGHT, WIDTH, 3), np.uint8)
        for name, contestant in contestants.items():
            start = time.process_time()
            contestant(pictures)
            seconds[name] += time.process_time() - start
    count = turns * options.turn
    print(f"{count} pictures of {WIDTH} x {HEIGHT}, {options.turn} a turn, {at_once} a batch")
    print(f"{'':12}{'s/picture':>12}{'pictures/s/core':>18}{'ratio':>8}")
    for name, spent in seconds.items():
        print(f"{name:12}{spent / count:12.4f}{count / spent:18.2f}{spent / seconds['backbone']:8.3f}")


if __name__ == "__main__":
    from saliency_keras.console import run

    run(main)
