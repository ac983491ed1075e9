"""python benchmarks/reader.py [--pictures 4096] [--rounds 5] [--batch 128] [--skip-keras]

Training batches of picture and map, stored at 144 px, cropped to 128 px, flipped and shuffled: our reader in each
codec beside two zipped `keras.utils.image_dataset_from_directory` pipelines doing the same work, and beside a bare
numpy loop that crops and flips words from a memory map. Prints images per second of processor time (all threads) and
of the clock, the medians of short rounds in which the contestants take turns, so that other programs on the machine
slow all of them alike. The pipelines are made of tf.data and, where the package `grain` is installed, of Grain, which a
user of Keras on JAX would take. `--skip-keras` leaves out the pipelines and with them TensorFlow, and needs a `--sets`
folder made by an earlier run.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

STORED, SIDE, CLASSES = 144, 128, 10
KERAS = "image_dataset_from_directory x 2"
GRAIN = 'the same with format="grain"'
BARE = "bare numpy loop"


def main(arguments=None):
    """Parses, makes the sets, measures, prints."""
    parser = argparse.ArgumentParser(description="Images per second of the reader, beside Keras' own and bare numpy.")
    parser.add_argument("--pictures", type=int, default=4096, help="pictures a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--sets", type=Path, help="folder for the sets, kept (default: a temporary one)")
    parser.add_argument("--skip-keras", action="store_true", help="leave out image_dataset_from_directory")
    options = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        folder = options.sets or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_sets(folder, options.pictures)
        contestants = ours(folder, options.batch)
        if not options.skip_keras:
            contestants = {KERAS: keras_pipelines(folder, options.batch), **contestants}
            if importlib.util.find_spec("grain"):
                contestants = {GRAIN: grain_pipelines(folder, options.batch), **contestants}
        sizes = {name: f"{bytes_each:,.0f}" for name, bytes_each in bytes_per_picture(folder).items()}
        per_processor, per_clock = measure(contestants, options.rounds)
    reference = per_processor.get(KERAS)
    print(f"{'':34}{'images/s CPU':>14}{'images/s clock':>16}{'to Keras':>10}{'to bare':>9}{'bytes each':>12}")
    for name, speed in per_processor.items():
        to_keras = f"{speed / reference:.1f}" if reference else ""
        to_bare = f"{speed / per_processor[BARE]:.0%}"
        print(f"{name:34}{speed:14,.0f}{per_clock[name]:16,.0f}{to_keras:>10}{to_bare:>9}{sizes.get(name, ''):>12}")


def measure(contestants, rounds):
    """Goes through one epoch of each contestant in turn and returns the medians of images a second, CPU and clock."""
    processor, clock = ({name: [] for name in contestants} for _ in range(2))
    for turn in range(rounds + 1):
        for name, epoch in contestants.items():
            started = time.process_time(), time.perf_counter()
            images = sum(len(labels) for _, labels in epoch(turn + 1))
            if turn:  # the first touches each page and traces each graph
                processor[name].append(images / (time.process_time() - started[0]))
                clock[name].append(images / (time.perf_counter() - started[1]))
    medians = [{name: statistics.median(values) for name, values in each.items()} for each in (processor, clock)]
    return tuple(medians)


def make_sets(folder, pictures, codecs=("raw", "jpeg")):
    """Smooth random pictures and maps: JPEG files in `image/CLASS/` and `saliency/CLASS/`, a set in npy and others."""
    from PIL import Image

    from data_prep.convert import convert
    from saliency_keras.data.geometry import Framing
    from saliency_keras.data.manifest import Manifest, SaliencyMap, Shard, Split
    from saliency_keras.data.records import encode_record, record_dtype, record_writer

    if all((folder / codec / "manifest.json").is_file() for codec in ("npy", *codecs)):
        return
    random = np.random.default_rng(0)
    (folder / "npy").mkdir(parents=True)
    shards, counts = [], {"train": pictures, "val": CLASSES}
    dtype = record_dtype(STORED, 16)
    for split, count in counts.items():
        name = f"{split}-00000-of-00001.npy"
        with record_writer(folder / "npy" / name, "npy", dtype) as writer:
            for place in range(count):
                small = Image.fromarray(random.integers(0, 256, (24, 24, 4), np.uint8))
                pixels = np.asarray(small.resize((STORED, STORED), Image.Resampling.BICUBIC))
                image, saliency, label = pixels[..., :3], pixels[..., 3], place % CLASSES
                writer.write(encode_record("npy", image, saliency, label, f"{place:06d}", dtype))
                if split == "train":
                    for kind, array in (("image", image), ("saliency", saliency)):
                        path = folder / kind / f"class{label}" / f"{place:06d}.jpg"
                        path.parent.mkdir(parents=True, exist_ok=True)
                        Image.fromarray(array).save(path, quality=95)
        content = (folder / "npy" / name).read_bytes()
        shards.append(Shard(name, count, len(content), hashlib.sha256(content).hexdigest()))
    splits = {
        split: Split((shard,), tuple(np.bincount(np.arange(shard.records) % CLASSES, minlength=CLASSES).tolist()))
        for split, shard in zip(counts, shards, strict=True)
    }
    names = tuple(f"class{label}" for label in range(CLASSES))
    maps = (SaliencyMap("random", {"name": "random"}, 0.5),)
    means, source = (0.5, 0.5, 0.5), {"made": "benchmark"}
    Manifest(Framing(stored=STORED), "npy", names, splits, maps, means, 0, source, {}).save(folder / "npy")
    for codec in codecs:
        convert(folder / "npy", folder / codec, codec)


def bytes_per_picture(folder):
    """Bytes of a record in each codec."""
    from saliency_keras.data.manifest import Manifest

    found = {}
    for codec in ("raw", "npy", "jpeg"):
        train = Manifest.load(folder / codec).splits["train"]
        found[codec] = sum(shard.bytes for shard in train.shards) / train.records
    return found


def ours(folder, batch):
    """`{name: function of an epoch that yields its batches}`: the codecs, the device's batches, and the bare loop."""
    from saliency_keras.data.manifest import Manifest
    from saliency_keras.data.reader import Reader

    readers = {codec: Reader(Manifest.load(folder / codec), "train", SIDE, batch) for codec in ("raw", "npy", "jpeg")}
    readers["raw, --augment device"] = Reader(readers["raw"].manifest, "train", SIDE, batch, augment="device")
    contestants = {name: lambda epoch, one=one: one.training(epoch, epoch) for name, one in readers.items()}
    array = np.load(readers["npy"].manifest.shard_files("train")[0], mmap_mode="r")
    words = array["rgbs"].view("<u4")[..., 0]

    def bare(epoch):
        """Crops of words, shuffled and mirrored, with picture and map left together."""
        random = np.random.default_rng(epoch)
        order = random.permutation(len(words))
        for first in range(0, len(words) - batch + 1, batch):
            crops = np.empty((batch, SIDE, SIDE), np.uint32)
            boxes = random.integers(0, STORED - SIDE + 1, (batch, 2)).tolist()
            turns = random.choice((-1, 1), batch).tolist()
            rows = zip(order[first : first + batch].tolist(), boxes, turns, strict=True)
            for row, (place, (top, left), turn) in enumerate(rows):
                crops[row] = words[place, top : top + SIDE, left : left + SIDE][:, ::turn]
            yield crops, crops

    return {**contestants, BARE: bare}


def keras_pipelines(folder, batch):
    """What a user of Keras would write: two directories zipped, one stateless draw for picture and map."""
    import keras
    import tensorflow as tf

    def pictures(kind, color_mode, seed):
        """The pictures or the maps, one by one."""
        return keras.utils.image_dataset_from_directory(
            folder / kind,
            color_mode=color_mode,
            batch_size=None,
            image_size=(STORED, STORED),
            shuffle=True,
            seed=seed,
            verbose=False,
        )

    def crop(images, maps, seed):
        (image, label), (saliency, _) = images, maps
        both = tf.concat([image, saliency], axis=-1)
        both = tf.image.stateless_random_crop(both, (SIDE, SIDE, 4), seed)
        both = tf.cast(tf.image.stateless_random_flip_left_right(both, seed), tf.uint8)
        return {"image": both[..., :3], "saliency": both[..., 3:]}, label

    def epoch(number):
        seeds = tf.data.Dataset.random(number).batch(2)
        both = tf.data.Dataset.zip(pictures("image", "rgb", number), pictures("saliency", "grayscale", number), seeds)
        return both.map(crop, tf.data.AUTOTUNE).batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    return epoch


def grain_pipelines(folder, batch):
    """The same directories as `format="grain"` gives them, zipped, and cropped by numpy."""
    import grain
    import keras

    def pictures(kind, color_mode, seed):
        """The pictures or the maps, one by one."""
        return keras.utils.image_dataset_from_directory(
            folder / kind,
            color_mode=color_mode,
            batch_size=None,
            image_size=(STORED, STORED),
            shuffle=True,
            seed=seed,
            format="grain",
            verbose=False,
        )

    def crop(pair, random):
        (image, label), (saliency, _) = pair
        both = np.concatenate([np.asarray(image), np.asarray(saliency)], axis=-1)
        top, left = random.integers(0, STORED - SIDE + 1, 2)
        both = both[top : top + SIDE, left : left + SIDE][:, :: random.choice((-1, 1))].astype(np.uint8)
        return {"image": both[..., :3], "saliency": both[..., 3:]}, np.asarray(label)

    def epoch(number):
        both = [pictures("image", "rgb", number), pictures("saliency", "grayscale", number)]
        zipped = grain.experimental.ZipIterDataset(both).seed(number).random_map(crop)
        return zipped.batch(batch, drop_remainder=True)

    return epoch


if __name__ == "__main__":
    from saliency_keras.console import run

    run(main)
