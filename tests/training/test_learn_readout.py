"""Training the head: it finds what the fixated places have in common, from features on disk."""

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import FixationSet
from saliency_keras.metrics.points import FixationPoints
from saliency_keras.saliency.readout import LEVELS
from saliency_keras.training import learn_readout

PICTURES = 24


@pytest.fixture
def spots(tmp_path):
    """A set whose fixations are all where the first channel of the finest level is 1, and features to go with it."""
    generator = np.random.default_rng(0)
    images = tuple(f"{number}.png" for number in range(PICTURES))
    rows, columns = generator.integers(1, 7, PICTURES), generator.integers(1, 11, PICTURES)
    for image, row, column in zip(images, rows, columns, strict=True):
        levels = [generator.normal(0, 0.1, (8 // 2**n, 12 // 2**n, 4)).astype("float16") for n in range(len(LEVELS))]
        levels[0][row, column, 0] = 1
        for mirrored in False, True:
            paths = learn_readout.feature_files(tmp_path, image, mirrored)
            for path, features in zip(paths, levels, strict=True):
                np.save(path, features[:, ::-1] if mirrored else features)
    looked_at = FixationSet(
        folder=tmp_path,
        images=images,
        sizes=((96, 64),) * PICTURES,
        x=np.repeat(8.0 * columns + 4, 3),
        y=np.repeat(8.0 * rows + 4, 3),
        subjects=np.tile(["anna", "ben", "cleo"], PICTURES),
        starts=np.arange(0, 3 * PICTURES + 1, 3),
        outside=0,
        pixels_per_degree=None,
    )
    return looked_at, tmp_path, np.stack([rows, columns], axis=1)


@pytest.mark.slow
def test_the_head_learns_where_the_fixations_are(spots, capsys):
    looked_at, cache, places = spots
    head = learn_readout.learn(looked_at, cache, epochs=100)
    losses = [float(line.split()[3]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 100
    # It begins with no idea, ln 96 nats, and later has none where the telling channel is dropped, three times in ten.
    assert losses[0] == pytest.approx(np.log(8 * 12), abs=0.3)
    assert np.mean(losses[-10:]) < 0.65 * losses[0]
    levels = [
        np.stack([np.load(learn_readout.feature_files(cache, image, False)[n]) for image in looked_at.images])
        for n in range(len(LEVELS))
    ]
    logits = np.asarray(head([level.astype("float32") for level in levels]))[..., 0]
    peaks = np.stack(np.unravel_index(logits.reshape(PICTURES, -1).argmax(1), logits.shape[1:]), axis=1)
    assert (abs(peaks - places) <= 1).all()


def test_the_loss_of_an_epoch_is_the_mean_of_its_batches(spots, monkeypatch, capsys):
    looked_at, cache, _ = spots
    losses = iter(range(1, 7))
    monkeypatch.setattr(keras.Model, "train_on_batch", lambda *arguments: next(losses))
    learn_readout.learn(looked_at, cache, epochs=2)  # 24 pictures are three batches
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["epoch 1: divergence 2.0000 nats", "epoch 2: divergence 5.0000 nats"]


def test_fixations_are_counted_in_the_cell_they_fall_into():
    points = FixationPoints([0, 15, 16, 15.4], [0, 7, 8, 7], 32, 16)
    counts = learn_readout.fixation_counts(points, (2, 2))[..., 0]
    np.testing.assert_array_equal(counts, [[3, 0], [0, 1]])


def test_features_that_are_there_are_not_computed_again(spots, monkeypatch):
    looked_at, cache, _ = spots
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in cache.iterdir()}

    def no_network(**options):
        raise OSError("no network")

    monkeypatch.setattr(keras.applications, "ResNet50", no_network)
    learn_readout.cache_features(looked_at, cache)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in cache.iterdir()} == before
    learn_readout.feature_files(cache, looked_at.images[3], True)[1].unlink()
    with pytest.raises(UserError, match="ResNet50"):  # now the network is asked for, and there is none
        learn_readout.cache_features(looked_at, cache)


def test_a_set_too_small_to_hold_pictures_out_is_refused(tmp_path):
    from PIL import Image

    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "one.png")
    (tmp_path / "fixations.csv").write_text("image,subject,x,y\none.png,anna,3,3\n")
    with pytest.raises(UserError, match="too few pictures"):
        learn_readout.main([str(tmp_path), "--out", str(tmp_path / "head.npz")])


def test_epochs_must_be_positive_and_the_seed_not_negative(tmp_path):
    with pytest.raises(UserError, match="epochs=0"):
        learn_readout.main(["folder", "--epochs", "0"])
    with pytest.raises(UserError, match="is a folder; --out is a file"):
        learn_readout.main(["folder", "--out", str(tmp_path)])
    with pytest.raises(UserError, match="--seed"):
        learn_readout.main(["folder", "--seed", "-1"])
