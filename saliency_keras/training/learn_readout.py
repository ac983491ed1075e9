"""Trains the head of the predictor `readout` on a fixation set.

    python -m saliency_keras.training.learn_readout FIXATIONS [--backbone-weights FILE] [--out FILE] [--epochs N]
           [--cache DIR] [--seed N]

FIXATIONS is a folder with `images/` and `fixations.csv`. The frozen ResNet-50 sees every picture and its mirror image
once; its features are kept in a folder (about 11 MB a picture, removed at the end unless `--cache` names one), and the
head is trained on them: Kullback-Leibler divergence from the fixations' counts, AdamW, cosine decay. The pictures that
`saliency_keras.data.fixation_split` holds out take no part. Prints the mean loss of every epoch and the scores of the
held-out pictures beside those of `gbvs` and `center`, and writes the head (float16).
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np

from saliency_keras import console, files

SIDE = 512
BATCH = 8
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    options = _parse(arguments)

    from saliency_keras.data.fixation_set import read_fixation_set, readable
    from saliency_keras.data.fixation_split import parts_of
    from saliency_keras.saliency import predictor
    from saliency_keras.saliency.readout import ENVIRONMENT, Readout, save_head
    from saliency_keras.scoring.examples import scores_table
    from saliency_keras.scoring.fixation_scores import score_set

    files.check_file(options.out)
    fixation_set = readable(read_fixation_set(options.fixations))
    for note in fixation_set.notes:
        print(note)
    train, held_out = parts_of(fixation_set)
    print(f"{len(train.images)} pictures to learn from, {len(held_out.images)} held out")
    weights = options.backbone_weights or os.environ.get(ENVIRONMENT)
    with _folder(options.cache and options.cache / _made_of(train, weights)) as cache:
        cache_features(train, cache, weights)
        head = learn(train, cache, options.epochs, options.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_head(head, options.out)
    print(f"written: {options.out} ({options.out.stat().st_size} bytes)")
    readout = Readout(SIDE, weights, options.out)
    sources = [readout, predictor("gbvs"), predictor("center")]
    print(scores_table(score_set(fixation_set, sources, images=held_out.images)))


def _parse(arguments):
    from saliency_keras.saliency.readout import HEAD

    parser = console.parser(__spec__.name, __doc__)
    add = parser.add_argument
    add("fixations", metavar="FIXATIONS", type=Path, help="folder with images/ and fixations.csv (image,subject,x,y)")
    add("--backbone-weights", metavar="FILE", help="weights of Keras' ResNet50 (default: as the predictor's)")
    add("--out", metavar="FILE", type=Path, default=HEAD, help="where the head goes (default: where the predictor is)")
    add("--epochs", metavar="N", type=int, default=6, help="passes over the pictures (default: %(default)s)")
    add("--cache", metavar="DIR", type=Path, help="keep the features here, and use those of this set that are here")
    add("--seed", metavar="N", type=int, default=0, help="seed of weights, order and mirroring (default: 0)")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        raise console.UserError(f"epochs must be at least 1. Received: epochs={options.epochs}")
    console.check_seed(options.seed)
    return options


@contextlib.contextmanager
def _folder(path):
    if path is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        path.mkdir(parents=True, exist_ok=True)
        yield path


def _made_of(fixation_set, weights):
    """A name for the features of a set under certain weights: other ones are never taken for them."""
    from saliency_keras.data.arrays import digest

    words = [digest(fixation_set), "imagenet"]
    if weights:
        words[1] = files.sha256_of(weights)
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]


def feature_files(cache, image, mirrored):
    """Paths of a picture's features, level by level."""
    from saliency_keras.saliency.readout import LEVELS

    return [cache / f"{image.replace('/', '%2F')}{'.mirrored' if mirrored else ''}.{level}.npy" for level in LEVELS]


def cache_features(fixation_set, cache, weights=None):
    """Writes the backbone's features of every picture and its mirror image, float16, unless they are there.

    Args:
        fixation_set: `FixationSet`.
        cache: Folder for the features.
        weights: Path of the backbone's weights, or `None` for Keras' ImageNet weights.
    """
    from saliency_keras.models.backbones import feature_extractor
    from saliency_keras.saliency.readout import BACKBONE, LEVELS, resized, working_size

    missing = [
        (image, mirrored)
        for image in fixation_set.images
        for mirrored in (False, True)
        if not all(path.is_file() for path in feature_files(cache, image, mirrored))
    ]
    if not missing:
        return
    extractor = feature_extractor(BACKBONE, LEVELS, weights or "imagenet")
    for image, mirrored in console.progress(missing, label="features"):
        picture = fixation_set.read(image)
        pixels = resized(picture[None], *working_size(*picture.shape[:2], SIDE))
        levels = extractor.predict_on_batch(pixels[:, :, ::-1] if mirrored else pixels)
        for path, features in zip(feature_files(cache, image, mirrored), levels, strict=True):
            with files.whole_file(path) as file:
                np.save(file, np.asarray(features[0], np.float16))


def learn(fixation_set, cache, epochs, seed=0):
    """Trains a head on cached features.

    Args:
        fixation_set: `FixationSet` to learn from.
        cache: Folder that `cache_features` filled.
        epochs: Passes over the pictures; in each, half of them are mirrored.
        seed: Seed of weights, dropped channels, order and mirroring.

    Returns:
        The trained head, a `keras.Model` from the levels to logits.
    """
    import keras

    from saliency_keras.models.losses import divergence

    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    steps = epochs * len(_batches(fixation_set, np.random.default_rng(seed)))
    head = _head(cache, fixation_set.images[0])
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    head.compile(keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY, clipnorm=1.0), divergence)
    for epoch in range(1, epochs + 1):
        losses = []
        for images in console.progress(_batches(fixation_set, generator), label=f"epoch {epoch}", unit="batch"):
            mirrored = bool(generator.integers(2))
            levels = zip(*(_features(cache, image, mirrored) for image in images), strict=True)
            levels = [np.stack(one).astype(np.float32) for one in levels]
            counts = np.stack([fixation_counts(fixation_set.points(image), levels[0].shape[1:3]) for image in images])
            losses.append(float(head.train_on_batch(levels, counts[:, :, ::-1] if mirrored else counts)))
        print(f"epoch {epoch}: divergence {np.mean(losses):.4f} nats", flush=True)
    return head


def fixation_counts(points, size):
    """How many fixations fall into each cell of a grid of that `(height, width)`, float32 `(height, width, 1)`."""
    height, width = size
    rows = np.clip(((points.y + 0.5) * height / points.height).astype(int), 0, height - 1)
    columns = np.clip(((points.x + 0.5) * width / points.width).astype(int), 0, width - 1)
    counts = np.zeros((height, width, 1), np.float32)
    np.add.at(counts, (rows, columns), 1)
    return counts


def _features(cache, image, mirrored):
    return [np.load(path) for path in feature_files(cache, image, mirrored)]


def _batches(fixation_set, generator):
    """Lists of `BATCH` names of pictures of one size, in random order; fewer where a size has fewer.

    What is left over of a size takes no part in this epoch.
    """
    by_size = {}
    for image in generator.permutation(fixation_set.images):
        by_size.setdefault(fixation_set.size(image), []).append(str(image))
    batches = []
    for images in by_size.values():
        size = min(BATCH, len(images))
        batches += [images[start : start + size] for start in range(0, len(images) - size + 1, size)]
    return [batches[index] for index in generator.permutation(len(batches))]


def _head(cache, image):
    """An untrained head for features like those of that picture."""
    import keras

    from saliency_keras.models.readouts import pointwise_readout

    channels = [np.load(path, mmap_mode="r").shape[-1] for path in feature_files(cache, image, False)]
    levels = [keras.Input((None, None, count), name=f"level{number}") for number, count in enumerate(channels, 1)]
    return keras.Model(levels, pointwise_readout(levels), name="readout_head")


if __name__ == "__main__":
    console.run(main)
