"""python benchmarks/compaction.py SOURCE [--limit 2000] [--workers 2] [--rounds 3] [--codecs raw,npy,jpeg] …

Compaction of an image folder without a predictor (`--saliency uniform`), beside bare loops that only decode the same
files and resize them, in as many processes, and write nothing. Prints milliseconds a picture, of processor time (all
processes, their start included) and of the clock, and both as ratios to the fastest bare loop that does the same work:
decode, centre square of 256, then 144 px (--shorter, --square and --side change that as for compaction). The loops are
by Pillow (reducing JPEGs while decoding them, where that keeps more than the square), by TensorFlow's `tf.data` and,
where it is installed, by OpenCV. One more, which is no reference, decodes and scales straight to the stored side.
Contestants take turns; medians count.
"""

import argparse
import functools
import multiprocessing
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main(arguments=None):
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description="Compaction beside bare loops that decode and resize.")
    parser.add_argument("source", type=Path, help="folder with train/CLASS/* and val/CLASS/*")
    parser.add_argument("--limit", type=int, default=2000, help="train pictures, and as many of val (default: 2000)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (default: 3)")
    parser.add_argument("--codecs", default="raw,npy,jpeg", help="codecs to write (default: raw,npy,jpeg)")
    for name in ("shorter", "square", "side"):
        parser.add_argument(f"--{name}", type=int, help="pixels, as for data_prep.compact")
    options = parser.parse_args(arguments)

    from saliency_keras.data.geometry import Framing

    framing = Framing.chosen(options.side, options.square, options.shorter)
    size = options.limit, options.workers, framing
    contestants, files = make_contestants(options.source, *size, options.codecs.split(","))
    seconds = measure(contestants, options.rounds)
    same_work = [name for name in seconds if name.startswith("bare") and "straight" not in name]
    fastest = [min(seconds[name][clock] for name in same_work) for clock in range(2)]
    print(f"{files} pictures, {options.workers} processes")
    print(f"{'':36}{'ms CPU':>10}{'ms clock':>10}{'ratio CPU':>11}{'ratio clock':>13}")
    for name, both in seconds.items():
        each = "".join(f"{1000 * one / files:10.2f}" for one in both)
        ratios = [one / least for one, least in zip(both, fastest, strict=True)]
        print(f"{name:36}{each}{ratios[0]:11.2f}{ratios[1]:13.2f}")


def make_contestants(source, limit, workers, framing, codecs):
    """`{name: function that goes through all pictures once}`, and how many these are."""
    from data_prep.compaction import make_plan
    from data_prep.sources import open_source

    plan = make_plan(open_source(source), ("uniform",), limit=limit)
    files = [str(source / picture.place) for task in plan.tasks for picture in task.pictures]
    loops = {"bare: Pillow": by_pillow, f"bare: Pillow, straight to {framing.stored}": straight}
    try:
        import cv2  # noqa: F401
    except ImportError:
        print("OpenCV is not installed: its loop is left out")
    else:
        loops["bare: OpenCV"] = by_opencv
    loops = {name: functools.partial(loop, framing=framing) for name, loop in loops.items()}
    contestants = {name: functools.partial(in_processes, loop, files, workers) for name, loop in loops.items()}
    try:
        import tensorflow  # noqa: F401
    except ImportError:
        print("TensorFlow is not installed: its loop is left out")
    else:
        contestants["bare: TensorFlow"] = functools.partial(by_tensorflow, files, workers, framing)
    for codec in codecs:
        work = functools.partial(compaction, source, limit, workers, framing, codec)
        contestants[f"data_prep.compact, {codec}"] = work
    return contestants, len(files)


def measure(contestants, rounds):
    """Medians of seconds `(processor, clock)` that each contestant takes."""
    seconds = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, work in contestants.items():
            before = os.times()
            work()
            passed = [after - earlier for after, earlier in zip(os.times(), before, strict=True)]
            if turn:  # the first reads the files from the disk
                seconds[name].append((sum(passed[:4]), passed[4]))
    return {name: tuple(map(statistics.median, zip(*found, strict=True))) for name, found in seconds.items()}


def compaction(source, limit, workers, framing, codec):
    """The command's own function, into a folder that is thrown away."""
    import contextlib

    from data_prep.compaction import compact
    from data_prep.sources import open_source

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        sides = {"side": framing.stored, "square": framing.square, "shorter": framing.shorter}
        options = {"codec": codec, "limit": limit, "workers": workers, **sides}
        compact(open_source(source), Path(folder) / "set", ("uniform",), **options)


def in_processes(loop, files, workers):
    """A loop over all files, in processes started as those of compaction are."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for _ in pool.imap_unordered(loop, files, chunksize=64):
            pass
        pool.close()
        pool.join()


def by_pillow(path, framing):
    """Decodes one file and scales it to the square and to the stored side."""
    from PIL import Image

    with Image.open(path) as picture:
        picture.draft("RGB", (framing.shorter, framing.shorter))
        width, height = picture.size
        side = min(width, height) * framing.square / framing.shorter
        left, top = (width - side) / 2, (height - side) / 2
        box = left, top, left + side, top + side
        square = picture.convert("RGB").resize((framing.square, framing.square), Image.Resampling.BILINEAR, box)
        square.resize((framing.stored, framing.stored), Image.Resampling.BILINEAR).tobytes()


def straight(path, framing):
    """Decodes one file and scales it to the stored side at once, which is less work than compaction has."""
    from PIL import Image

    with Image.open(path) as picture:
        stored = framing.stored, framing.stored
        picture.draft("RGB", stored)
        picture.convert("RGB").resize(stored, Image.Resampling.BILINEAR).tobytes()


def by_opencv(path, framing):
    """As `by_pillow`."""
    import cv2

    cv2.setNumThreads(1)
    picture = cv2.imread(path)
    height, width = picture.shape[:2]
    side = min(width, height) * framing.square // framing.shorter
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(picture[top : top + side, left : left + side], (framing.square, framing.square))
    stored = cv2.resize(square, (framing.stored, framing.stored), interpolation=cv2.INTER_AREA)
    cv2.cvtColor(stored, cv2.COLOR_BGR2RGB).tobytes()


def by_tensorflow(files, workers, framing):
    """As `by_pillow`, by `tf.data` with as many threads as there are processes elsewhere."""
    import tensorflow as tf

    def resized(path):
        picture = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        picture.set_shape((None, None, 3))
        side = tf.reduce_min(tf.shape(picture)[:2]) * framing.square // framing.shorter
        square = tf.image.resize_with_crop_or_pad(picture, side, side)
        square = tf.image.resize(square, (framing.square, framing.square), antialias=True)
        return tf.cast(tf.image.resize(square, (framing.stored, framing.stored), antialias=True), tf.uint8)

    settings = tf.data.Options()
    settings.threading.private_threadpool_size = workers
    for _ in tf.data.Dataset.from_tensor_slices(files).map(resized, workers).with_options(settings):
        pass


if __name__ == "__main__":
    from saliency_keras.console import run

    run(main)
