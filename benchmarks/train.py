"""python benchmarks/train.py [EXPERIMENT] [--batch 128] [--steps 8] [--rounds 3]

What the reader costs a training: images per second of `model.fit` fed by the reader, as `saliency_keras.train` feeds
it, against the same `model.fit` on arrays in memory. The two take turns, and the medians of images per second of
processor time (all threads) and of the clock are printed, so that other programs on the machine slow both alike. The
set is made for the purpose, in codec npy; KERAS_BACKEND chooses the backend.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))


def main(arguments=None):
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description="Images per second of training from the reader and from memory.")
    parser.add_argument("experiment", nargs="?", default="fanin3")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        from reader import make_sets

        make_sets(Path(folder), options.batch * options.steps, codecs=())
        speeds = measure(Path(folder) / "npy", options)
    (from_reader, from_memory) = ([statistics.median(values) for values in zip(*each, strict=True)] for each in speeds)
    print(f"{'':24}{'images/s CPU':>14}{'images/s clock':>16}")
    for name, (processor, clock) in (("from the reader", from_reader), ("from arrays in memory", from_memory)):
        print(f"{name:24}{processor:14,.1f}{clock:16,.1f}")
    print(f"{'ratio':24}{from_reader[0] / from_memory[0]:14.3f}{from_reader[1] / from_memory[1]:16.3f}")


def measure(folder, options):
    """Images a second of processor time and of the clock, round by round: from the reader, from memory."""
    import keras
    import numpy as np

    from saliency_keras.data.manifest import Manifest
    from saliency_keras.data.reader import Reader
    from saliency_keras.data.shown import OWN
    from saliency_keras.experiments import experiment
    from saliency_keras.models.registry import build, shows_map

    chosen = experiment(options.experiment)
    side = chosen.pictures.side
    manifest = Manifest.load(folder)
    shown = OWN if shows_map(chosen.network, chosen.arguments) else None
    reader = Reader(manifest, "train", side, options.batch, shown)
    model = build(chosen.network, chosen.arguments, side, len(manifest.classes)).model
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Compiled by XLA neither here nor in a training on a processor.
    model.compile(keras.optimizers.SGD(0.001, 0.9), loss, jit_compile=False)
    batches = list(reader.training(1, 1))
    images = {name: np.concatenate([inputs[name] for inputs, _ in batches]) for name in batches[0][0]}
    labels = np.concatenate([labels for _, labels in batches])
    fits = (
        lambda epoch: model.fit(reader.training(epoch, epoch), verbose=0),
        lambda epoch: model.fit(images, labels, batch_size=options.batch, shuffle=False, verbose=0),
    )
    speeds = ([], [])
    for epoch in range(1, options.rounds + 2):
        for fit, found in zip(fits, speeds, strict=True):
            started = time.process_time(), time.perf_counter()
            fit(epoch)
            if epoch > 1:  # the first traces the graph
                spent = time.process_time() - started[0], time.perf_counter() - started[1]
                found.append([len(labels) / seconds for seconds in spent])
    return speeds


if __name__ == "__main__":
    from saliency_keras.console import run

    run(main)
